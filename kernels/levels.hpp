// Codes of up to 4 bits that stand for unevenly spaced levels: the nearest level of x / scale, and back.
#pragma once

#include "kernels/lanes.hpp"
#include "kernels/reference.hpp"
#include "kernels/runs.hpp"

namespace mq::kernels {

template <class Isa>
struct EncodeLevels {
  using L = kernels::Lanes<Isa>;
  using Floats = typename L::Floats;
  using Ints = typename L::Ints;
  using In = float;
  using Out = std::uint8_t;
  static constexpr std::size_t kWidth = L::kWidth;
  static constexpr std::size_t kStep = 4 * kWidth;
  static constexpr std::size_t kGroupWidth = kWidth;
  static constexpr std::size_t kInPerUnit = 1;
  static constexpr std::size_t kOutPerUnit = 1;

  const Levels* levels;

  struct Shared {
    Floats scale[4];
  };

  Shared uniform(float scale, float) const {
    const Floats s(scale);
    return {{s, s, s, s}};
  }

  template <std::size_t kRuns>
  Shared grouped(const float* scale, const float*) const {
    Shared p;
    for (std::size_t k = 0; k < 4; ++k) p.scale[k] = Floats(scale[k * kRuns / 4]);
    return p;
  }

  Shared each(const float* scale, const float*) const {
    Shared p;
    for (std::size_t k = 0; k < 4; ++k) p.scale[k] = Floats::load_unaligned(scale + k * kWidth);
    return p;
  }

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
    const auto bytes = Isa::narrow_unsigned(Isa::narrow(codes[0], codes[1]), Isa::narrow(codes[2], codes[3]));
    Isa::in_order(bytes).store_unaligned(q);
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
    Runs<Isa, Op>::apply(Op{&levels}, x, rows, run, scale, scale, q);
  }

  // A run has only 16 values: they are computed once and looked up.
  static void dequantize_levels(const Levels& levels, const std::uint8_t* q, std::size_t rows, std::size_t run,
                                const float* scale, float* y) noexcept {
    Reference<Isa>::dequantize_levels(levels, q, rows, run, scale, y);
  }
};

}  // namespace mq::kernels
