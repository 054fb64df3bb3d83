"""Makes the folder llama: a Llama of random weights, small enough to be kept, with a byte-level BPE tokenizer.
Needs torch, transformers and tokenizers."""

import pathlib

import tokenizers
import torch
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
transformers.LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(HERE)
