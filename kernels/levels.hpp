// Codes of up to 4 bits that stand for unevenly spaced levels: the nearest level of x / scale, and back.
#pragma once

#include "kernels/find_level.hpp"
#include "kernels/lanes.hpp"
#include "kernels/reference.hpp"
#include "kernels/runs.hpp"
#include "kernels/scaled_codes.hpp"

namespace mq::kernels {

template <class Isa>
struct EncodeLevels : ScaledCodes<Isa> {
  using Floats = typename ScaledCodes<Isa>::Floats;
  using Ints = typename ScaledCodes<Isa>::Ints;
  using Shared = typename ScaledCodes<Isa>::Shared;
  static constexpr std::size_t kWidth = ScaledCodes<Isa>::kWidth;

  LevelFinder<Isa> levels;
  bool sign_magnitude;

  explicit EncodeLevels(const Levels& of) : levels(of), sign_magnitude(of.sign_magnitude) {}

  void step(const Shared& p, const float* x, std::uint8_t* q) const {
    Ints codes[4];
    for (std::size_t k = 0; k < 4; ++k) {
      const Floats t = Isa::divide(Floats::load_unaligned(x + k * kWidth), p.scale[k]);
      codes[k] = levels.index(t);
      // The sign bit ends up as bit 3.
      if (sign_magnitude) codes[k] |= (xsimd::bitwise_cast<Ints>(t) >> 28) & Ints(8);
    }
    this->store(codes, q);
  }
};

template <class Isa>
struct LevelCodes {
  static void quantize_levels(const Levels& levels, const float* x, std::size_t rows, std::size_t run,
                              const float* scale, std::uint8_t* q) noexcept {
    using Op = EncodeLevels<Isa>;
    Runs<Isa, Op>::apply(Op(levels), x, rows, run, scale, scale, q);
  }

  // A run has only 16 values: they are computed once and looked up.
  static void dequantize_levels(const Levels& levels, const std::uint8_t* q, std::size_t rows, std::size_t run,
                                const float* scale, float* y) noexcept {
    Reference<Isa>::dequantize_levels(levels, q, rows, run, scale, y);
  }
};

}  // namespace mq::kernels
