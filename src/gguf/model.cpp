#include <algorithm>
#include <set>

#include "formats/gguf_value.hpp"
#include "src/gguf/architecture.hpp"
#include "src/gguf/tokenizer.hpp"

namespace mq {
namespace {

using namespace gguf;
using formats::gguf_value;

constexpr std::string_view kGgufFormat = "gguf";
constexpr std::int64_t kMaxTokens = 1 << 24;

// What a file that was split into several says of itself.
bool is_of_the_file(std::string_view key) {
  return key.starts_with("split.");
}

void keep_names(const Source& source, std::string why, GgufModel& model) {
  model.own_names = std::move(why);
  model.tensors.clear();
  for (const LogicalTensor& tensor : source.tensors) model.tensors.push_back({.name = tensor.info.name});
}

// A file for a runtime says what it is, whatever it is.
void add_unknown(const Source& source, std::string why, GgufModel& model) {
  keep_names(source, std::move(why), model);
  model.values.push_back(gguf_value("general.architecture", std::string_view("unknown")));
}

// The last part of the name under which the model was published.
std::string published_name(const HfObject& config) {
  const std::string name = config.text("_name_or_path").value_or("");
  return name.substr(name.rfind('/') + 1);
}

void add_numbers(const ModelNumbers& numbers, GgufModel& model) {
  model.blocks = numbers.blocks;
  model.heads = numbers.heads;
  model.kv_heads = numbers.kv_heads;
}

bool is_tied(const HfObject& config) {
  return config.flag("tie_word_embeddings", false);
}

// A token for every row of the embedding, and no memory for a number that is not the file's.
void require_embedding(const HfObject& config, const Source& source, const GgufModel& model, std::int64_t tokens) {
  for (std::size_t i = 0; i < model.tensors.size(); ++i) {
    const Shape& shape = source.tensors[i].info.shape;
    if (model.tensors[i].name != "token_embd.weight") continue;
    if (!shape.empty() && shape.front() == tokens && tokens <= kMaxTokens) return;
    config.refuse("vocab_size", "the rows of the embedding, at most " + std::to_string(kMaxTokens),
                  std::to_string(tokens) + " for " + to_string(shape));
  }
}

GgufModel from_hugging_face(const Source& source) {
  GgufModel model;
  if (source.config.empty()) {
    add_unknown(source, "there is no config.json that says what the model is", model);
    return model;
  }
  const HfObject config(json::parse(source.config, "config.json"), "config.json");
  const std::string type = config.text("model_type").value_or("");
  const Architecture* const architecture = find_architecture(type);
  if (architecture == nullptr) {
    add_unknown(source,
                type.empty() ? "config.json names no model_type"
                             : "models of type " + type + " have no names here (" + known_model_types() + " have)",
                model);
    return model;
  }
  HfFiles files(source);
  model.architecture = architecture->name;
  model.values.push_back(gguf_value("general.architecture", architecture->name));
  model.values.push_back(gguf_value("general.type", std::string_view("model")));
  if (const std::string name = published_name(config); !name.empty()) {
    model.values.push_back(gguf_value("general.name", std::string_view(name)));
  }
  const ModelNumbers numbers = add_model_values(*architecture, config, model);
  add_numbers(numbers, model);
  name_tensors(*architecture, numbers, is_tied(config), source, model);
  require_embedding(config, source, model, numbers.vocab_size);
  add_tokenizer(files, config, numbers.vocab_size, model);
  model.files = files.read();
  model.files.emplace_back("config.json");
  return model;
}

std::uint32_t number_of(const GgufModel& model, const std::string& key) {
  const StoredValue* const value = formats::find_value(model.values, model.architecture + "." + key);
  return value == nullptr ? 0 : formats::as_u32(*value).value_or(0);
}

// What a GGUF file says of its model; nothing of the tensors.
GgufModel from_gguf(const std::filesystem::path& path) {
  GgufModel model;
  for (StoredValue& value : formats::read_gguf_values(path, {})) {
    if (!is_of_the_file(value.key)) model.values.push_back(std::move(value));
  }
  const StoredValue* const name = formats::find_value(model.values, "general.architecture");
  model.architecture = name == nullptr ? "" : formats::as_string(*name).value_or("");
  model.blocks = number_of(model, "block_count");
  model.heads = number_of(model, "attention.head_count");
  model.kv_heads = number_of(model, "attention.head_count_kv");
  if (model.kv_heads == 0) model.kv_heads = model.heads;
  model.experts = number_of(model, "expert_count");
  return model;
}

[[noreturn]] void unlike(const std::filesystem::path& like, std::string message, const SharedString& tensor,
                         std::string expected, std::string found) {
  throw Error({.code = ErrorCode::Usage,
               .message = std::move(message),
               .file = like.string(),
               .tensor = tensor,
               .expected = std::move(expected),
               .found = std::move(found)});
}

// Tensors that have the names of the other file keep them; those of a known architecture get them.
GgufModel from_like(const Source& source, const std::filesystem::path& like) {
  const auto base = open_checkpoint(like);
  if (base->format() != kGgufFormat) unlike(like, "not a GGUF file", "", "a GGUF file", std::string(base->format()));
  GgufModel model = from_gguf(like);
  const Architecture* architecture = nullptr;
  ModelNumbers numbers;
  bool tied = true;
  if (!source.config.empty()) {
    const HfObject config(json::parse(source.config, "config.json"), "config.json");
    architecture = find_architecture(config.text("model_type").value_or(""));
    if (architecture != nullptr && architecture->name != model.architecture) {
      unlike(like, "another architecture", "", std::string(architecture->name), model.architecture);
    }
    GgufModel unused;
    if (architecture != nullptr) numbers = add_model_values(*architecture, config, unused);
    tied = is_tied(config);
    model.files.emplace_back("config.json");
  }
  const bool has_names = std::ranges::all_of(
      source.tensors, [&](const LogicalTensor& tensor) { return base->find(tensor.info.name).has_value(); });
  if (has_names || architecture == nullptr) {
    keep_names(source, "they are those of " + like.filename().string(), model);
  } else {
    name_tensors(*architecture, numbers, tied, source, model);
  }
  std::set<std::string_view> written;
  for (std::size_t i = 0; i < source.tensors.size(); ++i) {
    const GgufTensor& tensor = model.tensors[i];
    const TensorInfo& info = source.tensors[i].info;
    if (!tensor.left_out.empty()) continue;
    const auto there = base->find(tensor.name);
    if (!there) unlike(like, "has no such tensor", info.name, "a tensor " + tensor.name, "none");
    const TensorInfo& other = base->tensors()[*there];
    if (other.shape != info.shape) {
      unlike(like, "has a tensor of another shape", info.name, to_string(other.shape), to_string(info.shape));
    }
    written.insert(tensor.name);
  }
  for (std::size_t i = 0; i < base->tensors().size(); ++i) {
    const TensorInfo& tensor = base->tensors()[i];
    if (written.contains(tensor.name)) continue;
    // Small tensors that follow from the configuration: the source has none.
    if (tensor.name != "rope_freqs.weight" || tensor.dtype != DType::Float32) {
      unlike(like, "has a tensor that the source lacks", tensor.name, "", "");
    }
    const Tensor whole = base->read(i);
    const auto values = whole.view().as<float>();
    model.constants.emplace_back(tensor.name, std::vector<float>(values.begin(), values.end()));
  }
  return model;
}

}  // namespace

GgufModel gguf_model(const Checkpoint& checkpoint, const Source& source, const std::filesystem::path& like) {
  if (!like.empty()) return from_like(source, like);
  if (checkpoint.format() != kGgufFormat) return from_hugging_face(source);
  GgufModel model = from_gguf(checkpoint.path());
  keep_names(source, "they are those of a GGUF file", model);
  return model;
}

}  // namespace mq
