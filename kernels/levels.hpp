// Codes of up to 4 bits that stand for unevenly spaced levels: the nearest level of x / scale, and back.
#pragma once

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

  const Levels* levels;

  explicit EncodeLevels(const Levels& of) : levels(&of) {}

  void step(const Shared& p, const float* x, std::uint8_t* q) const {
    Floats t[4];
    for (std::size_t k = 0; k < 4; ++k) t[k] = Isa::divide(Floats::load_unaligned(x + k * kWidth), p.scale[k]);
    Ints codes[4];
    if (levels->sign_magnitude) {
      for (std::size_t k = 0; k < 4; ++k) {
        // The sign bit ends up as bit 3.
        codes[k] = above<7>(xsimd::abs(t[k])) | ((xsimd::bitwise_cast<Ints>(t[k]) >> 28) & Ints(8));
      }
    } else {
      for (std::size_t k = 0; k < 4; ++k) codes[k] = above<15>(t[k]);
    }
    this->store(codes, q);
  }

 private:
  // How many middles are below.
  template <std::size_t kMiddles>
  Ints above(Floats t) const {
    Floats count(0.0f);
    for (std::size_t k = 0; k < kMiddles; ++k) {
      count += xsimd::select(t > Floats(levels->middle[k]), Floats(1.0f), Floats(0.0f));
    }
    return xsimd::nearbyint_as_int(count);
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
