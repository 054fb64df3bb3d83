"""PyTorch loads what mq-convert writes: torch.load(weights_only=True), values compared bit for bit."""
import os
import subprocess
import sys
import warnings
import zipfile

import torch
from safetensors.torch import load_file
from torch.utils.serialization import config

warnings.simplefilter("ignore")  # PyTorch means to leave quantized tensors to torchao one day
program, data, work = sys.argv[1:]
os.environ["TORCH_SERIALIZATION_DEBUG"] = "1"  # offsets that are computed are compared with those of the archive


def run(*arguments):
    subprocess.run([program, *arguments], check=True, stdout=subprocess.DEVNULL)


def path(name):
    return os.path.join(work, name)


def load(file):
    """The state dict, read and mapped, with offsets looked up and computed: all must be equal."""
    first = torch.load(file, weights_only=True)
    for computed in (False, True):
        config.load.calculate_storage_offsets = computed
        mapped = torch.load(file, weights_only=True, mmap=True)
        assert list(first) == list(mapped)
        assert all(same(first[name], mapped[name]) for name in first)
    config.load.calculate_storage_offsets = False
    assert zipfile.ZipFile(file).testzip() is None
    return first


def bits(tensor):
    return tensor.contiguous().reshape(-1).view(torch.uint8) if tensor.numel() else tensor


def same(a, b):
    if a.dtype != b.dtype or a.shape != b.shape or a.is_quantized != b.is_quantized:
        return False
    if a.is_quantized:
        return torch.equal(a.int_repr(), b.int_repr()) and a.qscheme() == b.qscheme()
    return torch.equal(bits(a), bits(b))


def equal_floats(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and torch.equal(bits(a), bits(b))


def check_floats():
    """A copy and a cast: the tensors of safetensors files made the same way."""
    for scheme in (None, "fp16", "bf16"):
        verb = ["convert"] if scheme is None else ["quantize", "--scheme", scheme, "--keep", scheme]
        for model in ("cnn/cnn.pt", "pt/dtypes.safetensors") if scheme is None else ("cnn/cnn.pt",):
            run(verb[0], os.path.join(data, model), path("f.pt"), "--overwrite", *verb[1:])
            run(verb[0], os.path.join(data, model), path("f.safetensors"), "--overwrite", *verb[1:])
            ours, reference = load(path("f.pt")), load_file(path("f.safetensors"))
            assert set(ours) == set(reference) and len(ours) > 5
            for name in ours:
                assert same(ours[name], reference[name]), name


def check_quantized(scheme, model, minimum):
    """Real quantized tensors whose values are those that this library decodes."""
    run("quantize", os.path.join(data, model), path("q.pt"), "--overwrite", "--scheme", scheme, "--min-numel", "0")
    run("dequantize", path("q.pt"), path("d.safetensors"), "--overwrite", "--dtype", "f32")
    run("convert", path("q.pt"), path("parts.safetensors"), "--overwrite")
    ours, decoded, parts = load(path("q.pt")), load_file(path("d.safetensors")), load_file(path("parts.safetensors"))
    count = 0
    for name, tensor in ours.items():
        if not tensor.is_quantized:
            continue
        count += 1
        scale, zero = parts[name + ".q_scale"].flatten(), parts[name + ".q_zero_point"].flatten()
        assert torch.equal(tensor.int_repr(), parts[name]), name
        if tensor.qscheme() == torch.per_channel_affine:
            assert torch.equal(tensor.q_per_channel_scales(), scale), name
            assert torch.equal(tensor.q_per_channel_zero_points(), zero), name
        else:
            assert tensor.q_scale() == scale.item() and tensor.q_zero_point() == zero.item(), name
        assert equal_floats(tensor.dequantize(), decoded[name]), name
    assert count >= minimum, (scheme, count)
    # What PyTorch saves of it is read back as the same.
    torch.save(ours, path("theirs.pt"))
    run("convert", path("theirs.pt"), path("again.safetensors"), "--overwrite")
    again = load_file(path("again.safetensors"))
    assert all(equal_floats(again[name], parts[name]) for name in parts)


def check_module():
    """The state dict goes into modules: a quantized weight where PyTorch takes one, floats by load_state_dict."""
    run("quantize", os.path.join(data, "cnn/cnn.pt"), path("q.pt"), "--overwrite", "--for", "torch:int8")
    run("validate", path("q.pt"), "--for", "torch")
    state = load(path("q.pt"))
    weight, bias = state["fc1.weight"], state["fc1.bias"]
    if "fbgemm" in torch.backends.quantized.supported_engines:
        torch.backends.quantized.engine = "fbgemm"
        packed = torch.ops.quantized.linear_prepack(weight, bias)
        unpacked, _ = torch.ops.quantized.linear_unpack(packed)
        assert same(unpacked, weight)
    linear = torch.nn.Linear(weight.shape[1], weight.shape[0])
    linear.load_state_dict({"weight": weight.dequantize(), "bias": bias})


check_floats()
for each in ("int8", "int8:tensor", "int8:asym", "int8:tensor:asym", "uint8:asym", "uint8:tensor", "int8:channel=1"):
    check_quantized(each, "cnn/cnn.pt", 5)
    check_quantized(each, "cnn/mobile.pt", 5)
check_module()
print("torch", torch.__version__, "loads what mq-convert writes")
