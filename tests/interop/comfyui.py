"""Files for ComfyUI as comfy-kitchen, its package of kernels, decodes them (see dialects.sh)."""
import json
import os
import sys

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from quantized_models import LINEAR, MODEL, WORK, load, run

try:
    from comfy_kitchen.backends.eager import quantization as kitchen
except ImportError:
    print("ComfyUI: skipped, there is no package comfy_kitchen")
    sys.exit(0)


def read(file):
    with safe_open(file, "pt") as handle:
        return {key: handle.get_tensor(key) for key in handle.keys()}


def decoded(tensors, module):
    marker = json.loads(bytes(tensors[module + ".comfy_quant"].numpy()).decode())["format"]
    weight, scale = tensors[module + ".weight"], tensors[module + ".weight_scale"]
    if marker == "nvfp4":
        return kitchen.dequantize_nvfp4(weight, tensors[module + ".weight_scale_2"], scale, torch.float32)
    if marker == "int8_tensorwise":
        return kitchen.dequantize_int8_simple(weight, scale)
    return kitchen.dequantize_per_tensor_fp8(weight, scale, torch.float32)


def check(preset, closeness):
    file = os.path.join(WORK, f"comfyui-{preset}.safetensors")
    run("quantize", MODEL, file, "--for", f"comfyui:{preset}")
    run("dequantize", file, file + ".values.safetensors", "--dtype", "f32")
    stored, ours = read(file), read(file + ".values.safetensors")
    modules = [key[: -len(".comfy_quant")] for key in stored if key.endswith(".comfy_quant")]
    assert len(modules) == LINEAR, len(modules)
    for module in modules:
        torch.testing.assert_close(decoded(stored, module), ours[module + ".weight"], rtol=closeness, atol=0)
    print(f"ComfyUI {preset}: {len(modules)} weights equal within {closeness:.1e}")


def check_theirs():
    """Weights that comfy-kitchen quantized, of a shape that does not fill the tiles of scales."""
    weight = load(MODEL)["model.layers.0.self_attn.q_proj.weight"].float()[:208, :176].contiguous()
    scale = weight.abs().max() / (448 * 6)
    codes, scales = kitchen.quantize_nvfp4(weight, scale)
    text = lambda value: torch.frombuffer(bytearray(json.dumps(value).encode()), dtype=torch.uint8)
    fp8 = kitchen.quantize_per_tensor_fp8(weight, weight.abs().max() / 448)
    file = os.path.join(WORK, "comfyui-theirs.safetensors")
    save_file({"a.weight": codes, "a.weight_scale": scales, "a.weight_scale_2": scale, "a.comfy_quant": text({"format": "nvfp4"}),
               "b.weight": fp8, "b.weight_scale": weight.abs().max() / 448, "c.bias": weight[0]}, file,
              {"_quantization_metadata": json.dumps({"format_version": "1.0", "layers": {"b": {"format": "float8_e4m3fn"}}})})
    old = os.path.join(WORK, "comfyui-old.safetensors")
    save_file({"b.weight": fp8, "b.scale_weight": weight.abs().max() / 448, "scaled_fp8": torch.zeros(2, dtype=torch.float8_e4m3fn)}, old)
    for name in (file, old):
        run("dequantize", name, name + ".values.safetensors", "--dtype", "f32")
    ours = read(file + ".values.safetensors")
    theirs = kitchen.dequantize_nvfp4(codes, scale, scales, torch.float32)
    torch.testing.assert_close(ours["a.weight"], theirs, rtol=2 ** -21, atol=0)
    values = kitchen.dequantize_per_tensor_fp8(fp8, weight.abs().max() / 448, torch.float32)
    assert torch.equal(ours["b.weight"], values) and torch.equal(ours["c.bias"], weight[0])
    assert torch.equal(read(old + ".values.safetensors")["b.weight"], values)
    print("ComfyUI: NVFP4 and FP8 of comfy-kitchen, and scaled FP8 of 2024, are read")


check("fp8", 0)
check("int8", 0)
check("nvfp4", 2 ** -21)
check_theirs()
