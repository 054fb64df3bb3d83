// FP8 with a scale for every block, as DeepSeek's models have it (transformers' quant_method "fp8"):
//
//   NAME            F8_E4M3 [out, in]
//   NAME_scale_inv  F32 [ceil(out/rows), ceil(in/cols)]   despite its name, what codes are multiplied by
//
// Source: transformers' finegrained FP8 quantizer.
#pragma once

#include "src/dialects/dialect.hpp"

namespace mq {

extern const Dialect kFp8Blocks;

}  // namespace mq
