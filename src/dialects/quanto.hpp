// optimum-quanto. For a weight NAME ("….weight") of a module M:
//
//   NAME._data       I8 (qint8), F8_E4M3 (qfloat8_e4m3fn), F8_E5M2 (qfloat8_e5m2), shape of the weight
//   NAME._scale      float of the model's type, [out, 1…]
//   M.input_scale    of the same type, []: of activations, which are floats here: 1
//   M.output_scale   the same
//
//   beside the weights, quanto_qmap.json: {"M": {"weights": "qint8", "activations": "none"}, …}
//
// qint4 and qint2 (NAME._data._data) are refused: their offsets are floats, for which no encoding here has a place.
//
// Source: optimum-quanto's qmodule, tensor and models modules.
#pragma once

#include "src/dialects/dialect.hpp"

namespace mq {

extern const Dialect kQuanto;

}  // namespace mq
