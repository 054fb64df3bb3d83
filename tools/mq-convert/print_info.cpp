#include <map>
#include <variant>

#include "mq/error.hpp"
#include "src/saturating.hpp"
#include "src/stored_spec.hpp"
#include "tools/mq-convert/table.hpp"
#include "tools/mq-convert/text.hpp"
#include "tools/mq-convert/views.hpp"

namespace mq::tool {
namespace {

// Tensors of the checkpoint that share bytes with an earlier one, by their index.
std::map<std::size_t, std::size_t> shared_with(const Checkpoint& checkpoint) {
  std::map<std::uint64_t, std::size_t> owners;
  std::map<std::size_t, std::size_t> shared;
  const auto tensors = checkpoint.tensors();
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    if (tensors[i].storage == 0) continue;
    const auto [it, fresh] = owners.emplace(tensors[i].storage, i);
    if (!fresh) shared.emplace(i, it->second);
  }
  return shared;
}

std::int64_t bytes_of_parts(const Checkpoint& checkpoint, const LogicalTensor& tensor) {
  std::int64_t bytes = 0;
  for (const StoredPart& part : tensor.parts) {
    bytes = saturating_add(bytes, checkpoint.tensors()[part.tensor].size_bytes());
  }
  return bytes;
}

std::string stored_as(const LogicalTensor& tensor) {
  return tensor.spec ? stored_spec_text(*tensor.spec) : std::string(to_string(tensor.info.dtype));
}

json::Value metadata_json(const MetadataValue& value) {
  return std::visit([](const auto& v) { return json::Value(v); }, value);
}

std::string metadata_text(const MetadataValue& value) {
  if (const std::string* text = std::get_if<std::string>(&value)) return printable(*text, 100);
  return json::dump(metadata_json(value), -1);
}

// "148 tensors by type": how the bytes divide.
std::string type_lines(const Contents& contents) {
  std::map<std::string, std::pair<std::int64_t, std::int64_t>> types;
  for (const LogicalTensor& tensor : contents.source.tensors) {
    auto& [count, bytes] = types[stored_as(tensor)];
    ++count;
    bytes = saturating_add(bytes, bytes_of_parts(contents.checkpoint, tensor));
  }
  std::string text;
  for (const auto& [type, figures] : types) {
    text += "  " + type + ": " + plural(figures.first, "tensor") + ", " + human_bytes(figures.second) + '\n';
  }
  return text;
}

std::string extras(const Contents& contents) {
  std::string text;
  if (!contents.source.metadata.empty()) text += "\nmetadata\n";
  for (const auto& [key, value] : contents.source.metadata) {
    text += "  " + printable(key) + ": " + metadata_text(value) + '\n';
  }
  if (!contents.source.assets.empty()) text += "\nother files\n";
  for (const Asset& asset : contents.source.assets) {
    text += "  " + printable(asset.name) + ", " + human_bytes(asset.size_bytes) + '\n';
  }
  const std::string left_out = left_out_line(contents.source.left_out);
  return left_out.empty() ? text : text + '\n' + left_out;
}

}  // namespace

std::string to_text(const Contents& contents, const Style&) {
  const auto shared = shared_with(contents.checkpoint);
  Table table({{"tensor"}, {"stored as"}, {"shape"}, {"bytes", true}, {""}});
  for (const LogicalTensor& tensor : contents.source.tensors) {
    std::string remark;
    if (const auto it = shared.find(tensor.parts.front().tensor); it != shared.end()) {
      remark = "shares bytes with " + printable(contents.checkpoint.tensors()[it->second].name);
    }
    table.add({printable(tensor.info.name), stored_as(tensor), to_string(tensor.info.shape),
               human_bytes(bytes_of_parts(contents.checkpoint, tensor)), std::move(remark)});
  }
  std::string text = table.empty() ? std::string() : '\n' + table.text() + '\n';
  return text + "by type\n" + type_lines(contents) + extras(contents);
}

json::Value to_json(const Contents& contents) {
  const auto shared = shared_with(contents.checkpoint);
  const auto stored = contents.checkpoint.tensors();
  json::Array tensors;
  for (const LogicalTensor& tensor : contents.source.tensors) {
    json::Value value;
    value.set("name", tensor.info.name);
    value.set("dtype", to_string(tensor.info.dtype));
    value.set("shape", shape_array(tensor.info.shape));
    value.set("spec", tensor.spec ? json::Value(stored_spec_text(*tensor.spec)) : json::Value());
    value.set("bytes", bytes_of_parts(contents.checkpoint, tensor));
    if (!tensor.info.file.empty()) value.set("file", tensor.info.file);
    const auto it = shared.find(tensor.parts.front().tensor);
    if (it != shared.end()) value.set("shares_bytes_with", stored[it->second].name);
    json::Array parts;
    for (const StoredPart& part : tensor.parts) parts.push_back(stored[part.tensor].name);
    if (tensor.spec) value.set("stored_in", std::move(parts));
    tensors.push_back(std::move(value));
  }
  json::Value metadata{json::Object{}};
  for (const auto& [key, value] : contents.source.metadata) metadata.set(key, metadata_json(value));
  json::Array assets;
  for (const Asset& asset : contents.source.assets) {
    json::Value entry;
    entry.set("name", asset.name);
    entry.set("size_bytes", asset.size_bytes);
    assets.push_back(std::move(entry));
  }
  json::Value value;
  value.set("tensors", std::move(tensors));
  value.set("metadata", std::move(metadata));
  value.set("files", std::move(assets));
  value.set("left_out", to_json(contents.source.left_out));
  return value;
}

}  // namespace mq::tool
