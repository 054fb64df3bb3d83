#include "formats/torch_tensors.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <utility>

#include "formats/io/checked.hpp"
#include "formats/limits.hpp"

namespace mq::formats::torch {
namespace {

using pickle::Kind;

// Reads the arguments of a dense rebuild call.
class DenseReader {
 public:
  DenseReader(const Values& values, const TensorCall& call, std::string_view name)
      : values_(values), graph_(values.graph()), call_(call), name_(name) {}

  DenseTensor read() {
    const auto args = graph_.items(call_.arguments);
    const bool v3 = call_.function == Callable::TensorV3;
    const bool v2 = call_.function == Callable::TensorV2;
    const std::size_t least = v3 ? 7 : v2 ? 6 : 4;
    const std::size_t most = v3 || v2 ? least + 1 : least;
    if (args.size() < least || args.size() > most) {
      corrupt("number of arguments of the rebuild call", std::to_string(least), std::to_string(args.size()));
    }
    if (v2 || v3) {
      if (graph_.kind(args[4]) != Kind::Bool) corrupt("requires_grad of the wrong type");
      check_hooks(args[5]);
    }
    if (args.size() > least) check_metadata(args[least]);
    read_storage(args[0]);
    tensor_.dtype = v3 ? dtype_argument(args[6]) : storage_dtype_.value_or(DType::UInt8);
    if (v3 && !tensor_.storage.untyped) corrupt("typed storage under a tensor that has its own type");
    tensor_.view.offset = index(args[1], "storage offset");
    tensor_.view.shape = indices(args[2], "size");
    tensor_.view.strides = indices(args[3], "stride");
    check_extent();
    return std::move(tensor_);
  }

 private:
  [[noreturn]] void fail(ErrorCode code, std::string message, std::string expected = {}, std::string found = {}) const {
    throw Error({.code = code,
                 .message = std::move(message),
                 .file = values_.source(),
                 .tensor = std::string(name_),
                 .offset = graph_.offset(call_.node),
                 .expected = std::move(expected),
                 .found = std::move(found)});
  }
  [[noreturn]] void corrupt(std::string message, std::string expected = {}, std::string found = {}) const {
    fail(ErrorCode::Corrupt, std::move(message), std::move(expected), std::move(found));
  }

  std::int64_t index(NodeId id, const char* what) const {
    if (graph_.kind(id) != Kind::Int || graph_.integer(id) < 0) {
      corrupt(std::string(what) + " that is not a number of elements");
    }
    return graph_.integer(id);
  }

  std::vector<std::int64_t> indices(NodeId id, const char* what) const {
    if (graph_.kind(id) == Kind::Object && callable(graph_.global(graph_.object(id).callable)) == Callable::Size) {
      const auto args = graph_.items(graph_.object(id).args);
      if (args.size() != 1) corrupt(std::string(what) + " of the wrong type");
      id = args[0];
    }
    if (graph_.kind(id) != Kind::Tuple && graph_.kind(id) != Kind::List)
      corrupt(std::string(what) + " of the wrong type");
    const auto items = graph_.items(id);
    if (items.size() > values_.limits().rank) {
      refuse_limit(values_.limits(), &Limits::rank,
                   {.message = "dimensions of a tensor",
                    .file = values_.source(),
                    .tensor = std::string(name_),
                    .offset = graph_.offset(call_.node),
                    .found = std::to_string(items.size())});
    }
    std::vector<std::int64_t> out;
    for (const NodeId item : items) out.push_back(index(item, what));
    return out;
  }

  void check_hooks(NodeId id) const {
    const bool none = graph_.kind(id) == Kind::None || graph_.kind(id) == Kind::Dict;
    const bool ordered =
        graph_.kind(id) == Kind::Object && callable(graph_.global(graph_.object(id).callable)) == Callable::OrderedDict;
    if (!none && !ordered) corrupt("backward hooks of the wrong type");
  }

  // {"conj": True}: the tensor is the conjugate of its bytes; {"neg": True}: the negative.
  void check_metadata(NodeId id) const {
    if (graph_.kind(id) == Kind::None) return;
    if (graph_.kind(id) != Kind::Dict) corrupt("metadata of the wrong type");
    for (const Element& element : values_.elements(id)) {
      if (graph_.kind(element.value) == Kind::Bool && !graph_.boolean(element.value)) continue;
      const std::string key = values_.key_text(element, 0);
      fail(ErrorCode::Unsupported, key == "conj"  ? "a conjugated view is not read"
                                   : key == "neg" ? "a negated view is not read"
                                                  : "tensor with unknown metadata " + key);
    }
  }

  DType dtype_argument(NodeId id) const {
    if (graph_.kind(id) != Kind::Global) corrupt("element type of the wrong type");
    const std::optional<DType> dtype = dtype_of(graph_.global(id));
    if (!dtype)
      fail(ErrorCode::Unsupported, "elements of type " + pickle::to_string(graph_.global(id)) + " are not read");
    return *dtype;
  }

  bool is_text(NodeId id) const { return graph_.kind(id) == Kind::Str || graph_.kind(id) == Kind::Bytes; }

  // ("storage", class, key, location, numel)
  void read_storage(NodeId id) {
    if (graph_.kind(id) != Kind::PersistentId) corrupt("tensor without a storage");
    const NodeId tuple = graph_.persistent_id(id);
    if (graph_.kind(tuple) != Kind::Tuple) corrupt("persistent id of the wrong type");
    const auto fields = graph_.items(tuple);
    if (fields.size() != 5 || !is_text(fields[0]) || graph_.text(fields[0]) != "storage" ||
        graph_.kind(fields[1]) != Kind::Global || !is_text(fields[2]) || !is_text(fields[3])) {
      corrupt("persistent id that does not name a storage");
    }
    const std::optional<StorageClass> known = storage_class(graph_.global(fields[1]));
    if (!known) corrupt("storage of class " + pickle::to_string(graph_.global(fields[1])));
    if (!known->untyped && !known->dtype) {
      fail(ErrorCode::Unsupported, "storage of class " + std::string(known->name) + " is not read");
    }
    storage_dtype_ = known->dtype;
    StorageRef& storage = tensor_.storage;
    storage.class_name = known->name;
    storage.untyped = known->untyped;
    storage.key = graph_.text(fields[2]);
    storage.numel = index(fields[4], "length of a storage");
    const DType element = known->dtype.value_or(DType::UInt8);
    if (storage.numel > std::numeric_limits<std::int64_t>::max() / info(element).block_bytes) {
      fail(ErrorCode::Limit, "storage of more than 2^63 - 1 bytes");
    }
    storage.size_bytes = bytes_of(element, storage.numel);
    if (call_.function == Callable::OldTensor) check_old_class(known->name);
  }

  // torch.FloatTensor holds a FloatStorage.
  void check_old_class(std::string_view storage_class_name) const {
    const std::string_view name = graph_.global(graph_.object(call_.node).callable).name;
    const auto prefix = [](std::string_view text, std::string_view suffix) {
      return text.substr(0, text.size() - suffix.size());
    };
    if (prefix(name, "Tensor") != prefix(storage_class_name, "Storage")) {
      corrupt("storage of another type than the tensor", std::string(name), std::string(storage_class_name));
    }
  }

  // The last element must lie inside the storage, and sizes be such that nobody's arithmetic overflows.
  void check_extent() const {
    const auto& [offset, shape, strides] = tensor_.view;
    if (shape.size() != strides.size()) {
      corrupt("size and stride of different length", std::to_string(shape.size()), std::to_string(strides.size()));
    }
    const auto item_bytes = static_cast<std::uint64_t>(info(tensor_.dtype).block_bytes);
    std::optional<std::uint64_t> size_bytes = item_bytes;
    std::optional<std::uint64_t> last = static_cast<std::uint64_t>(offset);
    bool empty = false;
    for (std::size_t i = 0; i < shape.size(); ++i) {
      if (shape[i] == 0) {
        empty = true;
        continue;
      }
      const auto size = static_cast<std::uint64_t>(shape[i]);
      const auto stride = static_cast<std::uint64_t>(strides[i]);
      size_bytes = size_bytes ? io::checked_multiply(*size_bytes, size) : std::nullopt;
      const std::optional<std::uint64_t> reach = io::checked_multiply(size - 1, stride);
      last = last && reach ? io::checked_add(*last, *reach) : std::nullopt;
    }
    if (!size_bytes || *size_bytes > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
      fail(ErrorCode::Limit, "tensor of more than 2^63 - 1 bytes");
    }
    if (empty) return;
    const std::uint64_t elements = static_cast<std::uint64_t>(tensor_.storage.size_bytes) / item_bytes;
    if (!last || *last >= elements) {
      corrupt("view reaches outside its storage", "less than " + std::to_string(elements) + " elements",
              last ? "element " + std::to_string(*last) : "an element beyond 2^64");
    }
  }

  const Values& values_;
  const pickle::Graph& graph_;
  const TensorCall& call_;
  std::string_view name_;
  DenseTensor tensor_;
  std::optional<DType> storage_dtype_;
};

}  // namespace

DenseTensor dense_tensor(const Values& values, const TensorCall& call, std::string_view name) {
  return DenseReader(values, call, name).read();
}

}  // namespace mq::formats::torch
