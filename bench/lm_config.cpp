#include <initializer_list>
#include <optional>
#include <string>
#include <utility>

#include "bench/lm_model.hpp"
#include "mq/error.hpp"
#include "src/json.hpp"

namespace mq::bench {
namespace {

// The members of config.json that decide what a model computes.
class ConfigReader {
 public:
  ConfigReader(std::string_view text, std::string_view source) : value_(json::parse(text, source)), source_(source) {}

  // The member; null if there is none or it is JSON's null. A dot goes into an object.
  const json::Value* find(std::string_view key) const {
    const std::size_t dot = key.find('.');
    const json::Value* value = value_.find(key.substr(0, dot));
    if (value != nullptr && dot != std::string_view::npos) value = value->find(key.substr(dot + 1));
    return value != nullptr && !value->is_null() ? value : nullptr;
  }

  std::int64_t size(std::string_view key, std::optional<std::int64_t> otherwise = {}) const {
    constexpr std::int64_t kMost = 1 << 24;  // products of two are far from overflow
    const json::Value* value = find(key);
    if (value == nullptr && otherwise) return *otherwise;
    const std::int64_t* number = value != nullptr ? value->as_int() : nullptr;
    if (number == nullptr || *number < 1 || *number > kMost) {
      fail(key, "a whole number from 1 to " + std::to_string(kMost));
    }
    return *number;
  }

  double positive(std::string_view key, double otherwise) const {
    const json::Value* value = find(key);
    if (value == nullptr) return otherwise;
    double number = 0;
    if (value->as_double() != nullptr) number = *value->as_double();
    if (value->as_int() != nullptr) number = static_cast<double>(*value->as_int());
    if (!(number > 0)) fail(key, "a positive number");
    return number;
  }

  // The type under the first of the keys that is there; float32 if none is.
  DType float_type(std::initializer_list<std::string_view> keys) const {
    for (const std::string_view key : keys) {
      const json::Value* value = find(key);
      if (value == nullptr) continue;
      const std::optional<DType> type = value->as_string() != nullptr ? parse_dtype(*value->as_string()) : std::nullopt;
      if (type == DType::Float32 || type == DType::BFloat16 || type == DType::Float16) return *type;
      fail(key, "float32, bfloat16 or float16");
    }
    return DType::Float32;
  }

  // Refuses every value but the one that is computed. A key that is missing means that value.
  void require(std::string_view key, const json::Value& expected) const {
    const json::Value* value = find(key);
    if (value != nullptr && *value != expected) fail(key, json::dump(expected, -1));
  }

  [[noreturn]] void fail(std::string_view key, std::string expected) const {
    const json::Value* value = find(key);
    throw Error({.code = ErrorCode::Unsupported,
                 .message = std::string(key) + ": not a Llama model as mq-bench-lm evaluates them",
                 .file = source_,
                 .expected = std::move(expected),
                 .found = value != nullptr ? printable(json::dump(*value, -1)) : "nothing"});
  }

 private:
  json::Value value_;
  std::string source_;
};

}  // namespace

LmConfig parse_lm_config(std::string_view text, std::string_view source) {
  const ConfigReader config(text, source);
  if (config.find("model_type") == nullptr) config.fail("model_type", "\"llama\"");
  config.require("model_type", "llama");
  config.require("hidden_act", "silu");
  config.require("attention_bias", false);
  config.require("mlp_bias", false);
  // Where RoPE's parameters stand: in an object of their own since Transformers 5, beside the others before.
  config.require("rope_parameters.rope_type", "default");
  if (config.find("rope_scaling") != nullptr) config.fail("rope_scaling", "null");

  LmConfig result;
  result.layers = config.size("num_hidden_layers");
  result.hidden = config.size("hidden_size");
  result.intermediate = config.size("intermediate_size");
  result.heads = config.size("num_attention_heads");
  result.kv_heads = config.size("num_key_value_heads", result.heads);
  result.head_dim = config.size("head_dim", result.hidden / result.heads);
  result.vocab = config.size("vocab_size");
  result.positions = config.size("max_position_embeddings");
  result.rms_eps = config.positive("rms_norm_eps", 1e-6);
  result.rope_theta = config.positive("rope_parameters.rope_theta", config.positive("rope_theta", 10000.0));
  result.rope_dtype = config.float_type({"dtype", "torch_dtype"});
  const json::Value* tied = config.find("tie_word_embeddings");
  result.tied = tied != nullptr && *tied == json::Value(true);
  if (result.heads % result.kv_heads != 0) config.fail("num_key_value_heads", "a divisor of num_attention_heads");
  if (result.head_dim % 2 != 0) config.fail("head_dim", "an even number");
  return result;
}

}  // namespace mq::bench
