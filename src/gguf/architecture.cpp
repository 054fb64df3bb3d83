#include "src/gguf/architecture.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <set>

#include "formats/gguf_value.hpp"
#include "src/math.hpp"

namespace mq::gguf {
namespace {

using formats::gguf_value;

constexpr std::array kArchitectures = {
    Architecture{"llama", "llama", true},
    Architecture{"mistral", "llama", true},
    Architecture{.model_type = "qwen2", .name = "qwen2", .full_heads = true},
    Architecture{"qwen3", "qwen3"},
};

constexpr std::int64_t kMaxHeadDim = 1 << 16;

struct Name {
  std::string_view hf;
  std::string_view gguf;
  bool needed = true;
};
constexpr std::array kOutside = {Name{"embed_tokens.weight", "token_embd.weight"},
                                 Name{"norm.weight", "output_norm.weight"},
                                 Name{"lm_head.weight", "output.weight", false}};
// Without .weight and .bias.
constexpr std::array kInBlock = {
    Name{"self_attn.q_proj", "attn_q"},
    Name{"self_attn.k_proj", "attn_k"},
    Name{"self_attn.v_proj", "attn_v"},
    Name{"self_attn.o_proj", "attn_output"},
    Name{"mlp.gate_proj", "ffn_gate"},
    Name{"mlp.up_proj", "ffn_up"},
    Name{"mlp.down_proj", "ffn_down"},
    Name{"input_layernorm", "attn_norm"},
    Name{"post_attention_layernorm", "ffn_norm"},
    Name{"self_attn.q_norm", "attn_q_norm", false},
    Name{"self_attn.k_norm", "attn_k_norm", false},
};

std::string_view without(std::string_view text, std::string_view prefix) {
  return text.starts_with(prefix) ? text.substr(prefix.size()) : text;
}

struct BlockName {
  std::int64_t block = 0;
  std::string_view rest;
};

// "layers.12.mlp.up_proj.weight"
std::optional<BlockName> block_name(std::string_view name) {
  constexpr std::string_view kLayers = "layers.";
  if (!name.starts_with(kLayers)) return std::nullopt;
  BlockName result;
  const char* const end = name.data() + name.size();
  const auto [stop, problem] = std::from_chars(name.data() + kLayers.size(), end, result.block);
  if (problem != std::errc{} || stop == end || *stop != '.' || result.block < 0) return std::nullopt;
  result.rest = name.substr(static_cast<std::size_t>(stop + 1 - name.data()));
  return result;
}

// Buffers of angles, which old checkpoints have.
bool is_computed(std::string_view name) {
  return name.ends_with(".rotary_emb.inv_freq") || name.ends_with(".rotary_emb.cos_cached") ||
         name.ends_with(".rotary_emb.sin_cached");
}

void require_rows_of_heads(const TensorInfo& tensor, std::int32_t heads, const ModelNumbers& numbers) {
  const std::int64_t expected = heads * numbers.head_dim;
  if (numbers.head_dim % 2 == 0 && !tensor.shape.empty() && tensor.shape.front() == expected) return;
  throw Error(
      {.code = ErrorCode::Usage,
       .message = "the rows of this tensor are not those of the heads that config.json speaks of",
       .tensor = tensor.name,
       .expected = std::to_string(heads) + " heads of an even number of rows, " + std::to_string(expected) + " in all",
       .found = to_string(tensor.shape)});
}

void require_all(const std::set<std::string_view>& names, const ModelNumbers& numbers, bool tied) {
  const auto require = [&](const std::string& name) {
    if (names.contains(name)) return;
    throw Error({.code = ErrorCode::Usage,
                 .message = "a tensor that a GGUF file of this model needs is missing",
                 .tensor = name,
                 .hint = "--like BASE.gguf takes names and key-values of another file"});
  };
  for (const Name& row : kOutside) {
    if (row.needed || !tied) require(std::string(row.gguf));
  }
  for (std::int64_t block = 0; block < numbers.blocks; ++block) {
    for (const Name& row : kInBlock) {
      if (row.needed) require("blk." + std::to_string(block) + "." + std::string(row.gguf) + ".weight");
    }
  }
}

// How angles are stretched for long contexts: a member of config.json, in newer files together with the angles' base.
HfObject rope_of(const HfObject& config) {
  for (const char* key : {"rope_parameters", "rope_scaling"}) {
    if (const json::Value* found = config.find(key); found != nullptr && found->as_object() != nullptr) {
      return {*found, config.file() + ": " + key};
    }
  }
  return {json::Object{}, config.file()};
}

// What Llama 3 divides the frequencies by: 1 for short waves, the factor for long ones, in between a mixture.
std::vector<float> llama3_factors(const HfObject& rope, float base, std::int64_t dims) {
  const double factor = rope.need_number("factor");
  const double low = rope.need_number("low_freq_factor"), high = rope.need_number("high_freq_factor");
  const double context = rope.need_count("original_max_position_embeddings");
  constexpr double kTwoPi = 6.283185307179586;
  std::vector<float> factors;
  for (std::int64_t i = 0; i < dims / 2; ++i) {
    const double frequency = 1 / math::pow(base, static_cast<double>(2 * i) / static_cast<double>(dims));
    const double wave = kTwoPi / frequency;
    if (wave < context / high) {
      factors.push_back(1);
    } else if (wave > context / low) {
      factors.push_back(static_cast<float>(factor));
    } else {
      const double smooth = (context / wave - low) / (high - low);
      factors.push_back(static_cast<float>(1 / ((1 - smooth) / factor + smooth)));
    }
  }
  return factors;
}

void add_rope(const std::string& prefix, const HfObject& config, const ModelNumbers& numbers, GgufModel& model) {
  const HfObject rope = rope_of(config);
  const std::optional<float> own = rope.number("rope_theta");
  const float base = own ? *own : config.number("rope_theta").value_or(10000.0f);
  model.values.push_back(gguf_value(prefix + "rope.dimension_count", static_cast<std::uint32_t>(numbers.head_dim)));
  model.values.push_back(gguf_value(prefix + "rope.freq_base", base));
  const std::string type = rope.text("rope_type").value_or(rope.text("type").value_or("default"));
  if (type == "default") return;
  if (type == "llama3") {
    model.constants.emplace_back("rope_freqs.weight", llama3_factors(rope, base, numbers.head_dim));
    return;
  }
  if (type != "linear" && type != "yarn") rope.refuse("rope_type", "default, linear, yarn or llama3", type);
  model.values.push_back(gguf_value(prefix + "rope.scaling.type", std::string_view(type)));
  model.values.push_back(gguf_value(prefix + "rope.scaling.factor", rope.need_number("factor")));
  if (const auto context = rope.count("original_max_position_embeddings")) {
    model.values.push_back(gguf_value(prefix + "rope.scaling.original_context_length", *context));
  }
}

}  // namespace

const Architecture* find_architecture(std::string_view model_type) noexcept {
  const auto* const found = std::ranges::find(kArchitectures, model_type, &Architecture::model_type);
  return found == kArchitectures.end() ? nullptr : found;
}

std::string known_model_types() {
  std::string names;
  for (const Architecture& row : kArchitectures) names += (names.empty() ? "" : ", ") + std::string(row.model_type);
  return names;
}

std::string gguf_name(std::string_view name) {
  const std::string_view inner = without(name, "model.");
  for (const Name& row : kOutside) {
    if (row.hf == inner) return std::string(row.gguf);
  }
  const std::optional<BlockName> in_block = block_name(inner);
  if (!in_block) return {};
  const std::size_t dot = in_block->rest.rfind('.');
  if (dot == std::string_view::npos) return {};
  const std::string_view leaf = in_block->rest.substr(dot);
  if (leaf != ".weight" && leaf != ".bias") return {};
  for (const Name& row : kInBlock) {
    if (row.hf != in_block->rest.substr(0, dot)) continue;
    return "blk." + std::to_string(in_block->block) + "." + std::string(row.gguf) + std::string(leaf);
  }
  return {};
}

std::int32_t heads_of(std::string_view hf_name, const HeadCounts& counts) {
  if (hf_name.find(".self_attn.q_proj.") != std::string_view::npos) return static_cast<std::int32_t>(counts.heads);
  if (hf_name.find(".self_attn.k_proj.") != std::string_view::npos) return static_cast<std::int32_t>(counts.kv_heads);
  return 0;
}

HeadCounts head_counts(const HfObject& config) {
  HeadCounts counts{.heads = config.need_count("num_attention_heads"), .kv_heads = 0};
  counts.kv_heads = config.count("num_key_value_heads").value_or(static_cast<std::uint32_t>(counts.heads));
  if (counts.kv_heads != 0 && counts.heads % counts.kv_heads == 0) return counts;
  config.refuse("num_key_value_heads", "a divisor of num_attention_heads", std::to_string(counts.kv_heads));
}

ModelNumbers add_model_values(const Architecture& architecture, const HfObject& config, GgufModel& model) {
  ModelNumbers numbers{head_counts(config)};
  numbers.blocks = config.need_count("num_hidden_layers");
  numbers.vocab_size = config.need_count("vocab_size");
  const std::uint32_t width = config.need_count("hidden_size");
  const std::optional<std::uint32_t> head_dim = config.count("head_dim");
  numbers.head_dim = head_dim ? *head_dim : width / numbers.heads;
  if (numbers.head_dim < 2 || numbers.head_dim > kMaxHeadDim) {
    config.refuse("head_dim", "2 to " + std::to_string(kMaxHeadDim), std::to_string(numbers.head_dim));
  }
  if (architecture.full_heads && numbers.head_dim * numbers.heads != width) {
    config.refuse("head_dim", std::to_string(width / numbers.heads) + ", hidden_size by num_attention_heads",
                  std::to_string(numbers.head_dim));
  }
  const std::string prefix = std::string(architecture.name) + ".";
  const auto add = [&](const char* key, auto value) { model.values.push_back(gguf_value(prefix + key, value)); };
  add("block_count", static_cast<std::uint32_t>(numbers.blocks));
  add("context_length", config.need_count("max_position_embeddings"));
  add("embedding_length", width);
  add("feed_forward_length", config.need_count("intermediate_size"));
  add("attention.head_count", static_cast<std::uint32_t>(numbers.heads));
  add("attention.head_count_kv", static_cast<std::uint32_t>(numbers.kv_heads));
  add("attention.layer_norm_rms_epsilon", config.need_number("rms_norm_eps"));
  if (head_dim) {
    add("attention.key_length", *head_dim);
    add("attention.value_length", *head_dim);
  }
  add("vocab_size", static_cast<std::uint32_t>(numbers.vocab_size));
  add_rope(prefix, config, numbers, model);
  return numbers;
}

void name_tensors(const Architecture& architecture, const ModelNumbers& numbers, bool tied, const Source& source,
                  GgufModel& model) {
  std::set<std::string_view> names;
  model.tensors.clear();
  for (const LogicalTensor& tensor : source.tensors) {
    const SharedString& name = tensor.info.name;
    GgufTensor& row = model.tensors.emplace_back(GgufTensor{.name = gguf_name(name)});
    if (is_computed(name)) row.left_out = "llama.cpp computes it";
    if (tied && row.name == "output.weight") row.left_out = "config.json ties it to the embedding";
    if (!row.left_out.empty()) continue;
    const std::optional<BlockName> in_block = block_name(without(name, "model."));
    if (row.name.empty() || (in_block && in_block->block >= numbers.blocks)) {
      throw Error({.code = ErrorCode::Usage,
                   .message = "a model of type " + std::string(architecture.model_type) +
                              " has no such tensor, and llama.cpp no name for it",
                   .tensor = name,
                   .hint = "--like BASE.gguf takes names and key-values of another file"});
    }
    names.insert(row.name);
    if (!architecture.interleaves) continue;
    row.heads = heads_of(name, numbers);
    if (row.heads != 0) require_rows_of_heads(tensor.info, row.heads, numbers);
  }
  require_all(names, numbers, tied);
}

}  // namespace mq::gguf
