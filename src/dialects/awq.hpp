// AWQ, the layout "gemm" of AutoAWQ. For a weight M.weight [out, in] of 4 bits in groups of g columns:
//
//   M.qweight  I32 [in, out/8]     transpose of the codes (code + 8); a word holds 8 columns of it, in the order
//   M.qzeros   I32 [in/g, out/8]   zero points, packed alike             0 2 4 6 1 3 5 7 from the lowest bits up
//   M.scales   float [in/g, out]
//
// There are always zero points: symmetric weights have 8 everywhere.
//
// Source: AutoAWQ's packing utilities and gemm module.
#pragma once

#include "src/dialects/dialect.hpp"

namespace mq {

extern const Dialect kAwq;

}  // namespace mq
