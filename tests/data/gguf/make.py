# Makes types.gguf, one tensor of each type that is read and some metadata, and types.safetensors, the values that the
# gguf package (0.19) decodes from it. Run in this folder: python3 -m venv v; v/bin/pip install gguf; v/bin/python make.py
import json
import struct

import numpy as np
from gguf import GGMLQuantizationType as T
from gguf import GGUFWriter, quants

COLS = 256
rng = np.random.default_rng(1)

# Where the f16 numbers of a block lie: random bytes would make most blocks infinite.
HALVES = {
    T.Q8_0: [0], T.Q4_0: [0], T.Q4_1: [0, 2], T.Q5_0: [0], T.Q5_1: [0, 2], T.Q2_K: [80, 82], T.Q3_K: [108],
    T.Q4_K: [0, 2], T.Q5_K: [0, 2], T.Q6_K: [208], T.IQ4_NL: [0], T.IQ4_XS: [0], T.MXFP4: [], T.NVFP4: [],
}


def random_row(kind):
    numel, size = quants.GGML_QUANT_SIZES[kind]
    blocks = rng.integers(0, 256, (COLS // numel, size), dtype=np.uint8)
    for at in HALVES[kind]:
        scales = (rng.standard_normal(len(blocks)) * 0.01).astype(np.float16)
        blocks[:, at : at + 2] = scales.view(np.uint8).reshape(-1, 2)
    if kind == T.MXFP4:
        blocks[:, 0] = np.array([0, 1, 2, 100, 120, 127, 128, 130], dtype=np.uint8)
    return blocks.reshape(1, -1)


def rows_of(kind):
    x = ((((37 * np.arange(COLS) + 11) % 101) - 50) / 16).astype(np.float32)
    try:
        first = quants.quantize(x.reshape(1, -1), kind)
    except NotImplementedError:
        first = random_row(kind)
    return np.concatenate([first, random_row(kind)])


writer = GGUFWriter("types.gguf", "llama")
writer.add_name("every type")
writer.add_block_count(1)
writer.add_layer_norm_rms_eps(1e-5)
writer.add_bool("general.test", True)
writer.add_array("tokenizer.ggml.tokens", ["<s>", "a", "ä"])
expected = {}
for kind in HALVES:
    name = f"blk.0.{kind.name.lower()}.weight"
    data = rows_of(kind)
    writer.add_tensor(name, data, raw_dtype=kind)
    expected[name] = quants.dequantize(data, kind).astype(np.float32)
for code in ["f4", "f2", "f8", "i1", "i2", "i4", "i8"]:
    data = np.arange(6).reshape(2, 3).astype(code)
    writer.add_tensor("plain." + code, data)
writer.add_tensor("plain.bf16", np.array([[0x3F80, 0xC000]], dtype=np.uint16).view(np.uint8), raw_dtype=T.BF16)
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()

header, data = {}, b""
for name, values in expected.items():
    header[name] = {"dtype": "F32", "shape": list(values.shape), "data_offsets": [len(data), len(data) + values.nbytes]}
    data += values.tobytes()
text = json.dumps(header, separators=(",", ":")).encode()
text += b" " * (-len(text) % 8)
with open("types.safetensors", "wb") as out:
    out.write(struct.pack("<Q", len(text)) + text + data)
