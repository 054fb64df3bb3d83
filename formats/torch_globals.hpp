// What the names in PyTorch's pickles stand for, and which of them may be called.
//
// Policy. Nothing is ever called, so no name can do harm here; the question is which files are accepted as checkpoints:
// - the names below have a meaning and are interpreted;
// - a call of Python's own library (os.system, subprocess.Popen, builtins.eval, ...) has no business in a checkpoint
//   unless it makes one of a few plain values (a date, a path, a set, ...): anywhere in the pickle, even where the
//   result is thrown away, it makes the file refused. The list is one of what is allowed; all else of that library is
//   not;
// - a call of any other package (a configuration class, an optimizer, NumPy) is kept as an inert record. It is skipped
//   where it stands beside the tensors, and refused by name where tensors would have to come out of it.
// The refusal protects whoever opens the same file with Python; safety here does not depend on it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "formats/pickle_graph.hpp"
#include "mq/dtype.hpp"

namespace mq::formats::torch {

// Names whose calls have a meaning here.
enum class Callable : std::uint8_t {
  Unknown,
  // Rebuild a tensor from its storage.
  Tensor,
  TensorV2,
  TensorV3,
  OldTensor,  // a class like torch.FloatTensor; the view is in its state
  // Wrap another tensor.
  Parameter,
  ParameterWithState,
  FromType,
  FromTypeV2,
  OldParameter,  // the class torch.nn.Parameter or Variable
  // Kinds of tensors that have no plain strided storage.
  Quantized,
  Sparse,
  Meta,
  Nested,
  Subclass,
  FromNumpy,
  FromCpu,
  // NumPy.
  Array,        // _reconstruct: shape, type and bytes are in its state
  ArrayBuffer,  // _frombuffer: they are its arguments
  ArrayScalar,
  // Containers.
  OrderedDict,
  Dict,
  DefaultDict,
  Namespace,
  Size,
  Set,
  Typed,  // torch.jit._pickle: a container with its type
};
Callable callable(const pickle::Global& global) noexcept;

// Whether a pickle may call this name, by the policy above.
bool may_be_called(const pickle::Global& global) noexcept;

// Whether PyTorch's own restricted loader (weights_only) accepts a call of this name.
bool is_weights_only(const pickle::Global& global) noexcept;

// torch.float16 and the like. Empty for other names and for types that are not read (torch.qint8, torch.bits8).
std::optional<DType> dtype_of(const pickle::Global& global) noexcept;

// What torch.FloatStorage and the like say about the elements of a storage.
struct StorageClass {
  std::string_view name;
  std::optional<DType> dtype;  // empty if untyped or of a type that is not read
  bool untyped = false;        // the tensor says the type, the length is in bytes
  bool quantized = false;      // dtype is that of the integers
  int values_per_byte = 1;     // more than 1: quantized ones packed into bytes, low bits first; the length is in bytes
};
// Empty for names that are no storage class. The module does not count: torch, torch.cuda and others are in use.
std::optional<StorageClass> storage_class(const pickle::Global& global) noexcept;

// The class in the module torch of storages of this type: "FloatStorage", of quantized tensors "QInt8Storage". Empty
// for types that have none.
std::optional<std::string> storage_class_name(DType dtype, bool quantized);

}  // namespace mq::formats::torch
