#include "bench/lm_model.hpp"

#include <unordered_map>
#include <utility>

#include "mq/checkpoint.hpp"
#include "mq/error.hpp"
#include "src/gguf/restore.hpp"

namespace mq::bench {
namespace {

constexpr const char* kHead = "lm_head.weight";

// Takes the tensors of a checkpoint by name, each once, so that what is left over has no place in the model.
class TensorsByName {
 public:
  explicit TensorsByName(const Checkpoint& checkpoint, const Source& source) : checkpoint_(checkpoint) {
    for (const LogicalTensor& tensor : source.tensors) left_.emplace(tensor.info.name, &tensor);
  }

  bool has(const std::string& name) const { return left_.contains(name); }

  Tensor take(const std::string& name, const Shape& shape) { return take_linear(name, shape).weight; }

  LinearWeight take_linear(const std::string& name, const Shape& shape) {
    const auto found = left_.find(name);
    if (found == left_.end()) fail(name, "a tensor " + to_string(shape), "none of that name");
    const LogicalTensor& tensor = *found->second;
    if (tensor.info.shape != shape) fail(name, to_string(shape), to_string(tensor.info.shape));
    left_.erase(found);
    return {name, read_float(checkpoint_, tensor), 8.0 * static_cast<double>(tensor.stored_bytes)};
  }

  void require_all_taken() const {
    if (!left_.empty()) fail(left_.begin()->first, "only tensors of Llama's layers", "one without a place in them");
  }

 private:
  [[noreturn]] void fail(const std::string& name, std::string expected, std::string found) const {
    throw Error({.code = ErrorCode::Unsupported,
                 .message = "not a Llama model as its configuration describes it",
                 .file = checkpoint_.path().string(),
                 .tensor = name,
                 .expected = std::move(expected),
                 .found = std::move(found)});
  }

  const Checkpoint& checkpoint_;
  std::unordered_map<std::string, const LogicalTensor*> left_;
};

LmLayer take_layer(TensorsByName& tensors, const LmConfig& config, std::int64_t index) {
  const std::string prefix = "model.layers." + std::to_string(index) + ".";
  const auto linear = [&](const char* name, std::int64_t out, std::int64_t in) {
    return tensors.take_linear(prefix + name + ".weight", {out, in});
  };
  const std::int64_t width = config.heads * config.head_dim;
  const std::int64_t kv_width = config.kv_heads * config.head_dim;
  return {.input_norm = tensors.take(prefix + "input_layernorm.weight", {config.hidden}),
          .q = linear("self_attn.q_proj", width, config.hidden),
          .k = linear("self_attn.k_proj", kv_width, config.hidden),
          .v = linear("self_attn.v_proj", kv_width, config.hidden),
          .o = linear("self_attn.o_proj", config.hidden, width),
          .post_norm = tensors.take(prefix + "post_attention_layernorm.weight", {config.hidden}),
          .gate = linear("mlp.gate_proj", config.intermediate, config.hidden),
          .up = linear("mlp.up_proj", config.intermediate, config.hidden),
          .down = linear("mlp.down_proj", config.hidden, config.intermediate)};
}

LmConfig config_of(const Source& source, const std::filesystem::path& path, const std::optional<LmConfig>& otherwise) {
  if (!source.config.empty()) return parse_lm_config(source.config, (path / "config.json").string());
  if (otherwise) return *otherwise;
  throw Error({.code = ErrorCode::Unsupported,
               .message = "no model to evaluate",
               .file = path.string(),
               .expected = "a folder with a config.json, or a --reference that has one",
               .found = "weights alone"});
}

template <class Model, class Weight>
std::vector<Weight*> linears_of(Model& model) {
  std::vector<Weight*> weights;
  for (auto& layer : model.layers) {
    for (Weight* weight : {&layer.q, &layer.k, &layer.v, &layer.o, &layer.gate, &layer.up, &layer.down}) {
      weights.push_back(weight);
    }
  }
  return weights;
}

}  // namespace

std::vector<LinearWeight*> linears(LmModel& model) {
  return linears_of<LmModel, LinearWeight>(model);
}

std::vector<const LinearWeight*> linears(const LmModel& model) {
  return linears_of<const LmModel, const LinearWeight>(model);
}

LmModel load_lm(const std::filesystem::path& path, const std::optional<LmConfig>& config, const Source* original) {
  const auto checkpoint = open_checkpoint(path);
  Source source = describe(*checkpoint);
  if (original != nullptr) gguf::restore_names(*original, source);
  LmModel model{.config = config_of(source, path, config)};
  TensorsByName tensors(*checkpoint, source);
  const Shape embedding = {model.config.vocab, model.config.hidden};
  model.embedding = tensors.take("model.embed_tokens.weight", embedding);
  for (std::int64_t i = 0; i < model.config.layers; ++i) model.layers.push_back(take_layer(tensors, model.config, i));
  model.norm = tensors.take("model.norm.weight", {model.config.hidden});
  const bool shared = model.config.tied && !tensors.has(kHead);
  model.head = shared ? model.embedding : tensors.take(kHead, embedding);
  tensors.require_all_taken();
  return model;
}

}  // namespace mq::bench
