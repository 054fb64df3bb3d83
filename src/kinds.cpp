#include "src/kinds.hpp"

#include <algorithm>
#include <array>
#include <string>

#include "src/float_rows.hpp"
#include "src/json.hpp"
#include "src/nearest.hpp"

namespace mq {
namespace {

struct KindName {
  TensorKind kind;
  std::string_view name;
};

constexpr std::array kKindNames = {
    KindName{TensorKind::Linear, "linear"},
    KindName{TensorKind::Conv, "conv"},
    KindName{TensorKind::ConvTranspose, "conv_transpose"},
    KindName{TensorKind::Conv1D, "conv1d"},
    KindName{TensorKind::Recurrent, "recurrent"},
    KindName{TensorKind::Experts, "experts"},
    KindName{TensorKind::Embedding, "embedding"},
    KindName{TensorKind::Head, "head"},
    KindName{TensorKind::Norm, "norm"},
    KindName{TensorKind::Router, "router"},
    KindName{TensorKind::Bias, "bias"},
    KindName{TensorKind::Vector, "vector"},
    KindName{TensorKind::NotFloat, "not_float"},
    KindName{TensorKind::Unknown, "unknown"},
};

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return 'A' <= c && c <= 'Z' ? c + 32 : c; });
  return out;
}

// A tensor's name cut at its last dot, in lower case.
struct Name {
  std::string full;
  std::string_view module;  // "model.layers.0.mlp.gate"
  std::string_view owner;   // last component of module: "gate"
  std::string_view leaf;    // "weight"

  explicit Name(std::string_view name) : full(lower(name)) {
    const std::string_view all = full;
    const std::size_t dot = all.rfind('.');
    leaf = dot == std::string_view::npos ? all : all.substr(dot + 1);
    module = dot == std::string_view::npos ? std::string_view() : all.substr(0, dot);
    const std::size_t owner_dot = module.rfind('.');
    owner = owner_dot == std::string_view::npos ? module : module.substr(owner_dot + 1);
  }
};

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

template <std::size_t N>
bool any_of(std::string_view text, const std::array<std::string_view, N>& names) {
  return std::find(names.begin(), names.end(), text) != names.end();
}

// Whether a word stands in the text as a component: not inside a longer run of letters ("bn1" has bn, "cabn" has not).
bool has_word(std::string_view text, std::string_view word) {
  const auto is_letter = [](char c) { return 'a' <= c && c <= 'z'; };
  for (std::size_t at = text.find(word); at != std::string_view::npos; at = text.find(word, at + 1)) {
    const bool starts = at == 0 || !is_letter(text[at - 1]);
    const std::size_t end = at + word.size();
    if (starts && (end == text.size() || !is_letter(text[end]))) return true;
  }
  return false;
}

bool is_norm(const Name& name, std::string_view layer_type) {
  return contains(layer_type, "norm") || contains(name.owner, "norm") || has_word(name.owner, "ln") ||
         has_word(name.owner, "bn") || name.leaf.starts_with("running_") || contains(name.leaf, "norm");
}

bool is_embedding(const Name& name, std::string_view layer_type) {
  static constexpr std::array<std::string_view, 8> kOwners = {
      "wte",    "wpe",      "embed_tokens",    "tok_embeddings",
      "shared", "embed_in", "token_embedding", "relative_attention_bias"};
  static constexpr std::array<std::string_view, 5> kLeaves = {"pos_embed", "cls_token", "mask_token",
                                                              "position_embedding", "relative_position_bias_table"};
  return contains(layer_type, "embedding") || any_of(name.owner, kOwners) || any_of(name.leaf, kLeaves) ||
         contains(name.owner, "embedding") || name.owner == "embed" || name.owner == "emb" ||
         has_word(name.owner, "embd");
}

bool is_head(const Name& name) {
  static constexpr std::array<std::string_view, 6> kModules = {"output", "head",      "classifier",
                                                               "score",  "embed_out", "cls.predictions.decoder"};
  return name.leaf == "weight" && (name.owner == "lm_head" || any_of(name.module, kModules));
}

bool is_router(const Name& name) {
  return contains(name.owner, "router") || name.owner == "shared_expert_gate" || name.owner == "ffn_gate_inp" ||
         name.owner == "ffn_gate_inp_shexp" ||
         (name.owner == "gate" && (contains(name.module, "mlp") || contains(name.module, "moe") ||
                                   contains(name.module, "feed_forward") || contains(name.module, "ffn")));
}

bool is_conv_transpose(const Name& name, std::string_view layer_type) {
  return contains(layer_type, "convtranspose") || contains(name.module, "deconv") ||
         contains(name.module, "convtranspose") || contains(name.module, "conv_transpose") ||
         contains(name.module, "transpose_conv") || contains(name.module, "transposeconv") ||
         has_word(name.owner, "upconv") || has_word(name.owner, "convt");
}

bool is_gpt2_projection(const Name& name) {
  return name.leaf == "weight" &&
         (name.owner == "c_attn" || name.owner == "c_proj" || name.owner == "c_fc" || name.owner == "q_attn");
}

// GPT-2's Conv1D keeps [in, out]; models with the same names and Linear layers keep [out, in]. The fused projection to
// query, key and value tells them apart: it is three times as wide as its input.
bool uses_conv1d(std::span<const LogicalTensor> tensors, std::string_view model_type) {
  if (model_type == "gpt2") return true;
  return std::any_of(tensors.begin(), tensors.end(), [](const LogicalTensor& t) {
    const Shape& shape = t.info.shape;
    return shape.size() == 2 && shape[1] % 3 == 0 && shape[1] / 3 == shape[0] && Name(t.info.name).owner == "c_attn";
  });
}

// "llama", empty if unknown.
std::string model_type(const Source& source) {
  if (source.config.empty()) return {};
  const json::Value config = json::parse(source.config, "config.json");
  const json::Value* type = config.find("model_type");
  return type && type->as_string() ? *type->as_string() : std::string();
}

TensorKind kind_of_matrix(const Name& name, std::string_view layer_type, bool conv1d) {
  if (is_router(name)) return TensorKind::Router;
  if (is_head(name)) return TensorKind::Head;
  if (layer_type == "conv1d" || (conv1d && is_gpt2_projection(name))) return TensorKind::Conv1D;
  if (name.leaf.starts_with("weight_ih_l") || name.leaf.starts_with("weight_hh_l")) return TensorKind::Recurrent;
  if (name.leaf == "weight" || name.leaf.ends_with("proj_weight")) return TensorKind::Linear;
  return TensorKind::Unknown;
}

TensorKind kind_of(const LogicalTensor& tensor, bool conv1d) {
  if (!is_readable_float(tensor.info.dtype) && !tensor.spec) {
    return info(tensor.info.dtype).is_float ? TensorKind::Unknown : TensorKind::NotFloat;
  }
  const Name name(tensor.info.name);
  const std::string layer_type = lower(tensor.info.layer_type);
  const std::size_t rank = tensor.info.shape.size();
  // An fp8 weight without a scale that was recognised is not a weight by itself.
  if (bytes_of(tensor.info.dtype, 1) == 1 && !tensor.spec && rank >= 2) return TensorKind::Unknown;
  if (is_norm(name, layer_type)) return TensorKind::Norm;
  if (contains(name.leaf, "bias") && rank < 2) return TensorKind::Bias;
  if (is_embedding(name, layer_type)) return TensorKind::Embedding;
  if (rank < 2) return TensorKind::Vector;
  if (rank == 2) return kind_of_matrix(name, layer_type, conv1d);
  if (rank == 3 && (contains(name.full, "experts") || name.owner.ends_with("_exps"))) return TensorKind::Experts;
  if (name.leaf != "weight") return TensorKind::Unknown;
  return is_conv_transpose(name, layer_type) ? TensorKind::ConvTranspose : TensorKind::Conv;
}

}  // namespace

std::string_view to_string(TensorKind kind) noexcept {
  return kKindNames[static_cast<std::size_t>(kind)].name;
}

TensorKind parse_kind(std::string_view name) {
  std::array<std::string_view, kKindNames.size()> names;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (kKindNames[i].name == name) return kKindNames[i].kind;
    names[i] = kKindNames[i].name;
  }
  throw Error({.code = ErrorCode::Usage,
               .message = "unknown kind '" + printable(name) + "'",
               .expected = "one of linear, conv, conv_transpose, conv1d, recurrent, experts, embedding, head, norm, "
                           "router, bias, vector, not_float, unknown",
               .hint = did_you_mean(name, names)});
}

std::vector<TensorKind> classify(const Source& source) {
  const bool conv1d = uses_conv1d(source.tensors, model_type(source));
  std::vector<TensorKind> kinds;
  kinds.reserve(source.tensors.size());
  for (const LogicalTensor& tensor : source.tensors) kinds.push_back(kind_of(tensor, conv1d));
  return kinds;
}

}  // namespace mq
