#include "formats/torch_storages.hpp"

#include <utility>

namespace mq::formats::torch {

DeclaredStorages declared_storages(const Values& values) {
  DeclaredStorages declared;
  const pickle::Graph& graph = values.graph();
  for (NodeId id = 0; id < graph.size(); ++id) {
    if (graph.kind(id) != pickle::Kind::PersistentId) continue;
    const Arguments arguments(values, id, "");
    const StorageRef storage = storage_use(arguments, id).storage;
    const auto [known, is_new] = declared.emplace(storage.key, storage);
    if (!is_new && known->second != storage) {
      arguments.corrupt("storage " + printable(storage.key) + ": declared twice, differently");
    }
  }
  return declared;
}

const Blob& Storages::find(const StorageRef& storage, NodeId node, const std::string& name) {
  const auto fail = [&](const std::string& message, std::string expected, std::string found) {
    throw Error({.code = ErrorCode::Corrupt,
                 .message = "storage " + std::string(storage.key) + ": " + message,
                 .file = values_.source(),
                 .tensor = name,
                 .offset = values_.graph().offset(node),
                 .expected = std::move(expected),
                 .found = std::move(found)});
  };
  const auto [known, is_new] = known_.emplace(storage.key, Known{storage, nullptr});
  const StorageRef& first = known->second.storage;
  if (first != storage) {
    fail("declared twice, differently", std::string(first.class_name) + " of " + std::to_string(first.numel),
         std::string(storage.class_name) + " of " + std::to_string(storage.numel));
  }
  if (!is_new) return *known->second.blob;
  const Blob* blob = backing_.storage(storage.key);
  if (blob == nullptr) fail("the file has no such storage", "", "");
  if (blob->size_bytes() != static_cast<std::uint64_t>(storage.size_bytes)) {
    fail("bytes of the storage", std::to_string(storage.size_bytes), std::to_string(blob->size_bytes()));
  }
  return *(known->second.blob = blob);
}

}  // namespace mq::formats::torch
