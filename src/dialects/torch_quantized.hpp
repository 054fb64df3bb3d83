// PyTorch's quantized tensors as formats/torch_quantized.hpp delivers them, or as they were copied from there. A
// PyTorch checkpoint has one real quantized tensor for the three (formats/torch_state_dict.hpp).
//
//   NAME                int8 or uint8, shape of the tensor: the integers
//   NAME.q_scale        float64 or float32
//   NAME.q_zero_point   int64
//
// Scales and zero points have the rank of the tensor: all sizes 1, or one of them that of the quantized dimension.
#pragma once

#include "src/dialects/dialect.hpp"

namespace mq {

extern const Dialect kTorchQuantized;

// Whether PyTorch has quantized tensors of this encoding: integers of 8 bits with a scale for the tensor, or for each
// index of one of its dimensions. leading_dims: of the tensor's dimensions, those that make up the rows of its matrix.
bool is_torch_quantized(const QuantSpec& spec, int leading_dims);

}  // namespace mq
