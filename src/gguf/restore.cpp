#include "src/gguf/restore.hpp"

#include <unordered_map>

#include "src/gguf/architecture.hpp"

namespace mq::gguf {

void restore_names(const Source& original, Source& other) {
  if (original.config.empty()) return;
  const HfObject config(json::parse(original.config, "config.json"), "config.json");
  const json::Value* const type = config.find("model_type");
  const Architecture* const architecture =
      type == nullptr || type->as_string() == nullptr ? nullptr : find_architecture(*type->as_string());
  if (architecture == nullptr) return;
  std::unordered_map<std::string, std::size_t> index;
  for (std::size_t i = 0; i < other.tensors.size(); ++i) index.emplace(other.tensors[i].info.name.str(), i);
  for (const LogicalTensor& tensor : original.tensors) {
    if (index.contains(tensor.info.name.str())) continue;
    const auto found = index.find(gguf_name(tensor.info.name));
    if (found == index.end()) continue;
    LogicalTensor& stored = other.tensors[found->second];
    const std::int32_t heads = architecture->interleaves ? heads_of(tensor.info.name, head_counts(config)) : 0;
    if (heads != 0 && (stored.info.shape.empty() || stored.info.shape.front() % (2 * heads) != 0)) continue;
    stored.info.name = tensor.info.name;
    stored.interleaved_heads = heads;
  }
}

}  // namespace mq::gguf
