"""What the interop tests of quantized models share: running mq-convert, and reading what it wrote."""
import glob
import os
import subprocess
import sys

from safetensors import safe_open

PROGRAM, MODEL, WORK = sys.argv[1:4]
LINEAR = 42  # quantized weights of the model


def run(*arguments):
    subprocess.run([PROGRAM, *arguments, "--no-sync"], check=True, stdout=subprocess.DEVNULL)


def quantized(name, *options):
    """The model quantized, and its values as float32 and in its own type."""
    folder = os.path.join(WORK, name)
    run("quantize", MODEL, folder, "--effort", "fast", *options)
    run("dequantize", folder, folder + "-f32", "--dtype", "f32")
    return folder


def load(folder):
    tensors = {}
    for file in sorted(glob.glob(folder + "/*.safetensors")):
        with safe_open(file, "pt") as handle:
            for key in handle.keys():
                tensors[key] = handle.get_tensor(key)
    return tensors
