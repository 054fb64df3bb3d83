// Fused multiply-add of single values, where the compiler may not use the instruction.
#pragma once

#include <cstdint>

namespace mq::kernels {

template <class Isa>
struct ScalarMath {
  // a * b + c rounded once. The product is exact in double. The sum is rounded to odd there: such a number is on the
  // same side of every float and of every middle between two floats as the exact sum, so that rounding it again gives
  // what rounding once would.
  static float fused(float a, float b, float c) {
    const double product = static_cast<double>(a) * static_cast<double>(b);
    const double addend = static_cast<double>(c);
    const double sum = product + addend;
    const double back = sum - product;
    const double lost = (product - (sum - back)) + (addend - back);
    std::int64_t bits = __builtin_bit_cast(std::int64_t, sum);
    if ((lost > 0 || lost < 0) && bits % 2 == 0) bits += (lost > 0) == (sum > 0) ? 1 : -1;
    return static_cast<float>(__builtin_bit_cast(double, bits));
  }
};

}  // namespace mq::kernels
