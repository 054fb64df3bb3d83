#include "formats/safetensors_layout.hpp"

#include <algorithm>
#include <cstring>
#include <optional>
#include <string_view>

#include "formats/duplicates.hpp"
#include "formats/io/checked.hpp"
#include "formats/limits.hpp"
#include "formats/safetensors_dtype.hpp"
#include "mq/error.hpp"
#include "src/json.hpp"
#include "src/utf8.hpp"

namespace mq::formats {
namespace {

constexpr std::size_t kAlignment = 8;

using Tensors = std::span<const TensorInfo* const>;

[[noreturn]] void refuse(const std::filesystem::path& path, std::string message, std::string found,
                         const std::string& tensor = {}, ErrorCode code = ErrorCode::Usage) {
  throw Error({.code = code,
               .message = std::move(message),
               .file = path.string(),
               .tensor = tensor,
               .found = std::move(found)});
}

bool is_utf8(std::string_view text) {
  return utf8_valid_bytes(text) == text.size();
}

std::size_t require_rank(const TensorInfo& tensor, const std::filesystem::path& path) {
  if (const std::optional<std::size_t> rank = safetensors_rank(tensor.dtype)) return *rank;
  const bool blocks = is_quantized_block(tensor.dtype);
  throw Error({.code = ErrorCode::Usage,
               .message = "safetensors cannot hold this dtype",
               .file = path.string(),
               .tensor = tensor.name,
               .found = std::string(to_string(tensor.dtype)),
               .hint = blocks ? "`dequantize` writes floats, `quantize` another encoding" : ""});
}

// Indices of the tensors, wider types first, then by name: as the reference writes them.
std::vector<std::size_t> file_order(Tensors tensors, const std::filesystem::path& path) {
  struct Key {
    std::size_t rank;
    std::string_view name;
    std::size_t index;
  };
  std::vector<Key> keys;
  keys.reserve(tensors.size());
  for (std::size_t i = 0; i < tensors.size(); ++i)
    keys.push_back({require_rank(*tensors[i], path), tensors[i]->name, i});
  std::ranges::sort(keys,
                    [](const Key& a, const Key& b) { return a.rank != b.rank ? a.rank > b.rank : a.name < b.name; });
  std::vector<std::size_t> order;
  order.reserve(keys.size());
  for (const Key& key : keys) order.push_back(key.index);
  return order;
}

void require_names(Tensors tensors, const Limits& limits, const std::filesystem::path& path) {
  std::vector<std::string_view> names;
  names.reserve(tensors.size());
  for (const TensorInfo* tensor : tensors) {
    if (tensor->name == "__metadata__") refuse(path, "reserved name of a tensor", "", tensor->name);
    if (!is_utf8(tensor->name)) refuse(path, "name of a tensor is not UTF-8", "", tensor->name);
    if (tensor->name.size() > limits.output_name_bytes) {
      refuse_limit(limits, &Limits::output_name_bytes,
                   {.message = "bytes of a name in the output",
                    .file = path.string(),
                    .tensor = tensor->name,
                    .found = std::to_string(tensor->name.size())});
    }
    names.emplace_back(tensor->name);
  }
  if (const auto twice = find_duplicate(std::move(names))) refuse(path, "tensor name twice", "", std::string(*twice));
}

const std::string& require_text(const Metadata::value_type& entry, const std::filesystem::path& path) {
  const std::string* const value = std::get_if<std::string>(&entry.second);
  if (value == nullptr) refuse(path, "safetensors metadata holds strings only", entry.first);
  if (!is_utf8(entry.first) || !is_utf8(*value)) refuse(path, "metadata is not UTF-8", entry.first);
  return *value;
}

void append_member(std::string& json, std::string_view key, std::string_view value) {
  if (json.back() != '{') json += ',';
  json::append_string(json, key);
  json += ':';
  json::append_string(json, value);
}

// Loaders ask for "format", and take "pt" for tensors of PyTorch's layout.
void append_metadata(std::string& json, const Metadata& metadata, const std::filesystem::path& path) {
  json += "\"__metadata__\":{";
  if (find_string(metadata, "format") == nullptr) append_member(json, "format", "pt");
  std::vector<std::string_view> keys;
  for (const auto& entry : metadata) {
    append_member(json, entry.first, require_text(entry, path));
    keys.emplace_back(entry.first);
  }
  json += '}';
  if (const auto twice = find_duplicate(std::move(keys))) refuse(path, "metadata key twice", std::string(*twice));
}

void append_entry(std::string& json, const TensorInfo& tensor, std::uint64_t begin, std::uint64_t end,
                  const std::filesystem::path& path) {
  json += ',';
  json::append_string(json, tensor.name);
  json += ":{\"dtype\":\"";
  json += kSafetensorsDTypes[require_rank(tensor, path)].code;
  json += "\",\"shape\":[";
  for (std::size_t i = 0; i < tensor.shape.size(); ++i) {
    if (i != 0) json += ',';
    json += std::to_string(tensor.shape[i]);
  }
  json += "],\"data_offsets\":[" + std::to_string(begin) + ',' + std::to_string(end) + "]}";
}

// Of the header without its metadata, if no name needs an escape.
std::size_t most_bytes(Tensors tensors) {
  constexpr std::size_t kEntryBytes = 64, kNumberBytes = 21;
  std::size_t bytes = 0;
  for (const TensorInfo* tensor : tensors) {
    bytes += tensor->name.size() + kEntryBytes + kNumberBytes * (tensor->shape.size() + 2);
  }
  return bytes;
}

}  // namespace

FileLayout lay_out_safetensors(Tensors tensors, const Metadata& metadata, const Limits& limits,
                               const std::filesystem::path& path) {
  require_names(tensors, limits, path);
  FileLayout layout;
  layout.offsets.resize(tensors.size());
  std::string& json = layout.header;
  json.assign(sizeof(std::uint64_t), '\0');  // its length
  json += '{';
  json.reserve(most_bytes(tensors));  // growing would hold it twice
  append_metadata(json, metadata, path);
  std::uint64_t end = 0;
  for (const std::size_t i : file_order(tensors, path)) {
    const std::uint64_t begin = end;
    const std::optional<std::uint64_t> sum =
        io::checked_add(begin, static_cast<std::uint64_t>(tensors[i]->size_bytes()));
    if (!sum) refuse(path, "more than 2^64 bytes", "", tensors[i]->name, ErrorCode::Limit);
    end = *sum;
    layout.offsets[i] = begin;
    append_entry(json, *tensors[i], begin, end, path);
  }
  json += '}';
  json.append((kAlignment - json.size() % kAlignment) % kAlignment, ' ');
  const std::uint64_t length = json.size() - sizeof(length);
  if (length > Limits{}.header_bytes) {
    refuse(path, "header larger than readers accept", std::to_string(length) + " bytes", "", ErrorCode::Limit);
  }
  std::memcpy(json.data(), &length, sizeof(length));
  for (std::uint64_t& offset : layout.offsets) offset += layout.header.size();
  layout.size_bytes = layout.header.size() + end;
  return layout;
}

}  // namespace mq::formats
