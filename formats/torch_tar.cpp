// Checkpoints as torch.save wrote them before PyTorch 0.1.10: a tar archive of four members.
//
//   storages: count | for each: (key, location, class) | i64 numel | elements;  then a list of slices of storages
//   tensors:  count | for each: (key, storage, class) | i32 rank | 4 bytes | i64 sizes | i64 strides | i64 offset
//   pickle:   the object; its persistent ids are keys of tensors and storages
//   sys_info: not needed
// Counts, tuples and the list are pickles. Source: pytorch/pytorch, torch/serialization.py (legacy_load).
#include <algorithm>
#include <array>
#include <deque>
#include <limits>
#include <optional>
#include <unordered_map>
#include <utility>

#include "formats/io/byte_reader.hpp"
#include "formats/io/checked.hpp"
#include "formats/limits.hpp"
#include "formats/pickle_stream.hpp"
#include "formats/registry.hpp"
#include "formats/tar.hpp"
#include "formats/tar_member.hpp"
#include "formats/torch_object.hpp"

namespace mq::formats {
namespace {

namespace fs = std::filesystem;
using pickle::Kind;
using torch::NodeId;

constexpr std::array<std::string_view, 3> kMembers{"pickle", "storages", "tensors"};

// Keys are numbers, or texts of numbers.
std::optional<std::string> key_of(const pickle::Graph& graph, NodeId id) {
  if (graph.kind(id) == Kind::Int) return std::to_string(graph.integer(id));
  if (graph.kind(id) == Kind::Str || graph.kind(id) == Kind::Bytes) return std::string(graph.text(id));
  return std::nullopt;
}

class TarBacking final : public torch::Backing {
 public:
  const Blob* storage(std::string_view key) override {
    const auto found = storages_.find(std::string(key));
    return found == storages_.end() ? nullptr : found->second.blob;
  }

  std::optional<torch::DenseTensor> tensor(std::string_view key) override {
    if (const auto found = tensors_.find(std::string(key)); found != tensors_.end()) return found->second;
    const auto found = storages_.find(std::string(key));
    if (found == storages_.end()) return std::nullopt;
    return view(found->second, {.offset = 0, .shape = {found->second.numel}, .strides = {1}});
  }

  void read_storages(MemberReader& member, const Limits& limits) {
    const std::int64_t count = member.count("storages");
    require_entries(limits, count, member);
    for (std::int64_t i = 0; i < count; ++i) read_storage(member);
    read_slices(member);
    if (member.position() != member.file().size()) member.fail(ErrorCode::Corrupt, "bytes after the last storage");
  }

  void read_tensors(MemberReader& member, const Limits& limits) {
    const std::int64_t count = member.count("tensors");
    require_entries(limits, count, member);
    for (std::int64_t i = 0; i < count; ++i) read_tensor(member, limits);
    if (member.position() != member.file().size()) member.fail(ErrorCode::Corrupt, "bytes after the last tensor");
  }

 private:
  struct Storage {
    std::string_view root;  // key of the storage that has the bytes
    torch::StorageRef ref;  // of that one
    DType dtype = DType::Float32;
    std::int64_t first = 0;  // elements of the slice
    std::int64_t numel = 0;
    const Blob* blob = nullptr;
  };

  static void require_entries(const Limits& limits, std::int64_t count, const MemberReader& member) {
    if (static_cast<std::uint64_t>(count) <= limits.entries) return;
    refuse_limit(limits, &Limits::entries,
                 {.message = "tensors", .file = member.file().path().string(), .found = std::to_string(count)});
  }

  static torch::DenseTensor view(const Storage& storage, StridedView view) {
    view.offset += storage.first;
    return {.storage = storage.ref, .dtype = storage.dtype, .view = std::move(view)};
  }

  void read_storage(MemberReader& member) {
    std::string bytes;
    const pickle::Pickle pickle = member.literal(bytes);
    const pickle::Graph& graph = pickle.graph;
    const bool tuple = graph.kind(pickle.root) == Kind::Tuple && graph.items(pickle.root).size() == 3;
    const auto fields = tuple ? graph.items(pickle.root) : std::span<const NodeId>();
    std::optional<std::string> key = tuple ? key_of(graph, fields[0]) : std::nullopt;
    if (!key || graph.kind(fields[2]) != Kind::Global) member.fail(ErrorCode::Corrupt, "description of a storage");
    const std::optional<torch::StorageClass> type = torch::storage_class(graph.global(fields[2]));
    if (!type || !type->dtype || type->quantized) {
      member.fail(ErrorCode::Unsupported,
                  "storage of class " + pickle::to_string(graph.global(fields[2])) + " is not read");
    }
    const std::int64_t numel = member.integers(1)[0];
    if (numel < 0) member.fail(ErrorCode::Corrupt, "elements of a storage", "0 or more", std::to_string(numel));
    if (numel > std::numeric_limits<std::int64_t>::max() / info(*type->dtype).block_bytes) {
      member.fail(ErrorCode::Limit, "storage of more than 2^63 - 1 bytes");
    }
    const std::int64_t size_bytes = bytes_of(*type->dtype, numel);
    const std::uint64_t first = member.skip(static_cast<std::uint64_t>(size_bytes));
    const std::string& name = names_.emplace_back(*std::move(key));
    const std::string& class_name = names_.emplace_back(type->name);
    const Blob& blob = blobs_.emplace_back(member.file(), first, static_cast<std::uint64_t>(size_bytes));
    const torch::StorageRef ref{.key = name, .class_name = class_name, .numel = numel, .size_bytes = size_bytes};
    if (!storages_.emplace(name, Storage{name, ref, *type->dtype, 0, numel, &blob}).second) {
      member.fail(ErrorCode::Corrupt, "two storages have the key " + printable(name));
    }
  }

  // [(key of the slice, key of the storage, first element, elements)]
  void read_slices(MemberReader& member) {
    std::string bytes;
    const pickle::Pickle pickle = member.literal(bytes);
    const pickle::Graph& graph = pickle.graph;
    if (graph.kind(pickle.root) != Kind::List) member.fail(ErrorCode::Corrupt, "list of slices of storages");
    for (const NodeId item : graph.items(pickle.root)) {
      const bool tuple = graph.kind(item) == Kind::Tuple && graph.items(item).size() == 4;
      const auto fields = tuple ? graph.items(item) : std::span<const NodeId>();
      const auto key = tuple ? key_of(graph, fields[0]) : std::nullopt;
      const auto root = tuple ? key_of(graph, fields[1]) : std::nullopt;
      const auto found = root ? storages_.find(*root) : storages_.end();
      if (!key || found == storages_.end() || graph.kind(fields[2]) != Kind::Int ||
          graph.kind(fields[3]) != Kind::Int) {
        member.fail(ErrorCode::Corrupt, "slice of a storage");
      }
      Storage slice = found->second;
      const std::int64_t first = graph.integer(fields[2]);
      const std::int64_t numel = graph.integer(fields[3]);
      if (first < 0 || numel < 0 ||
          !io::range_fits(static_cast<std::uint64_t>(first), static_cast<std::uint64_t>(numel),
                          static_cast<std::uint64_t>(slice.numel))) {
        member.fail(ErrorCode::Corrupt, "slice reaches outside its storage", std::to_string(slice.numel) + " elements",
                    std::to_string(first) + " + " + std::to_string(numel));
      }
      slice.first += first;
      slice.numel = numel;
      if (!storages_.emplace(*key, slice).second) {
        member.fail(ErrorCode::Corrupt, "two storages have the key " + printable(*key));
      }
    }
  }

  void read_tensor(MemberReader& member, const Limits& limits) {
    std::string bytes;
    const pickle::Pickle pickle = member.literal(bytes);
    const pickle::Graph& graph = pickle.graph;
    const bool tuple = graph.kind(pickle.root) == Kind::Tuple && graph.items(pickle.root).size() == 3;
    const auto fields = tuple ? graph.items(pickle.root) : std::span<const NodeId>();
    const auto key = tuple ? key_of(graph, fields[0]) : std::nullopt;
    const auto storage_key = tuple ? key_of(graph, fields[1]) : std::nullopt;
    const auto storage = storage_key ? storages_.find(*storage_key) : storages_.end();
    if (!key || storage == storages_.end()) member.fail(ErrorCode::Corrupt, "description of a tensor");
    const std::int64_t rank = member.integers(1)[0] & 0xffffffff;  // the upper half is padding
    if (static_cast<std::uint64_t>(rank) > limits.rank) {
      refuse_limit(
          limits, &Limits::rank,
          {.message = "dimensions of a tensor", .file = member.file().path().string(), .found = std::to_string(rank)});
    }
    StridedView shape{.offset = 0,
                      .shape = member.integers(static_cast<std::uint64_t>(rank)),
                      .strides = member.integers(static_cast<std::uint64_t>(rank))};
    shape.offset = member.integers(1)[0];
    const auto negative = [](std::int64_t value) { return value < 0; };
    if (shape.offset < 0 || std::ranges::any_of(shape.shape, negative) ||
        std::ranges::any_of(shape.strides, negative)) {
      member.fail(ErrorCode::Corrupt, "size, stride or offset of a tensor", "0 or more");
    }
    const auto item_bytes = static_cast<std::uint64_t>(info(storage->second.dtype).block_bytes);
    if (auto error = extent_error(shape, item_bytes, static_cast<std::uint64_t>(storage->second.numel))) {
      member.fail(error->code, std::move(error->message), std::move(error->expected), std::move(error->found));
    }
    if (std::ranges::find(shape.shape, 0) != shape.shape.end()) shape.offset = 0;
    if (!tensors_.emplace(*key, view(storage->second, std::move(shape))).second) {
      member.fail(ErrorCode::Corrupt, "two tensors have the key " + printable(*key));
    }
  }

  std::deque<std::string> names_;
  std::deque<FileBlob> blobs_;
  std::unordered_map<std::string, Storage> storages_;
  std::unordered_map<std::string, torch::DenseTensor> tensors_;
};

struct Owner {
  io::File file;
  std::deque<MemberReader> members;  // blobs refer to their files
  TarBacking backing;
};

const TarMember* find_member(const std::vector<TarMember>& members, std::string_view name) {
  const auto found = std::ranges::find(members, name, &TarMember::name);
  return found == members.end() ? nullptr : &*found;
}

bool matches(const fs::path& path) {
  if (!io::is_file(path)) return false;
  const io::File file = io::File::open(path);
  if (!looks_like_tar(file)) return false;
  const std::vector<TarMember> members = read_tar(file, {});
  return std::ranges::all_of(kMembers, [&](std::string_view name) { return find_member(members, name) != nullptr; });
}

std::unique_ptr<Checkpoint> open(const fs::path& path, const OpenOptions& options) {
  const auto owner = std::make_shared<Owner>(Owner{io::File::open(path), {}, {}});
  const std::vector<TarMember> members = read_tar(owner->file, options.limits);
  const auto part = [&](std::string_view name) {
    const TarMember& member = *find_member(members, name);
    return owner->file.part(member.offset, member.size_bytes, name);
  };
  owner->backing.read_storages(owner->members.emplace_back(part("storages"), options.limits), options.limits);
  owner->backing.read_tensors(owner->members.emplace_back(part("tensors"), options.limits), options.limits);
  const io::File pickle = part("pickle");
  const std::string source = pickle.path().string();
  torch::SavedObject object(read_pickle_text(pickle, find_pickle(pickle, 0, source, options.limits)), source, options);
  object.values().set_stream();
  BlobContents contents{.listing = options.contents, .owner = owner, .file = &owner->file};
  torch::add_object(object, owner->backing, options.root, "", contents);
  number_ties(contents);
  return make_blob_checkpoint(kTorchTar.name, path, std::move(contents));
}

}  // namespace

const Format kTorchTar{.name = "torch_tar",
                       .title = "PyTorch checkpoint (before 0.1.10)",
                       .suffix = ".pt",
                       .matches = matches,
                       .open = open,
                       .create = nullptr};

}  // namespace mq::formats
