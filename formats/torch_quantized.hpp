// PyTorch's own quantized tensors: integers of a quantized storage with a scale and a zero point, for the tensor or for
// every index of one dimension.
//
// A quantized tensor NAME of shape S is delivered as plain tensors: its integers (int8, uint8 or int32; 4- and 2-bit
// ones one per byte) as NAME, its scales as NAME.q_scale and its zero points as NAME.q_zero_point. Both of these have
// the rank of S: all sizes 1, except the one of the quantized dimension. The value is (integer - zero_point) * scale.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "formats/blob_checkpoint.hpp"
#include "formats/torch_storages.hpp"
#include "formats/torch_tensors.hpp"

namespace mq::formats::torch {

inline constexpr std::string_view kScaleSuffix = ".q_scale";
inline constexpr std::string_view kZeroPointSuffix = ".q_zero_point";

struct QuantizedTensors {
  struct Part {
    std::string suffix;  // of its name
    DType dtype = DType::Int8;
    Shape shape;
    Place place;
  };
  std::vector<Part> parts;
  std::vector<std::unique_ptr<const Blob>> blobs;  // of parameters that stand in the pickle
};

// Throws: Corrupt (an argument of the wrong type, parameters that do not fit the shape), Unsupported (a quantization
// scheme that is not known, packed integers that are strided).
QuantizedTensors quantized_tensors(const Values& values, const TensorCall& call, std::string_view name,
                                   Storages& storages, const Backing& backing);

}  // namespace mq::formats::torch
