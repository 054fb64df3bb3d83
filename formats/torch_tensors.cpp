#include "formats/torch_tensors.hpp"

#include <limits>
#include <optional>
#include <utility>

#include "formats/io/checked.hpp"
#include "mq/tensor.hpp"

namespace mq::formats::torch {
namespace {

using pickle::Kind;

// torch.FloatTensor holds a FloatStorage.
void require_old_class(const Arguments& arguments, NodeId tensor, std::string_view storage_class_name) {
  const pickle::Graph& graph = arguments.graph();
  const std::string_view name = graph.global(graph.object(tensor).callable).name;
  const auto prefix = [](std::string_view text, std::string_view suffix) {
    return text.substr(0, text.size() - suffix.size());
  };
  if (prefix(name, "Tensor") != prefix(storage_class_name, "Storage")) {
    arguments.corrupt("storage of another type than the tensor", std::string(name), std::string(storage_class_name));
  }
}

// {"conj": True}: the tensor is the conjugate of its bytes; {"neg": True}: the negative.
void read_metadata(const Arguments& arguments, NodeId id, DenseTensor& tensor) {
  const pickle::Graph& graph = arguments.graph();
  if (graph.kind(id) == Kind::None) return;
  if (graph.kind(id) != Kind::Dict) arguments.corrupt("metadata of the wrong type");
  for (const Element& element : arguments.values().elements(id)) {
    const std::string key = arguments.values().key_text(element, 0);
    arguments.require_bool(element.value, "metadata of a tensor");
    if (!graph.boolean(element.value)) continue;
    if (key != "conj" && key != "neg") {
      arguments.fail(ErrorCode::Unsupported, "tensor with unknown metadata " + key);
    }
    (key == "conj" ? tensor.conjugated : tensor.negated) = true;
  }
}

void require_lazy_operations(const Arguments& arguments, const DenseTensor& tensor) {
  const DTypeInfo& type = info(tensor.dtype);
  const bool complex =
      tensor.dtype == DType::Complex32 || tensor.dtype == DType::Complex64 || tensor.dtype == DType::Complex128;
  if (tensor.conjugated && !complex) arguments.corrupt("conjugate of a type that is not complex");
  if (tensor.negated && !complex && !type.is_signed) arguments.corrupt("negative of a type without sign");
}

std::string reference_text(const pickle::Graph& graph, NodeId id) {
  switch (graph.kind(id)) {
    case Kind::Int:
      return std::to_string(graph.integer(id));
    case Kind::Str:
    case Kind::Bytes:
      return std::string(graph.text(id));
    default:
      return {};
  }
}

}  // namespace

// ("storage", class, key, location, numel); in streams with a sixth field: None, or (key, first, numel) of a slice.
StorageUse storage_use(const Arguments& arguments, NodeId persistent_id) {
  const pickle::Graph& graph = arguments.graph();
  if (graph.kind(persistent_id) != Kind::PersistentId) arguments.corrupt("tensor without a storage");
  const NodeId tuple = graph.persistent_id(persistent_id);
  if (graph.kind(tuple) != Kind::Tuple) arguments.corrupt("persistent id of the wrong type");
  const auto fields = graph.items(tuple);
  const std::size_t expected = arguments.values().is_stream() ? 6 : 5;
  const auto is_text = [&](NodeId id) { return graph.kind(id) == Kind::Str || graph.kind(id) == Kind::Bytes; };
  if (fields.size() != expected || !is_text(fields[0]) || graph.text(fields[0]) != "storage" ||
      graph.kind(fields[1]) != Kind::Global || !is_text(fields[2]) || !is_text(fields[3])) {
    arguments.corrupt("persistent id that does not name a storage");
  }
  const std::optional<StorageClass> type = storage_class(graph.global(fields[1]));
  if (!type) arguments.corrupt("storage of class " + pickle::to_string(graph.global(fields[1])));
  if (!type->untyped && !type->dtype) {
    arguments.fail(ErrorCode::Unsupported, "storage of class " + std::string(type->name) + " is not read");
  }
  StorageUse use{.storage = {.key = graph.text(fields[2]), .class_name = type->name, .untyped = type->untyped},
                 .type = *type};
  use.storage.numel = arguments.index(fields[4], "length of a storage");
  const DType element = type->dtype.value_or(DType::UInt8);
  if (use.storage.numel > std::numeric_limits<std::int64_t>::max() / info(element).block_bytes) {
    arguments.fail(ErrorCode::Limit, "storage of more than 2^63 - 1 bytes");
  }
  use.storage.size_bytes = bytes_of(element, use.storage.numel);
  use.numel = use.storage.numel;
  if (fields.size() == 6 && graph.kind(fields[5]) != Kind::None) {
    const auto slice = arguments.tuple(fields[5], "slice of a storage");
    if (slice.size() != 3) arguments.corrupt("slice of a storage of the wrong type");
    use.first = arguments.index(slice[1], "begin of a slice of a storage");
    use.numel = arguments.index(slice[2], "length of a slice of a storage");
    if (!io::range_fits(static_cast<std::uint64_t>(use.first), static_cast<std::uint64_t>(use.numel),
                        static_cast<std::uint64_t>(use.storage.numel))) {
      arguments.corrupt("slice reaches outside its storage", std::to_string(use.storage.numel) + " elements",
                        std::to_string(use.first) + " + " + std::to_string(use.numel));
    }
  }
  return use;
}

DenseTensor dense_tensor(const Values& values, const TensorCall& call, std::string_view name) {
  const Arguments arguments(values, call.node, name);
  const auto args = values.graph().items(call.arguments);
  const bool v3 = call.function == Callable::TensorV3;
  const bool v2 = call.function == Callable::TensorV2;
  const std::size_t least = v3 ? 7 : v2 ? 6 : 4;
  arguments.require_count(args.size(), least, v3 || v2 ? least + 1 : least);
  if (v2 || v3) {
    arguments.require_bool(args[4], "requires_grad");
    arguments.require_hooks(args[5]);
  }
  const StorageUse use = storage_use(arguments, args[0]);
  if (use.type.values_per_byte != 1 || use.type.quantized) {
    arguments.fail(ErrorCode::Unsupported,
                   "storage of class " + std::string(use.type.name) + " under a tensor that is not quantized");
  }
  if (call.function == Callable::OldTensor) require_old_class(arguments, call.node, use.type.name);
  DenseTensor tensor{.storage = use.storage};
  tensor.dtype = v3 ? arguments.dtype(args[6]) : use.type.dtype.value_or(DType::UInt8);
  if (v3 && !use.type.untyped) arguments.corrupt("typed storage under a tensor that has its own type");
  if (args.size() > least) read_metadata(arguments, args[least], tensor);
  require_lazy_operations(arguments, tensor);
  tensor.view.offset = arguments.index(args[1], "storage offset");
  tensor.view.shape = arguments.indices(args[2], "size");
  tensor.view.strides = arguments.indices(args[3], "stride");
  // Elements of the storage class and of the tensor differ only if it is untyped: bytes then.
  const auto item_bytes = static_cast<std::uint64_t>(info(tensor.dtype).block_bytes);
  const auto unit_bytes = use.type.untyped ? 1 : item_bytes;
  if (use.type.untyped && static_cast<std::uint64_t>(use.first) % item_bytes != 0) {
    arguments.corrupt("slice of a storage that begins inside an element");
  }
  require_extent(arguments, tensor.view, item_bytes, static_cast<std::uint64_t>(use.numel) * unit_bytes / item_bytes);
  if (numel(tensor.view.shape) == 0) {
    tensor.view.offset = 0;
  } else {
    tensor.view.offset += static_cast<std::int64_t>(static_cast<std::uint64_t>(use.first) * unit_bytes / item_bytes);
  }
  return tensor;
}

DenseTensor storage_tensor(const Values& values, const TensorCall& call, std::string_view name) {
  const Arguments arguments(values, call.node, name);
  const StorageUse use = storage_use(arguments, call.node);
  if (use.type.quantized) {
    arguments.fail(ErrorCode::Unsupported, "storage of class " + std::string(use.type.name) + " without a tensor");
  }
  return {.storage = use.storage,
          .dtype = use.type.dtype.value_or(DType::UInt8),
          .view = {.offset = use.first, .shape = {use.numel}, .strides = {1}}};
}

std::string reference_key(const Values& values, const TensorCall& call, std::string_view name) {
  std::string key = reference_text(values.graph(), call.arguments);
  if (key.empty()) Arguments(values, call.node, name).corrupt("persistent id of the wrong type");
  return key;
}

void require_extent(const Arguments& arguments, const StridedView& view, std::uint64_t item_bytes, std::uint64_t end) {
  if (std::optional<ErrorDetails> error = extent_error(view, item_bytes, end)) {
    arguments.fail(error->code, std::move(error->message), std::move(error->expected), std::move(error->found));
  }
}

}  // namespace mq::formats::torch
