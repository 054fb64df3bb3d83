"""GGUF files written by mq-convert in llama.cpp itself (package xllamacpp): what it predicts against what transformers
predicts with the original. Arguments: mq-convert, a Hugging Face folder of a Llama model, a folder for files."""

import json
import pathlib
import shutil
import subprocess
import sys

import torch
import transformers
import xllamacpp

TEXTS = ["Once upon a time there was a little girl named", "The dog said: \"Hello, it's 1234", "naïve café — 日本語 and"]


def run(program, *arguments):
    subprocess.run([program, *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)


class LlamaCpp:
    def __init__(self, path):
        options = xllamacpp.CommonParams()
        options.model.path = str(path)
        options.n_ctx = 256
        options.warmup = False
        self.server = xllamacpp.Server(options)

    def predict(self, prompt):
        """Probabilities of what it holds most likely to come next, by token id; and the length of the prompt."""
        answer = self.server.handle_completions(
            {"prompt": prompt, "n_predict": 1, "temperature": 0.0, "n_probs": 8, "cache_prompt": False})
        answer = json.loads(answer) if isinstance(answer, str) else answer
        content = answer["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
        return {entry["id"]: entry["logprob"] for entry in content}, answer["usage"]["prompt_tokens"]


def check(path, folder, most, texts):
    # As the file says, and not as some class of this kind of model would have it.
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    theirs = LlamaCpp(path)
    worst = 0.0
    for text in texts:
        ids = tokenizer(text).input_ids
        with torch.no_grad():
            expected = torch.log_softmax(model(torch.tensor([ids])).logits[0, -1], -1)
        predicted, _ = theirs.predict(ids)
        worst = max(worst, max(abs(expected[i].item() - p) for i, p in predicted.items()))
        from_text, length = theirs.predict(text)
        assert length == len(ids) and from_text.keys() == predicted.keys(), (text, length, len(ids))
    assert worst < most, (path.name, worst)
    print(f"{path.name}: log-probabilities within {worst:.4f} of the original's, tokens are equal")


def random_model(kind, model, work, **more):
    """Of random weights, with a tokenizer that is there; long waves of angles matter in it."""
    config = transformers.AutoConfig.for_model(
        kind, hidden_size=128, intermediate_size=256, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        vocab_size=4096, max_position_embeddings=128, head_dim=32 if kind == "qwen2" else 64, bos_token_id=0,
        eos_token_id=1, tie_word_embeddings=False, **more)
    torch.manual_seed(1)
    network = transformers.AutoModelForCausalLM.from_config(config).to(torch.bfloat16)
    with torch.no_grad():
        for value in network.parameters():
            value.add_(0.1 * torch.randn_like(value))
    folder = work / f"{kind}-{len(more)}"
    network.save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(model / name, folder / name)
    return folder


def main():
    program, model, work = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
    for mix, most in {"f16": 0.02, "q8_0": 0.4, "q6_k": 0.8, "q4_k_m": 2.0, "q3_k_m": 5.0, "iq4_xs": 3.0}.items():
        path = work / f"model-{mix}.gguf"
        run(program, "quantize", model, path, "--mix", mix, "--overwrite")
        check(path, model, most, TEXTS)
    stretched = {"rope_parameters": {"rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0,
                                     "high_freq_factor": 4.0, "original_max_position_embeddings": 32}}
    for kind, more in (("llama", {}), ("llama", stretched), ("mistral", {}), ("qwen2", {}), ("qwen3", {})):
        folder = random_model(kind, model, work, **more)
        path = work / f"{folder.name}.gguf"
        run(program, "quantize", folder, path, "--mix", "f16", "--overwrite")
        check(path, folder, 0.1, [" ".join(TEXTS) * 2])


main()
