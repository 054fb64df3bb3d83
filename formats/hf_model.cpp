#include "formats/hf_model.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <system_error>
#include <unordered_map>

#include "formats/file_names.hpp"
#include "formats/io/file.hpp"
#include "formats/limits.hpp"
#include "mq/error.hpp"
#include "src/json.hpp"

namespace mq::formats {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxListed = 12;  // names in a message

constexpr std::array<std::string_view, 4> kResolutionOrder{
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
};

[[noreturn]] void corrupt(const fs::path& file, std::string message, std::string expected, std::string found,
                          const std::string& tensor = {}) {
  throw Error({.code = ErrorCode::Corrupt,
               .message = std::move(message),
               .file = file.string(),
               .tensor = tensor,
               .expected = std::move(expected),
               .found = std::move(found)});
}

std::string list(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < std::min(names.size(), kMaxListed); ++i) text += (i == 0 ? "" : ", ") + names[i];
  if (names.size() > kMaxListed) text += " and " + std::to_string(names.size() - kMaxListed) + " more";
  return text.empty() ? "no files" : text;
}

std::vector<std::string> file_names(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    std::error_code dangling;
    if (entry->is_regular_file(dangling)) names.push_back(entry->path().filename().string());
  }
  if (error) io::throw_io(folder, "list", error.value());
  std::ranges::sort(names);
  return names;
}

// The one name that is of a kind; empty if there is none. Throws if there are several.
std::string only_one(const fs::path& folder, const std::vector<std::string>& names,
                     bool (*is_kind)(std::string_view) noexcept) {
  std::vector<std::string> found;
  std::ranges::copy_if(names, std::back_inserter(found),
                       [&](const std::string& name) { return !name.starts_with('.') && is_kind(name); });
  if (found.size() <= 1) return found.empty() ? "" : found.front();
  throw Error({.code = ErrorCode::Unsupported,
               .message = "the directory holds several candidates for the weights",
               .file = folder.string(),
               .expected = "model.safetensors or an index of shards",
               .found = list(found),
               .hint = "name the file that is meant"});
}

// Name of the weights or of their index in a directory; empty if there are none.
std::string choose(const fs::path& folder, const std::vector<std::string>& names) {
  for (const std::string_view name : kResolutionOrder) {
    if (std::ranges::binary_search(names, name)) return std::string(name);
  }
  for (const auto is_kind : {is_index_name, is_safetensors_name, is_torch_name}) {
    if (std::string name = only_one(folder, names, is_kind); !name.empty()) return name;
  }
  return {};
}

void require_shard_name(const fs::path& index, const std::string& tensor, const std::string& name) {
  if (!is_plain_name(name)) corrupt(index, "shard name is not a plain file name", "", name, tensor);
  if (!is_safetensors_name(name) && !is_torch_name(name)) {
    corrupt(index, "shard name of an unknown kind", "a name that ends in .safetensors or .bin", name, tensor);
  }
}

// Sorts the shards and numbers them in the map.
void number_shards(HfModel& model, const json::Object& weight_map) {
  for (const auto& [tensor, shard] : weight_map) model.shards.push_back(*shard.as_string());
  std::ranges::sort(model.shards);
  model.shards.erase(std::unique(model.shards.begin(), model.shards.end()), model.shards.end());
  std::unordered_map<std::string_view, std::uint32_t> number;
  for (const std::string& shard : model.shards) number.emplace(shard, static_cast<std::uint32_t>(number.size()));
  model.weight_map.reserve(weight_map.size());
  for (const auto& [tensor, shard] : weight_map) model.weight_map.emplace_back(tensor, number.at(*shard.as_string()));
}

HfModel read_index(const fs::path& path, const Limits& limits) {
  const json::Value index = json::parse(io::read_text(path, limits.header_bytes), path.string());
  const json::Value* const member = index.find("weight_map");
  const json::Object* const weight_map = member == nullptr ? nullptr : member->as_object();
  if (weight_map == nullptr) corrupt(path, "not an index of shards", "an object weight_map", "");
  if (weight_map->empty()) corrupt(path, "the index lists no tensor", "", "an empty weight_map");
  for (const auto& [tensor, shard] : *weight_map) {
    if (shard.as_string() == nullptr) corrupt(path, "shard name is not a string", "", "", tensor);
    require_shard_name(path, tensor, *shard.as_string());
  }
  HfModel model{.folder = path.has_parent_path() ? path.parent_path() : fs::path("."),
                .index = path.filename().string(),
                .shards = {},
                .weight_map = {}};
  number_shards(model, *weight_map);
  model.is_safetensors = is_safetensors_name(model.shards.front());
  for (const std::string& shard : model.shards) {
    if (is_safetensors_name(shard) == model.is_safetensors) continue;
    corrupt(path, "shards of two kinds", model.shards.front(), shard);
  }
  return model;
}

// Whether a file is an index, judged by its beginning and by the word that every index contains.
bool is_index(const fs::path& path) {
  const io::File file = io::File::open(path);
  if (file.size() == 0 || file.size() > Limits{}.header_bytes) return false;
  std::array<char, 256> bytes{};
  const std::string_view probe(bytes.data(),
                               static_cast<std::size_t>(std::min<std::uint64_t>(file.size(), bytes.size())));
  file.read(0, std::as_writable_bytes(std::span(bytes).first(probe.size())));
  const std::size_t start = probe.find_first_not_of(" \t\r\n");
  if (start == std::string_view::npos || probe[start] != '{') return false;
  return io::read_text(path, Limits{}.header_bytes).find("\"weight_map\"") != std::string::npos;
}

}  // namespace

HfKind hf_kind(const fs::path& path) {
  if (io::is_folder(path)) {
    const std::string name = choose(path, file_names(path));
    if (name.empty()) return HfKind::Safetensors;
    return name.ends_with(".safetensors") || name.ends_with(".safetensors.index.json") ? HfKind::Safetensors
                                                                                       : HfKind::Torch;
  }
  if (!io::is_file(path) || !is_index(path)) return HfKind::None;
  return read_index(path, {}).is_safetensors ? HfKind::Safetensors : HfKind::Torch;
}

HfModel find_hf_model(const fs::path& path, const Limits& limits) {
  if (!io::is_folder(path)) return read_index(path, limits);
  const std::vector<std::string> names = file_names(path);
  const std::string name = choose(path, names);
  if (name.empty()) {
    throw Error({.code = ErrorCode::Unsupported,
                 .message = "the directory holds no weights that can be read",
                 .file = path.string(),
                 .expected = "model.safetensors, pytorch_model.bin or an index of shards",
                 .found = list(names)});
  }
  if (is_index_name(name)) return read_index(path / name, limits);
  return {.folder = path, .is_safetensors = is_safetensors_name(name), .index = {}, .shards = {name}, .weight_map = {}};
}

}  // namespace mq::formats
