// PyTorch's quantized tensors as formats/torch_quantized.hpp delivers them, or as they were copied from there. Read
// only.
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

}  // namespace mq
