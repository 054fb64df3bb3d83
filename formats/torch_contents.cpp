#include "formats/torch_contents.hpp"

#include <algorithm>
#include <map>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "formats/limits.hpp"
#include "formats/pickle.hpp"
#include "formats/torch_flatten.hpp"
#include "formats/torch_select.hpp"
#include "formats/torch_tensors.hpp"

namespace mq::formats::torch {
namespace {

// Finds the records of storages and holds the pickle to what it said about them before.
class Storages {
 public:
  Storages(const Archive& archive, const Values& values) : archive_(archive), values_(values) {}

  const ZipRecord& find(const DenseTensor& tensor, NodeId node, const std::string& name) {
    const StorageRef& storage = tensor.storage;
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
    if (!is_new) return *known->second.record;
    const ZipRecord* record = archive_.storage(storage.key);
    if (record == nullptr) fail("no such record in the archive", "", "");
    if (record->size_bytes != static_cast<std::uint64_t>(storage.size_bytes)) {
      fail("size of its record", std::to_string(storage.size_bytes), std::to_string(record->size_bytes));
    }
    return *(known->second.record = record);
  }

 private:
  struct Known {
    StorageRef storage;
    const ZipRecord* record;
  };

  const Archive& archive_;
  const Values& values_;
  std::unordered_map<std::string_view, Known> known_;
};

// A tensor is tied to others that are the same view of the same bytes: each such group gets a number.
void number_ties(ArchiveContents& contents) {
  using View = std::tuple<const ZipRecord*, std::int64_t, DType, const Shape&, const Shape&>;
  std::map<View, std::vector<std::size_t>> groups;
  for (std::size_t i = 0; i < contents.tensors.size(); ++i) {
    const TensorInfo& tensor = contents.tensors[i];
    const Place& place = contents.places[i];
    if (tensor.numel() == 0) continue;
    groups[View(place.record, place.view.offset, tensor.dtype, tensor.shape, place.view.strides)].push_back(i);
  }
  std::map<std::size_t, const std::vector<std::size_t>*> by_first;
  for (const auto& [view, members] : groups) {
    if (members.size() > 1) by_first.emplace(members.front(), &members);
  }
  std::uint64_t number = 0;
  for (const auto& [first, members] : by_first) {
    ++number;
    for (const std::size_t i : *members) contents.tensors[i].storage = number;
  }
}

class Reader {
 public:
  Reader(const Archive& archive, Values& values) : values_(values), storages_(archive, values) {}

  ArchiveContents read(NodeId object, const std::string& root, std::size_t max_tensors) {
    VisitBudget budget(values_.source(), values_.limits());
    const Census census(values_, object, budget);
    const Selection selection = select(values_, census, object, root, budget);
    const auto bytes_of_left_out = [this](NodeId node, const std::string& name) { return size_bytes(node, name); };
    Contents found = flatten(values_, census, selection, bytes_of_left_out, max_tensors, budget);
    contents_.left_out = std::move(found.left_out);
    contents_.tensors.reserve(found.tensors.size());
    contents_.places.reserve(found.tensors.size());
    for (NamedTensor& tensor : found.tensors) add(std::move(tensor));
    number_ties(contents_);
    contents_.visits = budget.spent();
    return std::move(contents_);
  }

 private:
  void add(NamedTensor&& named) {
    const TensorCall call = tensor_call(values_, named.node);
    if (call.kind != TensorKind::Dense) {
      throw Error({.code = ErrorCode::Unsupported,
                   .message = "a " + std::string(to_string(call.kind)) + " is not read",
                   .file = values_.source(),
                   .tensor = named.name,
                   .offset = values_.graph().offset(call.node)});
    }
    DenseTensor tensor = dense_tensor(values_, call, named.name);
    Place place{&storages_.find(tensor, call.node, named.name), {}, is_contiguous(tensor.view)};
    TensorInfo info{.name = std::move(named.name), .dtype = tensor.dtype, .shape = tensor.view.shape};
    place.view = std::move(tensor.view);
    if (place.contiguous) place.view = {.offset = place.view.offset, .shape = {}, .strides = {}};
    contents_.tensors.push_back(std::move(info));
    contents_.places.push_back(std::move(place));
  }

  // Tensors beside the model must be right too if they are of a kind that is understood.
  std::int64_t size_bytes(NodeId node, const std::string& name) {
    const auto [known, is_new] = sizes_of_left_out_.emplace(node, 0);
    if (is_new) known->second = find_size(node, name);
    return known->second;
  }

  std::int64_t find_size(NodeId node, const std::string& name) {
    try {
      const TensorCall call = tensor_call(values_, node);
      if (call.kind != TensorKind::Dense) return 0;
      const DenseTensor tensor = dense_tensor(values_, call, name);
      storages_.find(tensor, call.node, name);
      return bytes_of(tensor.dtype, numel(tensor.view.shape));
    } catch (const Error& error) {
      if (error.code() != ErrorCode::Unsupported) throw;
      return 0;
    }
  }

  Values& values_;
  Storages storages_;
  ArchiveContents contents_;
  std::unordered_map<NodeId, std::int64_t> sizes_of_left_out_;
};

}  // namespace

ArchiveContents read_contents(const Archive& archive, const OpenOptions& options) {
  const std::string bytes = archive.read_pickle();
  const std::string source = archive.pickle_source();
  const pickle::Pickle pickle = pickle::parse(std::as_bytes(std::span(bytes)), source, options.limits);
  if (pickle.size_bytes != bytes.size()) {
    throw Error({.code = ErrorCode::Corrupt,
                 .message = "bytes after the end of the pickle",
                 .file = source,
                 .offset = pickle.size_bytes,
                 .found = std::to_string(bytes.size() - pickle.size_bytes)});
  }
  Values values(pickle.graph, source, options.limits);
  values.check_calls();
  const std::size_t max_tensors = std::min<std::size_t>(options.limits.entries,
                                                        kFreeTensors + bytes.size() / kMinPickleBytesPerTensor);
  return Reader(archive, values).read(pickle.root, options.root, max_tensors);
}

}  // namespace mq::formats::torch
