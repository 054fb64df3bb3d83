// A small model of the Llama architecture, as Hugging Face keeps it: a folder, or a part of one for what is missing.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "src/json.hpp"
#include "tests/support/checkpoints.hpp"
#include "tests/support/files.hpp"

namespace mq::test {

struct LlamaFolder {
  int blocks = 2, heads = 4, kv_heads = 2, head_dim = 64, width = 256, inner = 512, vocab = 40;
  bool biases = false;
  json::Value config = json::parse(R"({"model_type": "llama", "max_position_embeddings": 128, "rms_norm_eps": 1e-05,
      "rope_theta": 500000.0, "bos_token_id": 1, "eos_token_id": [2, 3], "tie_word_embeddings": false})",
                                   "config.json");
  json::Value tokenizer = bpe_tokenizer();
  json::Value tokenizer_config = json::parse(R"({"bos_token": "<s>", "add_bos_token": true})", "tokenizer_config.json");
  std::function<void(std::vector<NamedBytes>&)> change = {};  // of the tensors

  static json::Value bpe_tokenizer() {
    return json::parse(R"({"added_tokens": [{"id": 1, "content": "<s>", "special": true},
        {"id": 2, "content": "</s>", "special": true}, {"id": 4, "content": "word", "special": false}],
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true},
        "model": {"type": "BPE", "vocab": {"a": 0, "b": 3, "\u0120a": 5, "ab": 6},
                  "merges": [["\u0120", "a"], "a b"]}})",
                       "tokenizer.json");
  }

  std::vector<NamedBytes> tensors() const {
    std::vector<NamedBytes> all;
    const auto add = [&](const std::string& name, Shape shape) {
      all.push_back(sample(name, DType::BFloat16, std::move(shape)));
      // Not all patterns of bits are finite.
      for (std::size_t i = 1; i < all.back().bytes.size(); i += 2) all.back().bytes[i] &= static_cast<char>(0xbf);
    };
    add("model.embed_tokens.weight", {vocab, width});
    for (int i = 0; i < blocks; ++i) {
      const std::string block = "model.layers." + std::to_string(i) + ".";
      add(block + "input_layernorm.weight", {width});
      add(block + "post_attention_layernorm.weight", {width});
      add(block + "self_attn.q_proj.weight", {heads * head_dim, width});
      add(block + "self_attn.k_proj.weight", {kv_heads * head_dim, width});
      add(block + "self_attn.v_proj.weight", {kv_heads * head_dim, width});
      add(block + "self_attn.o_proj.weight", {width, heads * head_dim});
      add(block + "mlp.gate_proj.weight", {inner, width});
      add(block + "mlp.up_proj.weight", {inner, width});
      add(block + "mlp.down_proj.weight", {width, inner});
      if (biases) add(block + "self_attn.q_proj.bias", {heads * head_dim});
    }
    add("model.norm.weight", {width});
    add("lm_head.weight", {vocab, width});
    if (change) change(all);
    return all;
  }

  std::filesystem::path write(const std::filesystem::path& folder) const {
    std::filesystem::create_directories(folder);
    write_checkpoint(folder / "model.safetensors", "safetensors", tensors());
    json::Value complete = config;
    const auto number = [&](const char* key, int value) {
      if (!complete.find(key)) complete.set(key, value);
    };
    number("num_hidden_layers", blocks);
    number("num_attention_heads", heads);
    number("num_key_value_heads", kv_heads);
    number("hidden_size", width);
    number("intermediate_size", inner);
    number("vocab_size", vocab);
    write_file(folder / "config.json", json::dump(complete));
    if (!tokenizer.is_null()) write_file(folder / "tokenizer.json", json::dump(tokenizer));
    if (!tokenizer_config.is_null()) write_file(folder / "tokenizer_config.json", json::dump(tokenizer_config));
    return folder;
  }
};

}  // namespace mq::test
