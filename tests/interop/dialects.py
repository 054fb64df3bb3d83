"""Values of quantized models as their own packages decode them, against `mq-convert dequantize` (see dialects.sh)."""
import ast
import importlib.util
import os

import numpy as np
import torch
from safetensors import safe_open

from quantized_models import LINEAR, MODEL, WORK, load, quantized, run


def gptq_values(t, module, bits, version):
    """From the description of the format, in NumPy."""

    def fields(words):  # a bit stream down each column
        rows, cols = words.shape
        stream = np.unpackbits(np.ascontiguousarray(words).view(np.uint8).reshape(rows, cols, 4), axis=2, bitorder="little")
        stream = stream.transpose(0, 2, 1).reshape(-1, bits, cols).astype(np.int64)
        return (stream << np.arange(bits)[None, :, None]).sum(1)

    q = fields(t[module + ".qweight"].numpy().view(np.uint32))
    z = fields(t[module + ".qzeros"].numpy().view(np.uint32).T).T + (1 if version == 1 else 0)
    s = t[module + ".scales"].float().numpy()
    g = t[module + ".g_idx"].numpy()
    return torch.from_numpy(((q - z[g]).astype(np.float32) * s[g]).T.copy())


def module_of(package, *path):
    """One file of a package whose other files need a GPU; None if the package is not there."""
    spec = importlib.util.find_spec(package)
    if spec is None:
        return None
    file = importlib.util.spec_from_file_location(path[-1], os.path.join(spec.submodule_search_locations[0], *path) + ".py")
    module = importlib.util.module_from_spec(file)
    file.loader.exec_module(module)
    return module


def autogptq_values(t, module, bits):
    """AutoGPTQ's layer applied to the unit matrix."""
    rows, groups, cols = t[module + ".g_idx"].shape[0], *t[module + ".scales"].shape
    layer = AUTO_GPTQ.QuantLinear(bits, rows // groups, rows, cols, bias=False, weight_dtype=torch.float32)
    for leaf in ("qweight", "qzeros", "g_idx"):
        setattr(layer, leaf, t[f"{module}.{leaf}"])
    layer.scales = t[module + ".scales"].float()
    return layer(torch.eye(rows)).T


def gptqmodel_layer():
    """What GPTQModel's layers decode with, cut out of the file that has it: all of it asks for the rest of the package.
    None if the package is not there."""
    spec = importlib.util.find_spec("gptqmodel")
    if spec is None:
        return None
    path = os.path.join(spec.submodule_search_locations[0], "nn_modules", "qlinear", "__init__.py")
    with open(path) as file:
        tree = ast.parse(file.read())
    names = ("_torch_right_shift", "_torch_left_shift", "_init_wf_unsqueeze_buffers", "dequantize_weight", "_dequantize_from_codes")
    found = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name in names}
    scope = {"t": torch}
    exec(compile(ast.Module(list(found.values()), []), path, "exec"), scope)
    return type("Layer", (torch.nn.Module,), {**{name: scope[name] for name in names[2:]},
                                              "_wf_device": lambda self: self.qweight.device})


def gptqmodel_values(t, module, bits):
    """GPTQModel's layer, which holds zero points as version 2 stores them."""
    layer = GPTQMODEL()
    layer.bits, layer.maxq, layer.planar, layer.enable_wf_unsqueeze = bits, 2 ** bits - 1, False, True
    layer.pack_dtype_bits, layer.pack_factor = 32, 32 // bits
    layer.dequant_dtype = torch.int16 if bits == 8 else torch.int8
    for leaf in ("qweight", "qzeros", "g_idx"):
        setattr(layer, leaf, t[f"{module}.{leaf}"])
    layer.in_features, layer.scales = layer.g_idx.shape[0], t[module + ".scales"].float()
    return layer.dequantize_weight().T


def awq_values(t, module, group):
    parts = [t[module + leaf] for leaf in (".qweight", ".qzeros")]
    scales = t[module + ".scales"].float()
    return AWQ.dequantize_gemm(*parts, scales, 4, group).T


def check(name, folder, values, suffix):
    stored, ours = load(folder), load(folder + "-f32")
    modules = [key[: -len(suffix)] for key in stored if key.endswith(suffix)]
    assert len(modules) == LINEAR, (name, len(modules))
    for module in modules:
        theirs, mine = values(stored, module), ours[module + ".weight"]
        assert torch.equal(theirs, mine), f"{name}: {module}: {(theirs - mine).abs().max()}"
    print(f"{name}: {len(modules)} weights equal")


def check_bitsandbytes(name, folder):
    import bitsandbytes.functional as F

    def values(t, module):
        key = module + ".weight"
        state = F.QuantState.from_dict({k[len(key) + 1:]: v for k, v in t.items() if k.startswith(key + ".")}, device="cpu")
        state.dtype = torch.float32
        return F.dequantize_4bit(t[key], state)

    check(name, folder, values, ".weight.absmax")


def check_bitsandbytes_int8(folder):
    import bitsandbytes.functional as F

    stored, ours = load(folder), load(folder + "-f32")
    worst = 0
    for key in [k for k in stored if k.endswith(".SCB")]:
        weight = key[: -len("SCB")] + "weight"
        theirs, mine = F.int8_vectorwise_dequant(stored[weight], stored[key]), ours[weight]
        worst = max(worst, ((theirs - mine).abs() / mine.abs().clamp_min(1e-30)).max().item())
    assert worst <= 2 ** -22, worst
    print(f"bitsandbytes int8: relative difference {worst:.1e} at most")


def check_nested():
    """Double-quantized scales, written by bitsandbytes itself."""
    import bitsandbytes.functional as F
    from safetensors.torch import save_file

    source = load(MODEL)
    key = "model.layers.0.mlp.up_proj.weight"
    packed, state = F.quantize_4bit(source[key].float(), blocksize=64, compress_statistics=True, quant_type="nf4")
    file = os.path.join(WORK, "nested.safetensors")
    parts = {f"{key}.{k}": v for k, v in state.as_dict(packed=True).items()}
    save_file({key: packed, **parts}, file)
    run("dequantize", file, file[:-len(".safetensors")] + "-f.safetensors", "--dtype", "f32")
    with safe_open(file[:-len(".safetensors")] + "-f.safetensors", "pt") as handle:
        mine = handle.get_tensor(key)
    theirs = F.dequantize_4bit(packed, state)
    assert torch.equal(theirs, mine), (theirs - mine).abs().max()
    print("bitsandbytes, double quantization: values equal")


def check_crossing(folder):
    """Groups that go on in the next row: our codes and scales, and bitsandbytes' of a shape that whole groups do not fill."""
    import bitsandbytes.functional as F
    from safetensors.torch import save_file

    source, ours = load(MODEL), load(folder)
    keys = [k[: -len(".absmax")] for k in ours if k.endswith(".absmax")]
    for key in keys:
        packed, state = F.quantize_4bit(source[key].float(), blocksize=4096, quant_type="nf4")
        assert torch.equal(packed, ours[key]) and torch.equal(state.absmax, ours[key + ".absmax"]), key
    weight = source[keys[0]].float()[:67, :101].contiguous()
    for quant_type, nested in (("nf4", False), ("nf4", True), ("fp4", False)):
        packed, state = F.quantize_4bit(weight, blocksize=64, compress_statistics=nested, quant_type=quant_type)
        file = os.path.join(WORK, f"short-{quant_type}-{nested}.safetensors")
        save_file({"m.weight": packed, **{f"m.weight.{k}": v for k, v in state.as_dict(packed=True).items()}}, file)
        run("dequantize", file, file + ".values.safetensors", "--dtype", "f32")
        with safe_open(file + ".values.safetensors", "pt") as handle:
            assert torch.equal(F.dequantize_4bit(packed, state), handle.get_tensor("m.weight")), (quant_type, nested)
    print(f"bitsandbytes, groups across rows: {len(keys)} weights have its codes and scales, a short last group is read")


def check_fp8_blocks(folder):
    """DeepSeek's layout as transformers loads it without a GPU: dequantized on the way."""
    from transformers import AutoModelForCausalLM

    ours = load(folder + "-f32")
    theirs = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).state_dict()
    keys = [k[: -len("_scale_inv")] for k in load(folder) if k.endswith(".weight_scale_inv")]
    assert len(keys) == LINEAR, len(keys)
    for key in keys:
        assert torch.equal(theirs[key].float(), ours[key].to(theirs[key].dtype).float()), key
    print(f"fp8_blocks: {len(keys)} weights equal as {theirs[keys[0]].dtype}")


def check_double_quantization(folder, quant_type):
    """Ours against what bitsandbytes makes of the same weights: codes and parameters, and never a farther code."""
    import bitsandbytes.functional as F

    source, ours = load(MODEL), load(folder)
    scales = other = 0
    for key in [k[: -len(".nested_absmax")] for k in ours if k.endswith(".nested_absmax")]:
        weight = source[key].float()
        packed, theirs = F.quantize_4bit(weight, blocksize=64, compress_statistics=True, quant_type=quant_type)
        state = F.QuantState.from_dict({k[len(key) + 1:]: v for k, v in ours.items() if k.startswith(key + ".")}, device="cpu")
        # Of fp4 it writes other signs of zeros and breaks ties the other way.
        assert quant_type != "nf4" or torch.equal(packed, ours[key]), key
        assert state.offset == theirs.offset and torch.equal(state.state2.absmax, theirs.state2.absmax), key
        torch.testing.assert_close(state.state2.code, theirs.state2.code, rtol=2e-7, atol=0)
        absmax = weight.view(-1, 64).abs().amax(1)
        share = (absmax - state.offset) / state.state2.absmax.repeat_interleave(256)[: len(absmax)]
        miss = [(share - theirs.state2.code[s.absmax.flatten().long()]).abs() for s in (state, theirs)]
        assert (miss[0] <= miss[1] + 1e-6).all(), key
        scales, other = scales + len(absmax), other + (state.absmax.flatten() != theirs.absmax.flatten()).sum().item()
    assert other < scales / 200, (other, scales)
    print(f"bitsandbytes {quant_type}, double quantization: {other} of {scales} scales have a nearer code than bitsandbytes'")


def check_logits(name, folder):
    """The model as transformers loads it, against the model that our decoded weights make."""
    from transformers import AutoModelForCausalLM

    run("dequantize", folder, folder + "-same")
    ids = torch.arange(5, 69)[None]

    def logits(path):
        model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.bfloat16).eval()
        with torch.no_grad():
            return model(ids).logits.float()

    theirs, mine = logits(folder), logits(folder + "-same")
    assert torch.equal(theirs, mine), f"{name}: {(theirs - mine).abs().max()}"
    print(f"{name}: logits of transformers equal")


AUTO_GPTQ = module_of("auto_gptq", "nn_modules", "qlinear", "qlinear_cuda")
if AUTO_GPTQ is None:
    print("AutoGPTQ: skipped, there is no package auto_gptq")
for scheme, bits in (("int4:g128", 4), ("int4:g32:signed", 4), ("int8:channel", 8), ("int3:g64", 3), ("int2:g64", 2)):
    folder = quantized(f"gptq-{scheme}", "--scheme", scheme, "--dialect", "gptq")
    check(f"GPTQ {scheme}", folder, lambda t, m, b=bits: gptq_values(t, m, b, 1), ".qweight")
    if AUTO_GPTQ is not None:
        check(f"GPTQ {scheme} in AutoGPTQ", folder, lambda t, m, b=bits: autogptq_values(t, m, b), ".qweight")
GPTQMODEL = gptqmodel_layer()
if GPTQMODEL is None:
    print("GPTQModel: skipped, there is no package gptqmodel")
for scheme, bits in (("int4:g32:asym", 4), ("int4:channel:asym", 4), ("int8:g128:asym", 8), ("int3:g64:asym", 3), ("int2:g64:asym", 2)):
    folder = quantized(f"gptq2-{scheme}", "--scheme", scheme, "--dialect", "gptq_v2")
    check(f"GPTQ v2 {scheme}", folder, lambda t, m, b=bits: gptq_values(t, m, b, 2), ".qweight")
    if GPTQMODEL is not None:
        check(f"GPTQ v2 {scheme} in GPTQModel", folder, lambda t, m, b=bits: gptqmodel_values(t, m, b), ".qweight")
AWQ = module_of("awq", "utils", "packing_utils")
if AWQ is None:
    print("AWQ: skipped, there is no package awq")
else:
    for scheme in ("int4:g128:asym", "int4:g128", "int4:g128:signed"):
        check(f"AWQ {scheme}", quantized(f"awq-{scheme}", "--scheme", scheme, "--dialect", "awq"),
              lambda t, m: awq_values(t, m, 128), ".qweight")
for scheme in ("nf4", "fp4:g128", "nf4:signed"):
    folder = quantized(f"bnb-{scheme}", "--scheme", scheme, "--dialect", "bitsandbytes")
    check_bitsandbytes(f"bitsandbytes {scheme}", folder)
    if scheme != "fp4:g128":
        check_logits(f"bitsandbytes {scheme}", folder)
# Groups of eight rows.
folder = quantized("bnb-crossing", "--scheme", "nf4:g4096", "--dialect", "bitsandbytes")
check_bitsandbytes("bitsandbytes nf4:g4096", folder)
check_logits("bitsandbytes nf4:g4096", folder)
check_crossing(folder)
for scheme in ("nf4:dq", "fp4:g128:dq"):
    folder = quantized(f"bnb-{scheme}", "--scheme", scheme, "--dialect", "bitsandbytes")
    check_bitsandbytes(f"bitsandbytes {scheme}", folder)
    if scheme == "nf4:dq":
        check_logits(f"bitsandbytes {scheme}", folder)
for quant_type in ("nf4", "fp4"):
    check_double_quantization(quantized(f"bnb-for-{quant_type}", "--for", f"bitsandbytes:{quant_type}-dq"), quant_type)
check_bitsandbytes_int8(quantized("bnb-int8", "--scheme", "int8", "--dialect", "bitsandbytes"))
check_nested()
for scheme in ("int4:g32", "int4:g32:signed", "nvfp4", "mxfp4", "mxfp8", "fp8_e4m3:b128x128"):
    check_logits(f"compressed-tensors {scheme}", quantized(f"ct-{scheme}", "--scheme", scheme))
check_fp8_blocks(quantized("fp8-blocks", "--scheme", "fp8_e4m3:b128x128", "--dialect", "fp8_blocks"))
