#include "formats/torch_object.hpp"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "formats/duplicates.hpp"
#include "formats/limits.hpp"
#include "formats/torch_flatten.hpp"
#include "formats/torch_numpy.hpp"
#include "formats/torch_quantized.hpp"
#include "formats/torch_select.hpp"
#include "formats/torch_sparse.hpp"
#include "formats/torch_storages.hpp"
#include "formats/torch_tree.hpp"

namespace mq::formats::torch {
namespace {

class Reader {
 public:
  Reader(Values& values, Backing& backing, BlobContents& contents)
      : values_(values), backing_(backing), storages_(values, backing), contents_(contents) {}

  std::uint64_t read(NodeId object, std::string_view root, const std::string& prefix, std::size_t max_tensors) {
    VisitBudget budget(values_.source(), values_.limits());
    const Census census(values_, object, budget);
    const Selection selection = select(values_, census, object, root, budget);
    const auto bytes_of_left_out = [this](NodeId node, const std::string& name) { return size_bytes(node, name); };
    Contents found = flatten(values_, census, selection, bytes_of_left_out, max_tensors, budget);
    std::ranges::move(found.left_out, std::back_inserter(contents_.left_out));
    for (NamedTensor& tensor : found.tensors) {
      tensor.name.insert(0, prefix);
      add(tensor);
    }
    require_unique_names();
    return budget.spent();
  }

 private:
  void add(NamedTensor& named) {
    const TensorCall call = tensor_call(values_, named.node);
    switch (call.kind) {
      case TensorKind::Dense:
      case TensorKind::Storage:
      case TensorKind::Reference:
        return add_place(named, dense(call, named.name), call.node);
      case TensorKind::Quantized: {
        QuantizedTensors parts = quantized_tensors(values_, call, named.name, storages_, backing_);
        for (QuantizedTensors::Part& part : parts.parts) push(named, named.name + part.suffix, std::move(part));
        std::ranges::move(parts.blobs, std::back_inserter(contents_.blobs));
        return;
      }
      case TensorKind::Sparse: {
        SparseTensor sparse = sparse_tensor(values_, call, named.name, storages_, backing_.big_endian());
        TensorInfo info{.name = std::move(named.name), .dtype = sparse.dtype, .shape = std::move(sparse.shape)};
        info.layer_type = std::move(named.layer_type);
        contents_.tensors.push_back(std::move(info));
        contents_.places.push_back({.computed = std::move(sparse.elements)});
        return;
      }
      case TensorKind::Device:
        return add_array(named, call);
      default:
        break;
    }
    const bool subclass = call.kind == TensorKind::Subclass;
    throw Error(
        {.code = ErrorCode::Unsupported,
         .message = "a " + std::string(to_string(call.kind)) + " is not read",
         .file = values_.source(),
         .tensor = named.name,
         .offset = values_.graph().offset(call.node),
         .found = subclass ? subclass_name(call) : "",
         .hint = subclass ? "save the model as safetensors (save_pretrained), or what dequantize() gives" : ""});
  }

  // (class, …), as torchao's quantized tensors; empty for anything else.
  std::string subclass_name(const TensorCall& call) const {
    const pickle::Graph& graph = values_.graph();
    if (graph.kind(call.arguments) != pickle::Kind::Tuple) return {};
    const auto arguments = graph.items(call.arguments);
    const bool named = !arguments.empty() && graph.kind(arguments[0]) == pickle::Kind::Global;
    return named ? pickle::to_string(graph.global(arguments[0])) : "";
  }

  DenseTensor dense(const TensorCall& call, const std::string& name) {
    DenseTensor tensor = find_dense(call, name);
    const Arguments arguments(values_, call.node, name);
    if (call.cast != kNoNode && arguments.dtype(call.cast) != tensor.dtype) {
      arguments.fail(ErrorCode::Unsupported, "a tensor that is converted when it is loaded is not read",
                     std::string(to_string(tensor.dtype)), std::string(to_string(arguments.dtype(call.cast))));
    }
    return tensor;
  }

  DenseTensor find_dense(const TensorCall& call, const std::string& name) {
    if (call.kind == TensorKind::Storage) return storage_tensor(values_, call, name);
    if (call.kind == TensorKind::Dense) return dense_tensor(values_, call, name);
    std::optional<DenseTensor> tensor = backing_.tensor(reference_key(values_, call, name));
    if (!tensor) values_.fail(ErrorCode::Corrupt, call.node, "persistent id that does not name a storage");
    return *std::move(tensor);
  }

  // _rebuild_device_tensor_from_numpy(array, dtype, device, requires_grad)
  void add_array(NamedTensor& named, const TensorCall& call) {
    const Arguments arguments(values_, call.node, named.name);
    const auto args = values_.graph().items(call.arguments);
    arguments.require_count(args.size(), 4, 4);
    std::optional<NumpyArray> array = numpy_array(values_, args[0]);
    if (!array) arguments.corrupt("tensor of another device without a NumPy array");
    if (!array->dtype || *array->dtype != arguments.dtype(args[1])) {
      arguments.fail(ErrorCode::Unsupported, "a tensor that is converted when it is loaded is not read", array->type);
    }
    if (array->shape.size() > values_.limits().rank) {
      refuse_limit(values_.limits(), &Limits::rank,
                   {.message = "dimensions of a tensor",
                    .file = values_.source(),
                    .tensor = named.name,
                    .offset = values_.graph().offset(call.node),
                    .found = std::to_string(array->shape.size())});
    }
    StridedView view{.shape = array->shape, .strides = Shape(array->shape.size(), 1)};
    std::int64_t stride = 1;
    for (std::size_t i = 0; i < view.shape.size(); ++i) {
      const std::size_t d = array->fortran ? i : view.shape.size() - 1 - i;
      view.strides[d] = stride;
      if (view.shape[d] > 0 && __builtin_mul_overflow(stride, view.shape[d], &stride)) {
        arguments.fail(ErrorCode::Limit, "tensor of more than 2^63 - 1 bytes");
      }
    }
    const auto item_bytes = static_cast<std::uint64_t>(info(*array->dtype).block_bytes);
    require_extent(arguments, view, item_bytes, array->bytes.size() / item_bytes);
    if (static_cast<std::uint64_t>(bytes_of(*array->dtype, numel(view.shape))) != array->bytes.size()) {
      arguments.corrupt("bytes of a NumPy array", std::to_string(bytes_of(*array->dtype, numel(view.shape))),
                        std::to_string(array->bytes.size()));
    }
    const auto& blob = contents_.blobs.emplace_back(std::make_unique<MemoryBlob>(std::move(array->bytes)));
    TensorInfo info{.name = std::move(named.name), .dtype = *array->dtype, .shape = array->shape};
    info.layer_type = std::move(named.layer_type);
    contents_.tensors.push_back(std::move(info));
    contents_.places.push_back(place_of(*blob, std::move(view)));
    contents_.places.back().big_endian = array->big_endian;
  }

  void add_place(NamedTensor& named, DenseTensor&& tensor, NodeId node) {
    const Blob& blob = storages_.find(tensor.storage, node, named.name);
    TensorInfo info{.name = std::move(named.name), .dtype = tensor.dtype, .shape = tensor.view.shape};
    info.layer_type = std::move(named.layer_type);
    Place place = place_of(blob, std::move(tensor.view));
    place.big_endian = backing_.big_endian();
    place.conjugated = tensor.conjugated;
    place.negated = tensor.negated;
    contents_.tensors.push_back(std::move(info));
    contents_.places.push_back(std::move(place));
  }

  void push(const NamedTensor& named, std::string name, QuantizedTensors::Part&& part) {
    contents_.tensors.push_back(
        {.name = std::move(name), .dtype = part.dtype, .shape = std::move(part.shape), .layer_type = named.layer_type});
    contents_.places.push_back(std::move(part.place));
  }

  // The flattener's names are unique; those of parts of quantized tensors, and of another object, may collide.
  void require_unique_names() const {
    std::vector<std::string_view> names;
    for (const TensorInfo& tensor : contents_.tensors) names.emplace_back(tensor.name);
    if (const auto twice = find_duplicate(std::move(names))) {
      throw Error({.code = ErrorCode::Corrupt,
                   .message = "two tensors have this name",
                   .file = values_.source(),
                   .tensor = std::string(*twice)});
    }
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
      if (call.kind != TensorKind::Dense && call.kind != TensorKind::Storage) return 0;
      const DenseTensor tensor = dense(call, name);
      storages_.find(tensor.storage, call.node, name);
      return bytes_of(tensor.dtype, numel(tensor.view.shape));
    } catch (const Error& error) {
      if (error.code() != ErrorCode::Unsupported) throw;
      return 0;
    }
  }

  Values& values_;
  Backing& backing_;
  Storages storages_;
  BlobContents& contents_;
  std::unordered_map<NodeId, std::int64_t> sizes_of_left_out_;
};

pickle::Pickle parse_whole(const std::string& bytes, std::string_view source, const Limits& limits) {
  pickle::Pickle pickle = pickle::parse(std::as_bytes(std::span(bytes)), source, limits);
  if (pickle.size_bytes != bytes.size()) {
    throw Error({.code = ErrorCode::Corrupt,
                 .message = "bytes after the end of the pickle",
                 .file = std::string(source),
                 .offset = pickle.size_bytes,
                 .found = std::to_string(bytes.size() - pickle.size_bytes)});
  }
  return pickle;
}

}  // namespace

SavedObject::SavedObject(std::string bytes, std::string source, const OpenOptions& options)
    : bytes_(std::move(bytes)),
      pickle_(parse_whole(bytes_, source, options.limits)),
      values_(pickle_.graph, std::move(source), options.limits) {
  values_.check_calls(options.strict);
}

bool SavedObject::holds_tensors() const {
  for (NodeId id = 0; id < pickle_.graph.size(); ++id) {
    if (pickle_.graph.kind(id) == pickle::Kind::PersistentId) return true;
  }
  return false;
}

std::size_t SavedObject::max_tensors() const noexcept {
  const std::size_t most = kFreeTensors + pickle_.size_bytes / kMinPickleBytesPerTensor;
  return static_cast<std::size_t>(std::min<std::uint64_t>(values_.limits().entries, most));
}

std::uint64_t add_object(SavedObject& object, Backing& backing, std::string_view root, const std::string& prefix,
                         BlobContents& contents) {
  if (contents.listing) {
    return list_object(object.values(), object.root(), backing, prefix, object.size_bytes(), contents.tree);
  }
  return Reader(object.values(), backing, contents).read(object.root(), root, prefix, object.max_tensors());
}

}  // namespace mq::formats::torch
