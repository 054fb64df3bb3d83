// This library's own layout, for encodings that no runtime's layout has a place for. For a weight NAME:
//
//   NAME.codes            I8, shape of the weight; of less than 8 bits I32 [out, words]: code - qmin as a bit stream
//                         (mq/pack.hpp), rows whole words
//   NAME.scale            float of the model's type, [blocks down, blocks across] of the matrix [out, rest]
//   NAME.zero_point       I8 or U8, the same shape; of asymmetric mappings
//   NAME.outlier_columns  I32 [1, N], ascending                     of NAME_outliers encodings
//   NAME.outlier_weight   F16 [out, N]: these columns of the weight
//
//   quantization_config: {"quant_method": "mono_quant", "version": 1,
//                         "weights": {NAME: {"spec": text, "dtype": of the float weight, "transposed": true,
//                                            "leading_dims": 2, "shape": [as stored]}}}   (the third and fourth where
//                                                                                          they apply)
#pragma once

#include "src/dialects/dialect.hpp"

namespace mq {

extern const Dialect kMonoQuant;

}  // namespace mq
