"""Values, key-values, logits and tokens of GGUF files written by mq-convert, as the gguf package and transformers read
them. Arguments: mq-convert, a Hugging Face folder of a Llama model, a folder for files."""

import json
import pathlib
import shutil
import subprocess
import sys

import gguf
import numpy as np
import safetensors.numpy
import torch
import transformers

TYPES = "q8_0 q5_1 q5_0 q4_1 q4_0 q6_k q5_k q4_k q3_k q2_k iq4_nl iq4_xs bf16 fp16".split()
MIXES = "q2_k q3_k_m q4_k_s q4_k_m q5_k_m q6_k q8_0 iq4_xs bf16".split()
TEXTS = ["The little girl said: \"Hello, world!\"", "it's 1234 o'clock\n\n  Once   upon a time", "naïve café — 日本語 <s>"]


def run(program, *arguments):
    subprocess.run([program, *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)


def check_values(program, path):
    """The package decodes every tensor to the values that mq-convert decodes it to, bit for bit."""
    floats = path.with_suffix(".safetensors")
    run(program, "dequantize", path, floats, "--dtype", "f32", "--overwrite")
    ours = safetensors.numpy.load_file(floats)
    tensors = gguf.GGUFReader(path).tensors
    assert {t.name for t in tensors} == set(ours), "names differ"
    for tensor in tensors:
        theirs = gguf.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        assert np.array_equal(theirs.view(np.uint32), ours[tensor.name].view(np.uint32)), tensor.name
    return {t.tensor_type.name for t in tensors}


def check_fields(path, model):
    """Numbers of config.json and the vocabulary of tokenizer.json arrive as they are."""
    config = json.loads((model / "config.json").read_text())
    fields = {name: field.contents() for name, field in gguf.GGUFReader(path).fields.items()}
    arch = fields["general.architecture"]
    for key, name in {"block_count": "num_hidden_layers", "context_length": "max_position_embeddings",
                      "embedding_length": "hidden_size", "feed_forward_length": "intermediate_size",
                      "attention.head_count": "num_attention_heads", "vocab_size": "vocab_size",
                      "attention.head_count_kv": "num_key_value_heads"}.items():
        assert fields[f"{arch}.{key}"] == config[name], key
    assert np.float32(config["rms_norm_eps"]) == np.float32(fields[f"{arch}.attention.layer_norm_rms_epsilon"])
    tokenizer = json.loads((model / "tokenizer.json").read_text())
    tokens = fields["tokenizer.ggml.tokens"]
    assert len(tokens) == config["vocab_size"]
    for text, token in tokenizer["model"]["vocab"].items():
        assert tokens[token] == text, text
    merges = [m if isinstance(m, str) else " ".join(m) for m in tokenizer["model"]["merges"]]
    assert fields["tokenizer.ggml.merges"] == merges
    assert fields["tokenizer.ggml.bos_token_id"] == config["bos_token_id"]
    assert fields["tokenizer.ggml.eos_token_id"] == config["eos_token_id"]


def logits(folder, tokens, **options):
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, **options)
    with torch.no_grad():
        return model(tokens).logits


def distance(original, path, tokens):
    ours = logits(path.parent, tokens, gguf_file=path.name)
    return ((ours - original).norm() / original.norm()).item()


def check_tokenizer(path, model):
    theirs = transformers.AutoTokenizer.from_pretrained(model)
    ours = transformers.AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    for text in TEXTS:
        assert ours(text)["input_ids"] == theirs(text)["input_ids"], text


def check_other(program, kind, model, work):
    """A small model of another architecture, of random weights, goes through bfloat16 without a change."""
    config = transformers.AutoConfig.for_model(
        kind, hidden_size=128, intermediate_size=256, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        vocab_size=4096, max_position_embeddings=128, bos_token_id=0, eos_token_id=1, tie_word_embeddings=False,
        head_dim=128 if kind == "qwen3" else 32)  # the one that transformers takes for granted
    torch.manual_seed(1)
    network = transformers.AutoModelForCausalLM.from_config(config).to(torch.bfloat16)
    with torch.no_grad():
        for value in network.parameters():
            value.add_(0.1 * torch.randn_like(value))  # norms and biases too
    folder = work / kind
    network.save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(model / name, folder / name)
    path = work / f"{kind}.gguf"
    run(program, "convert", folder, path, "--overwrite")
    check_values(program, path)
    tokens = torch.arange(40).reshape(1, -1) * 7
    error = distance(logits(folder, tokens), path, tokens)
    assert error < 1e-4, (kind, error)
    print(f"{kind}: logits within {error:.1e}")


def main():
    program, model, work = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
    path = work / "model.gguf"
    seen = set()
    for scheme in TYPES:
        run(program, "quantize", model, path, "--scheme", scheme, "--overwrite")
        seen |= check_values(program, path)
    for mix in MIXES:
        run(program, "quantize", model, path, "--mix", mix, "--overwrite")
        seen |= check_values(program, path)
    print("types with equal values:", " ".join(sorted(seen)))
    check_fields(path, model)
    check_tokenizer(path, model)
    print("key-values and tokens are equal")
    tokens = transformers.AutoTokenizer.from_pretrained(model)(" ".join(TEXTS), return_tensors="pt").input_ids
    original = logits(model, tokens)
    for mix, most in {"bf16": 1e-5, "q8_0": 0.02, "q6_k": 0.05, "q4_k_m": 0.15}.items():
        run(program, "quantize", model, path, "--mix", mix, "--overwrite")
        error = distance(original, path, tokens)
        assert error < most, (mix, error)
        print(f"{mix}: logits within {error:.4f} of the original's")
    for kind in ("llama", "mistral", "qwen2", "qwen3"):
        check_other(program, kind, model, work)


main()
