"""Models for torchao and optimum-quanto as those packages load them, and theirs as we read them (see dialects.sh)."""
import importlib.util
import os
import subprocess

import torch
from transformers import AutoModelForCausalLM

from quantized_models import LINEAR, MODEL, PROGRAM, WORK, load, quantized, run


def there(package):
    try:
        found = importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:
        found = False
    if not found:
        print(f"{package}: skipped, there is no such package")
    return found


def original():
    return AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.bfloat16)


def check(name, model, kind, ours):
    """Weights of a loaded model, decoded by its package to the model's type, against our values rounded to it."""
    weights = {key: weight for key, weight in model.named_parameters() if isinstance(weight.data, kind) or isinstance(weight, kind)}
    assert len(weights) == LINEAR, (name, len(weights))
    for key, weight in weights.items():
        theirs, mine = weight.dequantize(), ours[key].to(weight.dtype)
        assert torch.equal(theirs, mine), f"{name}: {key}: {(theirs - mine).abs().max()}"
    print(f"{name}: {len(weights)} weights equal")


def logits(model):
    with torch.no_grad():
        return model.eval()(torch.arange(5, 69)[None]).logits.float()


def check_near(name, model, folder, most):
    """Logits, which kernels add up in orders of their own, against those of the model our decoded weights make."""
    run("dequantize", folder, folder + "-same")
    mine = logits(AutoModelForCausalLM.from_pretrained(folder + "-same", dtype=torch.bfloat16))
    apart = ((logits(model) - mine).norm() / mine.norm()).item()
    assert apart < most, (name, apart)
    print(f"{name}: logits within {apart:.1e}")


def align(model):
    """Copies weights that are mapped: PyTorch's _weight_int8pack_mm wants them at multiples of 16 bytes, which safetensors
    files, its own too, do not promise."""
    for weight in model.parameters():
        if hasattr(weight, "_data"):
            weight._data = weight._data.clone()


def values(folder):
    run("dequantize", folder, folder + "-f32", "--dtype", "f32")
    return load(folder + "-f32")


def validate(folder):
    subprocess.run([PROGRAM, "validate", folder], check=True, stdout=subprocess.DEVNULL)


def refused(folder, part):
    outcome = subprocess.run([PROGRAM, "info", folder], capture_output=True, text=True)
    assert outcome.returncode == 6 and part in outcome.stderr, outcome.stderr
    print(f"refused: {outcome.stderr.strip()[:120]}")


def check_torchao():
    from torchao.quantization import (Float8Tensor, Float8WeightOnlyConfig, Int8DynamicActivationInt8WeightConfig, Int8Tensor,
                                      Int8WeightOnlyConfig, IntxUnpackedToInt8Tensor, IntxWeightOnlyConfig, MappingType, PerGroup,
                                      PerTensor)
    from transformers import TorchAoConfig

    for scheme, kind in (("int8", Int8Tensor), ("int8:tensor", Int8Tensor), ("int8:g32", Int8Tensor), ("fp8_e4m3", Float8Tensor),
                         ("int8+int8:token:dyn", Int8Tensor), ("int4:g32", IntxUnpackedToInt8Tensor),
                         ("int3:channel:asym", IntxUnpackedToInt8Tensor)):
        folder = quantized(f"torchao-{scheme}", "--scheme", scheme, "--dialect", "torchao")
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
        check(f"torchao {scheme}", model, kind, load(folder + "-f32"))
        if scheme in ("int8", "int4:g32"):
            check_near(f"torchao {scheme}", model, folder, 0.02)
    for name, config, kind in (("int8", Int8WeightOnlyConfig(), Int8Tensor),
                               ("int8-tensor", Int8WeightOnlyConfig(granularity=PerTensor()), Int8Tensor),
                               ("int8-dynamic", Int8DynamicActivationInt8WeightConfig(), Int8Tensor),
                               ("fp8", Float8WeightOnlyConfig(), Float8Tensor),
                               ("int4", IntxWeightOnlyConfig(weight_dtype=torch.int4, granularity=PerGroup(32)), IntxUnpackedToInt8Tensor),
                               ("int3-asym", IntxWeightOnlyConfig(weight_dtype=torch.int3, mapping_type=MappingType.ASYMMETRIC),
                                IntxUnpackedToInt8Tensor)):
        folder = os.path.join(WORK, "torchao-theirs-" + name)
        model = AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.bfloat16, quantization_config=TorchAoConfig(config))
        model.save_pretrained(folder)
        validate(folder)
        check(f"torchao's own {name}", model, kind, values(folder))


def check_quanto():
    from optimum.quanto import QuantizedModelForCausalLM, freeze, qfloat8_e4m3fn, qfloat8_e5m2, qint4, qint8, quantize
    from optimum.quanto.tensor import WeightQBytesTensor

    for scheme in ("int8", "fp8_e4m3", "fp8_e5m2"):
        folder = quantized(f"quanto-{scheme}", "--scheme", scheme, "--dialect", "quanto")
        model = QuantizedModelForCausalLM.from_pretrained(folder)._wrapped
        check(f"quanto {scheme}", model, WeightQBytesTensor, load(folder + "-f32"))
        if scheme == "int8":
            align(model)
            check_near(f"quanto {scheme}", model, folder, 0.02)
    for qtype in (qint8, qfloat8_e4m3fn, qfloat8_e5m2, qint4):
        folder = os.path.join(WORK, "quanto-theirs-" + qtype.name)
        model = original()
        quantize(model, weights=qtype, exclude="lm_head")
        freeze(model)
        QuantizedModelForCausalLM(model).save_pretrained(folder)
        if qtype is qint4:
            refused(folder, "optimum-quanto")
            continue
        validate(folder)
        check(f"quanto's own {qtype.name}", model, WeightQBytesTensor, values(folder))


if there("torchao"):
    check_torchao()
if there("optimum.quanto"):
    check_quanto()
