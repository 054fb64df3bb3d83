// Checkpoints as torch.save wrote them before PyTorch 1.6: one stream of five pickles and the bytes of all storages.
//
//   Layout: magic number | protocol version | system | object | storage keys, each a pickle;
//           then for each key: i64 number of elements | elements
// Source: pytorch/pytorch, torch/serialization.py (_legacy_save, _legacy_load).
#include <algorithm>
#include <array>
#include <deque>
#include <optional>
#include <unordered_map>
#include <utility>

#include "formats/io/byte_reader.hpp"
#include "formats/io/checked.hpp"
#include "formats/pickle_stream.hpp"
#include "formats/registry.hpp"
#include "formats/torch_object.hpp"
#include "formats/torch_storages.hpp"

namespace mq::formats {
namespace {

namespace fs = std::filesystem;
using pickle::Kind;
using torch::NodeId;

// The first pickle, after its opcode and protocol: a number of ten bytes.
constexpr std::string_view kMagic{"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 13};
constexpr std::int64_t kProtocolVersion = 1001;

[[noreturn]] void corrupt(const std::string& source, std::uint64_t offset, std::string message,
                          std::string expected = {}, std::string found = {}) {
  throw Error({.code = ErrorCode::Corrupt,
               .message = std::move(message),
               .file = source,
               .offset = offset,
               .expected = std::move(expected),
               .found = std::move(found)});
}

// Storages behind the pickles, by key.
class StreamBacking final : public torch::Backing {
 public:
  const Blob* storage(std::string_view key) override {
    const auto found = blobs_.find(key);
    return found == blobs_.end() ? nullptr : found->second;
  }

  bool add(std::string key, const io::File& file, std::uint64_t offset, std::uint64_t size_bytes) {
    const std::string& stored = keys_.emplace_back(std::move(key));
    return blobs_.emplace(stored, &storages_.emplace_back(file, offset, size_bytes)).second;
  }

 private:
  std::deque<std::string> keys_;
  std::deque<FileBlob> storages_;
  std::unordered_map<std::string_view, const Blob*> blobs_;
};

struct Owner {
  io::File file;
  StreamBacking storages;
};

// The header pickles hold literals only, so that there is nothing in them to object to or to call.
void require_literals(const pickle::Graph& graph, const std::string& source) {
  for (NodeId id = 0; id < graph.size(); ++id) {
    const Kind kind = graph.kind(id);
    if (kind == Kind::Global || kind == Kind::Object || kind == Kind::PersistentId) {
      throw Error({.code = ErrorCode::Unsupported,
                   .message = "the header of the stream holds more than literals",
                   .file = source,
                   .offset = graph.offset(id),
                   .found = kind == Kind::Global ? pickle::to_string(graph.global(id)) : "a call"});
    }
  }
}

class StreamReader {
 public:
  StreamReader(const fs::path& path, const OpenOptions& options)
      : options_(options), owner_(std::make_shared<Owner>(Owner{io::File::open(path), {}})), path_(path) {}

  std::unique_ptr<Checkpoint> open() {
    read_headers();
    const PickleRange object_range = stream_pickle("object");
    torch::SavedObject object(read_pickle_text(owner_->file, object_range), source("object"), options_);
    object.values().set_stream();
    const PickleRange keys_range = stream_pickle("storage keys");
    torch::SavedObject keys(read_pickle_text(owner_->file, keys_range), source("storage keys"), options_);
    place_storages(torch::declared_storages(object.values()), keys.values(), keys.root());
    BlobContents contents{.listing = options_.contents, .owner = owner_, .file = &owner_->file};
    torch::add_object(object, owner_->storages, options_.root, "", contents);
    number_ties(contents);
    return make_blob_checkpoint(kTorchLegacy.name, path_, std::move(contents));
  }

 private:
  std::string source(std::string_view part) const { return path_.string() + ": " + std::string(part); }

  // The next pickle; its offsets in errors are counted from its beginning.
  PickleRange stream_pickle(std::string_view part) {
    const PickleRange range = find_pickle(owner_->file, position_, source(part), options_.limits);
    position_ = range.offset + range.size_bytes;
    return range;
  }

  void read_headers() {
    stream_pickle("magic number");
    {
      const std::string bytes = read_pickle_text(owner_->file, stream_pickle("protocol version"));
      const pickle::Pickle version = pickle::parse(std::as_bytes(std::span(bytes)), source("protocol version"));
      require_literals(version.graph, source("protocol version"));
      if (version.graph.kind(version.root) != Kind::Int || version.graph.integer(version.root) != kProtocolVersion) {
        corrupt(source("protocol version"), 0, "version of the stream", std::to_string(kProtocolVersion));
      }
    }
    const std::string bytes = read_pickle_text(owner_->file, stream_pickle("system"));
    const pickle::Pickle system = pickle::parse(std::as_bytes(std::span(bytes)), source("system"), options_.limits);
    require_literals(system.graph, source("system"));
    if (system.graph.kind(system.root) != Kind::Dict)
      corrupt(source("system"), 0, "description of the system", "a dict");
    const auto items = system.graph.items(system.root);
    for (std::size_t i = 0; i + 1 < items.size(); i += 2) {
      if (system.graph.kind(items[i]) != Kind::Str || system.graph.text(items[i]) != "little_endian") continue;
      if (system.graph.kind(items[i + 1]) == Kind::Bool && system.graph.boolean(items[i + 1])) continue;
      throw Error({.code = ErrorCode::Unsupported,
                   .message = "a stream that a big-endian machine wrote is not read",
                   .file = source("system")});
    }
  }

  // Every storage that the object declares is listed once, in the order of the list, and they fill the file.
  void place_storages(const torch::DeclaredStorages& declared, const torch::Values& keys, NodeId list) {
    const pickle::Graph& graph = keys.graph();
    if (graph.kind(list) != Kind::List) corrupt(source("storage keys"), 0, "list of the storages", "a list");
    for (const NodeId key_node : graph.items(list)) {
      if (graph.kind(key_node) != Kind::Str && graph.kind(key_node) != Kind::Bytes) {
        corrupt(source("storage keys"), graph.offset(key_node), "key of a storage", "a text");
      }
      place_storage(std::string(graph.text(key_node)), declared);
    }
    for (const auto& [key, storage] : declared) {
      if (owner_->storages.storage(key) == nullptr) {
        corrupt(source("storage keys"), 0, "storage " + key + " is missing from the list of storages");
      }
    }
    if (position_ != owner_->file.size()) {
      corrupt(path_.string(), position_, "bytes after the last storage", "the end of the file",
              std::to_string(owner_->file.size() - position_) + " bytes");
    }
  }

  void place_storage(std::string key, const torch::DeclaredStorages& declared) {
    const auto found = declared.find(key);
    if (found == declared.end()) corrupt(source("storage keys"), 0, "storage " + printable(key) + " is used nowhere");
    const torch::StorageRef& storage = found->second;
    std::array<std::byte, 8> count{};
    if (!io::range_fits(position_, count.size(), owner_->file.size())) truncated(key, count.size());
    owner_->file.read(position_, count);
    const std::int64_t numel = io::ByteReader(count, path_.string(), position_).i64();
    if (numel != storage.numel) {
      corrupt(path_.string(), position_, "elements of storage " + printable(key), std::to_string(storage.numel),
              std::to_string(numel));
    }
    position_ += count.size();
    const auto size_bytes = static_cast<std::uint64_t>(storage.size_bytes);
    if (!io::range_fits(position_, size_bytes, owner_->file.size())) truncated(key, size_bytes);
    if (!owner_->storages.add(std::move(key), owner_->file, position_, size_bytes)) {
      corrupt(source("storage keys"), 0, "a storage is listed twice");
    }
    position_ += size_bytes;
  }

  [[noreturn]] void truncated(const std::string& key, std::uint64_t wanted) const {
    corrupt(path_.string(), position_, "the file ends inside storage " + printable(key),
            std::to_string(wanted) + " bytes", std::to_string(owner_->file.size() - position_));
  }

  const OpenOptions& options_;
  std::shared_ptr<Owner> owner_;
  fs::path path_;
  std::uint64_t position_ = 0;
};

bool matches(const fs::path& path) {
  if (!io::is_file(path)) return false;
  const io::File file = io::File::open(path);
  std::array<char, 2 + kMagic.size()> first{};
  if (file.size() < first.size()) return false;
  file.read(0, std::as_writable_bytes(std::span(first)));
  return first[0] == '\x80' && first[1] >= 0 && first[1] <= 5 &&
         std::string_view(first.data() + 2, kMagic.size()) == kMagic;
}

}  // namespace

const Format kTorchLegacy{
    .name = "torch_legacy",
    .title = "PyTorch checkpoint (before 1.6)",
    .suffix = ".pt",
    .matches = matches,
    .open = [](const fs::path& path, const OpenOptions& options) { return StreamReader(path, options).open(); },
    .create = nullptr};

}  // namespace mq::formats
