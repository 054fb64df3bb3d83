// A Llama model of one layer with random weights and a text for it, in a folder that vanishes with the object.
#pragma once

#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/support/checkpoints.hpp"
#include "tests/support/files.hpp"

namespace mq::test {

class TinyLm {
 public:
  // `extra`: names of vectors that the model holds besides.
  explicit TinyLm(const std::vector<std::string>& extra = {}) {
    const std::string layer = "model.layers.0.";
    std::vector<NamedBytes> tensors = {
        floats("model.embed_tokens.weight", {kVocab, 32}, 0, 1),
        floats(layer + "input_layernorm.weight", {32}, 1, 0.1),
        floats(layer + "self_attn.q_proj.weight", {32, 32}, 0, 0.3),
        floats(layer + "self_attn.k_proj.weight", {16, 32}, 0, 0.3),
        floats(layer + "self_attn.v_proj.weight", {16, 32}, 0, 0.3),
        floats(layer + "self_attn.o_proj.weight", {32, 32}, 0, 0.3),
        floats(layer + "post_attention_layernorm.weight", {32}, 1, 0.1),
        floats(layer + "mlp.gate_proj.weight", {64, 32}, 0, 0.3),
        floats(layer + "mlp.up_proj.weight", {64, 32}, 0, 0.3),
        floats(layer + "mlp.down_proj.weight", {32, 64}, 0, 0.3),
        floats("model.norm.weight", {32}, 0.1, 0.01),
    };
    for (const std::string& name : extra) tensors.push_back(floats(name, {32}, 0, 1));
    write_checkpoint(model(), "hf_safetensors", tensors);
    write_file(dir_ / "model/config.json", config());
    write_checkpoint(tokens(), "safetensors", {ids("eval.mixed"), ids("eval.wiki"), ids("calib.ids")});
  }

  std::string model() const { return dir_ / "model"; }
  std::string tokens() const { return dir_ / "tokens.safetensors"; }

  // The text of its config.json with more members, the last of which count.
  static std::string config(std::string_view members = {}) {
    const auto own = [&](std::string_view name, std::string_view value) {
      const std::string key = "\"" + std::string(name) + "\"";
      return members.find(key) == std::string_view::npos ? ", " + key + ": " + std::string(value) : std::string();
    };
    return R"({"model_type": "llama", "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1,
               "num_attention_heads": 2, "vocab_size": 48, "max_position_embeddings": 64)" +
           own("num_key_value_heads", "1") + own("tie_word_embeddings", "true") +
           (members.empty() ? "" : ", " + std::string(members)) + "}";
  }

 private:
  static constexpr std::int64_t kVocab = 48;
  static constexpr std::int64_t kTokens = 100;

  NamedBytes floats(std::string name, Shape shape, double mean, double deviation) {
    std::normal_distribution<float> normal(static_cast<float>(mean), static_cast<float>(deviation));
    return filled<float>({.name = std::move(name), .dtype = DType::Float32, .shape = std::move(shape)}, normal);
  }

  NamedBytes ids(std::string name) {
    std::uniform_int_distribution<std::int32_t> any(0, static_cast<std::int32_t>(kVocab) - 1);
    return filled<std::int32_t>({.name = std::move(name), .dtype = DType::Int32, .shape = {kTokens}}, any);
  }

  template <class T, class Distribution>
  NamedBytes filled(TensorInfo tensor, Distribution& distribution) {
    std::vector<T> values(static_cast<std::size_t>(tensor.numel()));
    for (T& value : values) value = distribution(random_);
    NamedBytes made{.tensor = std::move(tensor), .bytes = std::string(values.size() * sizeof(T), '\0')};
    std::memcpy(made.bytes.data(), values.data(), made.bytes.size());
    return made;
  }

  std::mt19937 random_{1};
  TempDir dir_;
};

}  // namespace mq::test
