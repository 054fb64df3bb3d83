"""Static activations and joined NVFP4 scales, as compressed-tensors and transformers have them (see dialects.sh)."""
import os

import torch
from compressed_tensors.quantization import QuantizationArgs
from compressed_tensors.quantization.lifecycle.forward import fake_quantize, forward_quantize
from compressed_tensors.quantization.utils import calculate_qparams, generate_gparam
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

from quantized_models import LINEAR, MODEL, WORK, load, quantized, run

IDS = torch.arange(5, 69)[None]
STATS = os.path.join(WORK, "ranges.safetensors")


def model_in(folder):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16).eval()


def logits(model):
    with torch.no_grad():
        return model(IDS).logits.float()


def linears(model):
    return {name: m for name, m in model.named_modules() if isinstance(m, torch.nn.Linear) and name != "lm_head"}


def calibrate():
    """The ranges of what every layer takes in, in the file that --stats reads."""
    ranges = {}

    def watch(name):
        def hook(_, inputs):
            least, most = ranges.get(name, (0.0, 0.0))
            ranges[name] = (min(least, inputs[0].min().item()), max(most, inputs[0].max().item()))

        return hook

    model = model_in(MODEL)
    for name, module in linears(model).items():
        module.register_forward_pre_hook(watch(name))
    logits(model)
    numbers = {f"{name}.input_{end}": torch.tensor(value, dtype=torch.float32)
               for name, pair in ranges.items() for end, value in zip(("min", "max"), pair)}
    save_file(numbers, STATS)
    return ranges


def check_static(name, *options):
    folder = quantized(name, *options, "--stats", STATS)
    stored = load(folder)
    theirs = model_in(folder)
    modules = linears(theirs)
    assert len(modules) == LINEAR, len(modules)
    run("dequantize", folder, folder + "-same")
    floats = model_in(folder + "-same")
    for module, layer in modules.items():
        args = layer.quantization_scheme.input_activations
        assert not args.dynamic and args.strategy == "tensor"
        assert torch.equal(layer.input_scale, stored[module + ".input_scale"]), module
        least, most = (torch.tensor([value]) for value in RANGES[module])
        scale, zero_point = calculate_qparams(least, most, QuantizationArgs(**args.model_dump()))
        expected = scale.to(torch.bfloat16)
        # Their quotient is rounded once more on the way.
        torch.testing.assert_close(layer.input_scale.data, expected, rtol=2 ** -7, atol=0)
        if not args.symmetric:
            zero_point = stored[module + ".input_zero_point"]
            assert (zero_point - torch.round(-128 - least / layer.input_scale.float())).abs() <= 1, module
        watch_with(floats.get_submodule(module), args, stored[module + ".input_scale"],
                   zero_point if not args.symmetric else None)
    a, b = logits(theirs), logits(floats)
    assert torch.equal(a, b), f"{name}: {(a - b).abs().max()}"
    change = (a - FLOAT).norm() / FLOAT.norm()
    assert 0 < change < 0.3, change
    print(f"{name}: input scales and logits equal, {100 * change:.1f} % from the original's")


def check_nvfp4():
    """Weights and activations of 4 bits: one multiplier for what a layer takes in, and scales that the runtime finds."""
    folder = quantized("nvfp4-static", "--for", "vllm:nvfp4", "--stats", STATS)
    stored = load(folder)
    theirs = model_in(folder)
    run("dequantize", folder, folder + "-same")
    floats = model_in(folder + "-same")
    joined = {"k_proj": "q_proj", "v_proj": "q_proj", "up_proj": "gate_proj"}
    for module, layer in linears(theirs).items():
        args = layer.quantization_scheme.input_activations
        assert args.num_bits == 4 and args.dynamic == "local" and args.strategy == "tensor_group"
        parent, leaf = module.rsplit(".", 1)
        # What joined layers take in is the same.
        least, most = (torch.tensor([value]) for value in RANGES[f"{parent}.{joined.get(leaf, leaf)}"])
        mine, loaded = stored[module + ".input_global_scale"], layer.input_global_scale.data
        # They multiply by a reciprocal.
        torch.testing.assert_close(mine, generate_gparam(least, most), rtol=2 ** -22, atol=0, msg=module)
        assert torch.equal(loaded, mine.to(loaded.dtype)), (module, loaded)
        plain = floats.get_submodule(module)
        plain.input_global_scale, plain.quantization_status = layer.input_global_scale, layer.quantization_status
        plain.register_forward_pre_hook(lambda at, inputs, args=args: (forward_quantize(at, inputs[0], "input", args),))
    a, b = logits(theirs), logits(floats)
    assert torch.equal(a, b), (a - b).abs().max()
    change = (a - FLOAT).norm() / FLOAT.norm()
    assert 0 < change < 0.5, change
    print(f"nvfp4: input multipliers and logits equal, {100 * change:.1f} % from the original's")


def watch_with(layer, args, scale, zero_point):
    """Rounds what a float layer takes in as compressed-tensors does."""
    zero_point = torch.zeros(1, dtype=args.zp_dtype or torch.int8) if zero_point is None else zero_point
    layer.register_forward_pre_hook(lambda _, inputs: (fake_quantize(inputs[0], scale, zero_point, args),))


def check_joined_scales():
    """NVFP4: one global scale in q, k, v and in gate, up, that of the largest weight in them."""
    folder = quantized("nvfp4-joined", "--for", "vllm:nvfp4a16")
    stored, source = load(folder), load(MODEL)
    sets = {}
    for key in [k for k in stored if k.endswith(".weight_global_scale")]:
        module, leaf = key[: -len(".weight_global_scale")].rsplit(".", 1)
        joined = {"q_proj": "qkv", "k_proj": "qkv", "v_proj": "qkv", "gate_proj": "gate_up", "up_proj": "gate_up"}
        sets.setdefault(f"{module}.{joined.get(leaf, leaf)}", []).append((f"{module}.{leaf}.weight", stored[key]))
    for name, members in sets.items():
        absmax = max(source[weight].float().abs().max() for weight, _ in members)
        for _, scale in members:
            torch.testing.assert_close(scale[0], 448 * 6 / absmax, rtol=2e-7, atol=0, msg=name)
    assert sum(len(members) > 1 for members in sets.values()) == LINEAR // 7 * 2
    print(f"NVFP4: one global scale in each of {len(sets)} sets")


RANGES = calibrate()
FLOAT = logits(model_in(MODEL))
check_static("w8a8-static", "--for", "vllm:w8a8-static")
check_static("w8a8-static-asym", "--scheme", "int8+int8:static:asym")
check_static("fp8-static", "--for", "vllm:fp8-static")
check_nvfp4()
check_joined_scales()
