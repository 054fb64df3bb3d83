// NumPy's arrays and scalars inside pickles: their type, shape and bytes, from the records of calls that would rebuild
// them. Source: numpy/numpy, numpy/_core/src/multiarray/methods.c (__reduce__).
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "formats/torch_values.hpp"
#include "mq/dtype.hpp"
#include "mq/tensor.hpp"

namespace mq::formats::torch {

struct NumpyArray {
  std::string type;            // NumPy's code: "f4", "O8", "U3"
  std::optional<DType> dtype;  // empty for types that are no numbers
  Shape shape;                 // empty for a scalar
  bool big_endian = false;
  bool fortran = false;  // the bytes are in column-major order
  std::vector<std::byte> bytes;
};

// Empty if the value is not what NumPy writes.
std::optional<NumpyArray> numpy_array(const Values& values, NodeId id);

// The element type of a code like "f4" or "<i8"; empty if there is none.
std::optional<DType> numpy_dtype(std::string_view code) noexcept;

// For people: "numpy array float32 [5]"; of a scalar its value.
std::string describe_array(const Values& values, NodeId id);

}  // namespace mq::formats::torch
