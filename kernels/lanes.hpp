// The vectors that the operations are written in: xsimd batches of an instruction set, and what xsimd does not offer.
//
// An Isa is an empty tag type in the anonymous namespace of kernels/isa/<isa>_lanes.hpp, so that whatever is
// instantiated on it is local to one object file. With W = lanes of float it has
//   Arch                                         xsimd architecture, itself local where xsimd allows
//   Ints widen(const uint8_t*), widen(const int8_t*)   W bytes
//   Ints widen_nibbles(const uint8_t*)           W nibbles out of W/2 bytes, low nibble first
//   Uints widen(const uint16_t*)                 W halves
//   Words narrow(Ints a, Ints b)                 saturated to int16, 2W in an order of the instruction set's choice
//   SignedBytes narrow_signed(Words, Words), Bytes narrow_unsigned(Words, Words)   saturated, 4W, any order
//   Bytes in_order(Bytes)                        undoes the order of narrow and narrow_signed or narrow_unsigned
//   store_nibbles(Bytes, uint8_t*)               4W codes below 16 as 2W bytes, low nibble first
//   unpack_nibbles(const uint8_t*, uint8_t*)     4W nibbles as 4W bytes
//   store_upper_halves(Uints a, Uints b, uint16_t*)   the upper 16 bits of 2W values
//   Floats from_f16(const uint16_t*), store_f16(Floats, uint16_t*)
//   Floats from_e5m2(const uint8_t*)             W values
//   Floats from_e4m3_scaled(const uint8_t*)      W values times 2^-8, NaNs as small_float.hpp has them
//   Floats divide(Floats, Floats)                correctly rounded
//   Floats fused(Floats a, Floats b, Floats c)   a * b + c rounded once
//   transpose(Floats (&)[W])                     lane i of vector k becomes lane k of vector i
//   float least(Floats), largest(Floats)         across the lanes
//   float tree_sum(Floats)                       the lower half of the lanes plus the upper, and so on with these
//   Floats min_of_each(Floats (&)[W]), max_of_each   lane i of the result is the least or largest lane of vector i
//   store_ranges(Floats lo, Floats hi, Range*)   W ranges without non-finite elements
//   Floats max_magnitude(Floats v, Floats known) the larger of |v| and known >= 0; known where v is NaN
//   Uints select_bits(Uints mask, Uints a, Uints b)   bits of a where the mask has ones
//   NanWatch                                     add(Floats a, Floats b); any(): was there a NaN
// and may have
//   Table(const float (&)[16])                   low(Ints k): floats k, k in 0..7; high: k in 8..15; any: k % 16;
//                                                Ints count(Ints k, Floats a, Floats b): k + 1 where a > b, else k
//   NibbleDecoder(float scale, float zero_point)   operator()(const uint8_t*): W values (nibble - zero_point) * scale
//   uint32_t crc32(uint32_t crc, const uint8_t*, size_t n)
#pragma once

#include <cstddef>
#include <cstdint>
#include <xsimd/xsimd.hpp>

#include "kernels/kernel_table.hpp"

namespace mq::kernels {

template <class Isa>
struct Lanes {
  using Floats = xsimd::batch<float, typename Isa::Arch>;
  using Ints = xsimd::batch<std::int32_t, typename Isa::Arch>;
  using Uints = xsimd::batch<std::uint32_t, typename Isa::Arch>;
  using Words = xsimd::batch<std::int16_t, typename Isa::Arch>;
  using Bytes = xsimd::batch<std::uint8_t, typename Isa::Arch>;
  using SignedBytes = xsimd::batch<std::int8_t, typename Isa::Arch>;
  static constexpr std::size_t kWidth = Floats::size;
};

// Applies step, which turns kStep elements at x into kStep elements at y, to n elements. The last step is moved back
// so that it ends at n; fewer than kStep elements go through padded copies.
template <class Isa, std::size_t kStep, class In, class Out, class Step>
void map_elements(const In* x, std::size_t n, Out* y, Step step) {
  if (n < kStep) {
    In in[kStep] = {};
    Out out[kStep];
    for (std::size_t i = 0; i < n; ++i) in[i] = x[i];
    step(in, out);
    for (std::size_t i = 0; i < n; ++i) y[i] = out[i];
    return;
  }
  std::size_t i = 0;
  for (; i + kStep <= n; i += kStep) step(x + i, y + i);
  if (i < n) step(x + (n - kStep), y + (n - kStep));
}

}  // namespace mq::kernels
