// Tensors as PyTorch pickles describe them: calls of rebuild functions, whose arguments name a storage and a view of
// it. Every argument is checked for its type and range; nothing is read from the storage.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "formats/strided_read.hpp"
#include "formats/torch_values.hpp"
#include "mq/dtype.hpp"

namespace mq::formats::torch {

// How a tensor is stored. Only Dense ones are read; each other kind is refused by name where it is needed.
enum class TensorKind : std::uint8_t {
  Dense,
  Quantized,
  Sparse,
  Meta,
  Nested,
  Subclass,
  Device,   // rebuilt from an array of another device
  Storage,  // no tensor: a storage by itself
};

// "quantized tensor", "wrapper subclass", ...
std::string_view to_string(TensorKind kind) noexcept;

// The innermost rebuild call of a tensor, without the Parameter and subclass wrappers around it.
struct TensorCall {
  TensorKind kind = TensorKind::Dense;
  Callable function = Callable::Unknown;
  NodeId node = kNoNode;       // where it stands
  NodeId arguments = kNoNode;  // a Tuple; of a Storage, its persistent id
};

// Throws: Corrupt if a wrapper does not wrap a tensor, or if something was stored into one.
TensorCall tensor_call(const Values& values, NodeId tensor);

// A storage: a record of raw bytes.
struct StorageRef {
  std::string_view key;         // its record is data/<key>
  std::string_view class_name;  // "FloatStorage"
  std::int64_t numel = 0;       // elements of the class; bytes if it is untyped
  std::int64_t size_bytes = 0;
  bool untyped = false;

  bool operator==(const StorageRef&) const = default;
};

struct DenseTensor {
  StorageRef storage;
  DType dtype = DType::Float32;
  StridedView view;  // inside the storage
};

// The tensor of a Dense call; `name` is for errors.
// Throws: Corrupt (an argument of the wrong type, a view that reaches outside its storage), Unsupported (an element
// type or a lazy operation that is not read), Limit (too many dimensions or elements).
DenseTensor dense_tensor(const Values& values, const TensorCall& call, std::string_view name);

}  // namespace mq::formats::torch
