"""Makes the folder llama: a Llama of random weights, small enough to be kept, with a byte-level BPE tokenizer; and
llama_ranges.safetensors, what its layers take in on a few tokens.
Needs torch, transformers and tokenizers."""

import pathlib

import tokenizers
import torch
from safetensors.torch import save_file
import transformers

HERE = pathlib.Path(__file__).parent / "llama"
TEXT = ["once upon a time there was a little girl who liked to play in the park with her dog and her friend tom"]

tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
tokenizer.decoder = tokenizers.decoders.ByteLevel()
trainer = tokenizers.trainers.BpeTrainer(vocab_size=288, special_tokens=["<s>", "</s>"],
                                         initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet())
tokenizer.train_from_iterator(TEXT, trainer)
transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>").save_pretrained(HERE)

torch.manual_seed(1)
config = transformers.LlamaConfig(vocab_size=288, hidden_size=64, intermediate_size=96, num_hidden_layers=2,
                                  num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64,
                                  bos_token_id=0, eos_token_id=1, tie_word_embeddings=True)
model = transformers.LlamaForCausalLM(config).to(torch.bfloat16)
model.save_pretrained(HERE)

ranges = {}
for name, module in model.named_modules():
    if isinstance(module, torch.nn.Linear) and name != "lm_head":
        def note(_, inputs, name=name):
            ranges[name + ".input_min"] = inputs[0].min().float()
            ranges[name + ".input_max"] = inputs[0].max().float()
        module.register_forward_pre_hook(note)
with torch.no_grad():
    model(torch.arange(64)[None])
save_file(ranges, HERE.parent / "llama_ranges.safetensors")
