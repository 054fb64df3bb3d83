// The arithmetic of the searches in kernels/search.hpp, a block to a lane: in vectors, and one block at a time as
// reference.
#pragma once

#include "kernels/find_level.hpp"
#include "kernels/lanes.hpp"
#include "kernels/scalar_math.hpp"
#include "kernels/small_float.hpp"

namespace mq::kernels {

// What both have: Floats with + - *, kWidth, and
//   load, store                   kWidth floats
//   fused(a, b, c)                a * b + c rounded once
//   divide, root                  correctly rounded
//   min, max, magnitude
//   with_sign(v, of)              v >= 0 with the sign bit of the other
//   where_greater(a, b, x, y)     x where a > b, else y
//   power_below(v)                2^e with v in [2^e, 2^(e+1)), e in [-126, 126], of v >= 0
//   inverse_of_power(2^e)         2^-e
//   LevelFinder(const Levels&)    nearest(v): the level nearest to v
//   load_blocks(x, n, out)        element i of the blocks that begin at x[lane] is out[i * kWidth + lane]
template <class Isa>
struct VectorSearch {
  using Floats = typename Lanes<Isa>::Floats;
  using Ints = typename Lanes<Isa>::Ints;
  using LevelFinder = kernels::LevelFinder<Isa>;
  static constexpr std::size_t kWidth = Lanes<Isa>::kWidth;

  static Floats load(const float* p) { return Floats::load_unaligned(p); }
  static void store(Floats v, float* p) { v.store_unaligned(p); }
  static Floats fused(Floats a, Floats b, Floats c) { return Isa::fused(a, b, c); }
  static Floats divide(Floats a, Floats b) { return Isa::divide(a, b); }
  static Floats root(Floats v) { return xsimd::sqrt(v); }
  static Floats min(Floats a, Floats b) { return xsimd::min(a, b); }
  static Floats max(Floats a, Floats b) { return xsimd::max(a, b); }
  static Floats magnitude(Floats v) { return xsimd::abs(v); }
  static Floats with_sign(Floats v, Floats of) { return v | (of & Floats(-0.0f)); }
  static Floats where_greater(Floats a, Floats b, Floats x, Floats y) { return xsimd::select(a > b, x, y); }

  static Floats power_below(Floats v) {
    const Ints exponent = xsimd::bitwise_cast<Ints>(v) & Ints(0x7f800000);
    const Ints held = xsimd::min(xsimd::max(exponent, Ints(1 << 23)), Ints(253 << 23));
    return xsimd::bitwise_cast<Floats>(held);
  }
  static Floats inverse_of_power(Floats power) {
    return xsimd::bitwise_cast<Floats>(Ints(254 << 23) - xsimd::bitwise_cast<Ints>(power));
  }

  static void load_blocks(const float* const (&x)[kWidth], std::size_t n, float* out) {
    std::size_t i = 0;
    for (; i + kWidth <= n; i += kWidth) {
      Floats rows[kWidth];
      for (std::size_t lane = 0; lane < kWidth; ++lane) rows[lane] = load(x[lane] + i);
      Isa::transpose(rows);
      for (std::size_t k = 0; k < kWidth; ++k) store(rows[k], out + (i + k) * kWidth);
    }
    for (; i < n; ++i) {
      for (std::size_t lane = 0; lane < kWidth; ++lane) out[i * kWidth + lane] = x[lane][i];
    }
  }
};

template <class Isa>
struct ScalarSearch {
  using Floats = float;
  static constexpr std::size_t kWidth = 1;

  static float load(const float* p) { return *p; }
  static void store(float v, float* p) { *p = v; }
  static float divide(float a, float b) { return a / b; }
  static float min(float a, float b) { return a < b ? a : b; }
  static float max(float a, float b) { return a > b ? a : b; }
  static float magnitude(float v) { return __builtin_fabsf(v); }
  static float with_sign(float v, float of) { return __builtin_copysignf(v, of); }
  static float where_greater(float a, float b, float x, float y) { return a > b ? x : y; }

  static float fused(float a, float b, float c) { return ScalarMath<Isa>::fused(a, b, c); }
  static float root(float v) { return __builtin_sqrtf(v); }

  static float power_below(float v) { return SmallFloat<Isa>::power_below(v); }
  static float inverse_of_power(float power) {
    return __builtin_bit_cast(float, (254 << 23) - __builtin_bit_cast(std::int32_t, power));
  }

  class LevelFinder {
   public:
    explicit LevelFinder(const Levels& levels) : levels_(levels) {}
    float nearest(float v) const {
      const float compared = levels_.sign_magnitude ? magnitude(v) : v;
      float found = levels_.value[0];
      for (std::size_t k = 0; k < (levels_.sign_magnitude ? 7 : 15); ++k) {
        if (compared > levels_.middle[k]) found = levels_.value[k + 1];
      }
      return levels_.sign_magnitude ? with_sign(found, v) : found;
    }

   private:
    const Levels& levels_;
  };

  static void load_blocks(const float* const (&x)[1], std::size_t n, float* out) {
    for (std::size_t i = 0; i < n; ++i) out[i] = x[0][i];
  }
};

constexpr float kRounder = 0x1.8p23f;  // adding it rounds to a whole number, ties to even

// Lanes without a block repeat the last one.
constexpr std::size_t block_of_lane(std::size_t lane, std::size_t blocks) {
  return lane < blocks ? lane : blocks - 1;
}

// A number of each block.
template <class Ops>
typename Ops::Floats load_of_each(const float* of_blocks, std::size_t blocks) {
  if (blocks == Ops::kWidth) return Ops::load(of_blocks);
  float lanes[Ops::kWidth];
  for (std::size_t lane = 0; lane < Ops::kWidth; ++lane) lanes[lane] = of_blocks[block_of_lane(lane, blocks)];
  return Ops::load(lanes);
}

template <class Ops>
typename Ops::Floats finite_or_zero(typename Ops::Floats v) {
  using Floats = typename Ops::Floats;
  return Ops::where_greater(Floats(__builtin_inff()), Ops::magnitude(v), v, Floats(0.0f));
}

}  // namespace mq::kernels
