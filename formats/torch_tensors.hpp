// Tensors as PyTorch pickles describe them: calls of rebuild functions, whose arguments name a storage and a view of
// it. Every argument is checked for its type and range; nothing is read from the storage.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "formats/strided_read.hpp"
#include "formats/torch_arguments.hpp"
#include "formats/torch_values.hpp"
#include "mq/dtype.hpp"

namespace mq::formats::torch {

// How a tensor is stored.
enum class TensorKind : std::uint8_t {
  Dense,
  Quantized,
  Sparse,
  Storage,    // no tensor: a storage by itself
  Reference,  // a persistent id that the container explains
  // Those that are refused by name where they are needed.
  Meta,
  Nested,
  Subclass,
  Device,  // rebuilt from an array of another device
};

// "quantized tensor", "wrapper subclass", ...
std::string_view to_string(TensorKind kind) noexcept;

// The innermost rebuild call of a tensor, without the Parameter and subclass wrappers around it.
struct TensorCall {
  TensorKind kind = TensorKind::Dense;
  Callable function = Callable::Unknown;
  NodeId node = kNoNode;       // where it stands
  NodeId arguments = kNoNode;  // a Tuple; of a Storage or Reference, what its persistent id holds
  NodeId cast = kNoNode;       // the type that the tensor is converted to when it is loaded, if one is named
};

// Throws: Corrupt if a wrapper does not wrap a tensor, or if something was stored into one.
TensorCall tensor_call(const Values& values, NodeId tensor);

// A storage: raw bytes under a key.
struct StorageRef {
  std::string_view key;
  std::string_view class_name;  // "FloatStorage"
  std::int64_t numel = 0;       // elements of the class; bytes if it is untyped or packs several into one
  std::int64_t size_bytes = 0;
  bool untyped = false;

  bool operator==(const StorageRef&) const = default;
};

// A storage as a rebuild call names it: of streams, possibly a slice of one.
struct StorageUse {
  StorageRef storage;
  StorageClass type;
  std::int64_t first = 0;  // elements of the slice
  std::int64_t numel = 0;
};

// The storage that a persistent id names.
// Throws: Corrupt unless it does.
StorageUse storage_use(const Arguments& arguments, NodeId persistent_id);

struct DenseTensor {
  StorageRef storage;
  DType dtype = DType::Float32;
  StridedView view;  // inside the storage
  bool conjugated = false;
  bool negated = false;
};

// The tensor of a Dense call; `name` is for errors.
// Throws: Corrupt (an argument of the wrong type, a view that reaches outside its storage), Unsupported (an element
// type that is not read), Limit (too many dimensions or elements).
DenseTensor dense_tensor(const Values& values, const TensorCall& call, std::string_view name);
// A Storage by itself: one dimension, all of it. Throws: as dense_tensor.
DenseTensor storage_tensor(const Values& values, const TensorCall& call, std::string_view name);
// The text by which the container knows a Reference. Throws: Corrupt.
std::string reference_key(const Values& values, const TensorCall& call, std::string_view name);

// Fails unless the last element of the view lies before `end` elements of item_bytes bytes, and nobody's arithmetic on
// its sizes can overflow.
void require_extent(const Arguments& arguments, const StridedView& view, std::uint64_t item_bytes, std::uint64_t end);

}  // namespace mq::formats::torch
