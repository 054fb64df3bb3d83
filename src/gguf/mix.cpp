#include "src/gguf/mix.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <map>

#include "src/nearest.hpp"

namespace mq {
namespace gguf {
namespace {

struct Mix {
  std::string_view name;
  DType base;
  std::uint32_t file_type;
};
constexpr std::array kMixes = {
    Mix{"q2_k", DType::Q2_K, 10},     Mix{"q3_k_s", DType::Q3_K, 11},   Mix{"q3_k_m", DType::Q3_K, 12},
    Mix{"q3_k_l", DType::Q3_K, 13},   Mix{"q4_k_s", DType::Q4_K, 14},   Mix{"q4_k_m", DType::Q4_K, 15},
    Mix{"q5_k_s", DType::Q5_K, 16},   Mix{"q5_k_m", DType::Q5_K, 17},   Mix{"q6_k", DType::Q6_K, 18},
    Mix{"q8_0", DType::Q8_0, 7},      Mix{"q4_0", DType::Q4_0, 2},      Mix{"q4_1", DType::Q4_1, 3},
    Mix{"q5_0", DType::Q5_0, 8},      Mix{"q5_1", DType::Q5_1, 9},      Mix{"iq4_nl", DType::IQ4_NL, 25},
    Mix{"iq4_xs", DType::IQ4_XS, 30}, Mix{"bf16", DType::BFloat16, 32}, Mix{"f16", DType::Float16, 1},
};

constexpr auto kMixNames = [] {
  std::array<std::string_view, kMixes.size()> names;
  for (std::size_t i = 0; i < names.size(); ++i) names[i] = kMixes[i].name;
  return names;
}();

const Mix& mix_named(std::string_view name) {
  const auto* const found = std::ranges::find(kMixes, name, &Mix::name);
  if (found != kMixes.end()) return *found;
  std::string names;
  for (const std::string_view known : kMixNames) names += (names.empty() ? "" : ", ") + std::string(known);
  throw Error({.code = ErrorCode::Usage,
               .message = "unknown mix '" + printable(name) + "'",
               .expected = names,
               .hint = did_you_mean(name, kMixNames)});
}

enum class Category { Output, Embedding, Values, AttnK, AttnQ, AttnOutput, FfnUp, FfnGate, FfnDown, Other };

Category category_of(std::string_view name) {
  struct Part {
    std::string_view text;
    Category category;
  };
  static constexpr std::array kParts = {
      Part{"attn_qkv.weight", Category::Values}, Part{"attn_kv_b.weight", Category::Values},
      Part{"attn_v.weight", Category::Values},   Part{"attn_k.weight", Category::AttnK},
      Part{"attn_q.weight", Category::AttnQ},    Part{"attn_output.weight", Category::AttnOutput},
      Part{"ffn_up", Category::FfnUp},           Part{"ffn_gate", Category::FfnGate},
      Part{"ffn_down", Category::FfnDown},
  };
  if (name == "output.weight") return Category::Output;
  if (name == "token_embd.weight" || name == "per_layer_token_embd.weight") return Category::Embedding;
  for (const Part& part : kParts) {
    if (name.find(part.text) != std::string_view::npos) return part.category;
  }
  return Category::Other;
}

// Why a tensor keeps its type; empty if it does not.
std::string_view kept_because(const MixInput& tensor) {
  static constexpr std::array<std::string_view, 17> kKept = {"_norm.weight",
                                                             "ffn_gate_inp.weight",
                                                             "ffn_gate_tid2eid.weight",
                                                             "altup",
                                                             "laurel",
                                                             "per_layer_model_proj",
                                                             "ssm_conv1d",
                                                             "shortconv.conv.weight",
                                                             "indexer.k_proj.weight",
                                                             "indexer.q_proj.weight",
                                                             "time_mix_",
                                                             "attn_rel_b.weight",
                                                             ".position_embd",
                                                             ".patch_embd",
                                                             ".patch_merger",
                                                             ".rel_pos",
                                                             "sam."};
  static constexpr std::array<std::string_view, 2> kWhole = {"position_embd.weight", "token_types.weight"};
  if (std::ranges::count_if(tensor.shape, [](std::int64_t size) { return size > 1; }) < 2) {
    return "less than two dimensions";
  }
  if (!tensor.name.ends_with("weight")) return "not called weight";
  if (std::ranges::find(kWhole, tensor.name) != kWhole.end()) return "positions and types of tokens";
  for (const std::string_view part : kKept) {
    if (tensor.name.find(part) != std::string_view::npos) return "small and sensitive";
  }
  return {};
}

// The number after "blk."; -1 for tensors outside of blocks.
std::int64_t block_of(std::string_view name) {
  std::int64_t block = -1;
  if (name.starts_with("blk.")) std::from_chars(name.data() + 4, name.data() + name.size(), block);
  return block;
}

class Chooser {
 public:
  Chooser(const Mix& mix, const GgufModel& model, std::span<const MixInput> tensors) : mix_(mix), model_(model) {
    for (const MixInput& tensor : tensors) {
      if (kept_because(tensor).empty() && category_of(tensor.name) == Category::Values) ++values_count_;
      has_output_ = has_output_ || tensor.name == "output.weight";
    }
  }

  // Called in llama.cpp's order of tensors.
  MixChoice choose(const MixInput& tensor) {
    if (const std::string_view why = kept_because(tensor); !why.empty()) {
      return {std::nullopt, "kept: " + std::string(why)};
    }
    const Category category = category_of(tensor.name);
    DType wanted = mix_.base;
    if (is_quantized_block(mix_.base)) wanted = category == head() ? head_type(tensor) : from_table(category, tensor);
    std::string reason(mix_.name);
    if (wanted != mix_.base) reason += ": " + std::string(to_string(wanted)) + " here";
    return fitting(wanted, tensor, std::move(reason));
  }

 private:
  Category head() const { return has_output_ ? Category::Output : Category::Embedding; }
  bool is(std::string_view name) const { return mix_.name == name; }
  bool is_iq4() const { return mix_.base == DType::IQ4_NL || mix_.base == DType::IQ4_XS; }
  bool is_grouped_by(std::int64_t heads) const {
    return model_.kv_heads > 0 && model_.heads / model_.kv_heads >= heads;
  }
  // Few values serve many heads there, so that more bits for them cost little.
  bool is_70b() const {
    return model_.blocks == 80 &&
           ((model_.architecture == "llama" && is_grouped_by(2)) || model_.architecture == "qwen2");
  }

  // The output, which every answer passes through.
  DType head_type(const MixInput& tensor) const {
    const bool whole = tensor.shape.back() % info(mix_.base).block_numel == 0;
    return whole && mix_.base != DType::Q8_0 ? DType::Q6_K : DType::Q8_0;
  }

  static bool is_more(std::int64_t i, std::int64_t n) { return i < n / 8 || i >= 7 * n / 8 || (i - n / 8) % 3 == 2; }

  DType from_table(Category category, const MixInput& tensor) {
    switch (category) {
      case Category::Values:
        return values_type(values_seen_++);
      case Category::AttnK:
        return model_.experts == 8 ? DType::Q8_0 : mix_.base;
      case Category::AttnOutput:
        return output_type();
      case Category::FfnDown: {
        const std::int64_t block = model_.experts > 1 ? block_of(tensor.name) : downs_seen_;
        ++downs_seen_;
        return down_type(block, model_.blocks);
      }
      default:
        return mix_.base;
    }
  }

  DType values_type(std::int64_t i) const {
    DType type = mix_.base;
    if (is("q2_k")) type = is_grouped_by(4) ? DType::Q4_K : DType::Q3_K;
    if (is_iq4() && is_grouped_by(4)) type = DType::Q5_K;
    if (is("q3_k_m")) type = i < 2 ? DType::Q5_K : DType::Q4_K;
    if (is("q3_k_l")) type = DType::Q5_K;
    if (is("q4_k_s") && i < 4) type = DType::Q5_K;
    if ((is("q4_k_m") || is("q5_k_m")) && is_more(i, values_count_)) type = DType::Q6_K;
    if (is_70b() && (type == DType::Q3_K || type == DType::Q4_K)) type = DType::Q5_K;
    return model_.experts == 8 ? DType::Q8_0 : type;
  }

  DType output_type() const {
    if (model_.experts == 8) {
      static constexpr std::array<std::string_view, 7> kMore = {"q2_k",   "q3_k_s", "q3_k_m", "q4_k_s",
                                                                "q4_k_m", "iq4_nl", "iq4_xs"};
      return std::ranges::find(kMore, mix_.name) != kMore.end() ? DType::Q5_K : mix_.base;
    }
    if (is("q2_k")) return DType::Q3_K;
    if (is("q3_k_m")) return DType::Q4_K;
    return is("q3_k_l") ? DType::Q5_K : mix_.base;
  }

  DType down_type(std::int64_t i, std::int64_t n) const {
    if (is("q2_k")) return DType::Q3_K;
    if (is("q3_k_m")) return i < n / 16 ? DType::Q5_K : DType::Q4_K;
    if (is("q3_k_l")) return DType::Q5_K;
    if ((is("q4_k_s") || is_iq4()) && i < n / 8) return DType::Q5_K;
    if ((is("q4_k_m") || is("q5_k_m")) && is_more(i, n)) return DType::Q6_K;
    return mix_.base;
  }

  // What takes the place of a type whose blocks do not divide the rows.
  static DType smaller_blocks(DType dtype) {
    switch (dtype) {
      case DType::Q2_K:
      case DType::Q3_K:
        return DType::Q4_0;
      case DType::Q4_K:
        return DType::Q5_0;
      case DType::Q5_K:
        return DType::Q5_1;
      case DType::Q6_K:
        return DType::Q8_0;
      case DType::IQ4_XS:
        return DType::IQ4_NL;
      default:
        return DType::Float16;
    }
  }

  static MixChoice fitting(DType wanted, const MixInput& tensor, std::string reason) {
    const std::int64_t row = tensor.shape.back();
    for (int i = 0; i < 2 && row % info(wanted).block_numel != 0; ++i) {
      const DType instead = smaller_blocks(wanted);
      reason += ", " + std::string(to_string(instead)) + " instead: " + std::to_string(info(wanted).block_numel) +
                " does not divide " + std::to_string(row);
      wanted = instead;
    }
    return {wanted, std::move(reason)};
  }

  const Mix& mix_;
  const GgufModel& model_;
  bool has_output_ = false;
  std::int64_t values_count_ = 0;
  std::int64_t values_seen_ = 0;
  std::int64_t downs_seen_ = 0;
};

}  // namespace

std::vector<MixChoice> choose_mix(std::string_view mix, const GgufModel& model, std::span<const MixInput> tensors) {
  std::vector<std::size_t> order(tensors.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::ranges::sort(order, [&](std::size_t a, std::size_t b) {
    const std::int64_t block_a = block_of(tensors[a].name), block_b = block_of(tensors[b].name);
    return block_a != block_b ? block_a < block_b : tensors[a].name < tensors[b].name;
  });
  Chooser chooser(mix_named(mix), model, tensors);
  std::vector<MixChoice> choices(tensors.size());
  for (const std::size_t i : order) choices[i] = chooser.choose(tensors[i]);
  return choices;
}

std::uint32_t file_type_of_mix(std::string_view mix) {
  return mix_named(mix).file_type;
}

std::uint32_t file_type_of(DType dtype) noexcept {
  // Of a type that several mixes are made of, the one of least mixture: the first.
  const auto* const found = std::ranges::find(kMixes, dtype, &Mix::base);
  return found == kMixes.end() ? 0 : found->file_type;  // 0: all floats of 32 bits
}

}  // namespace gguf

std::span<const std::string_view> gguf_mixes() noexcept {
  return gguf::kMixNames;
}

}  // namespace mq
