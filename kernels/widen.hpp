// Floats of 16 bits to float.
#pragma once

#include "kernels/lanes.hpp"

namespace mq::kernels {

template <class Isa>
struct Widen {
  static void f16_to_f32(const std::uint16_t* x, std::size_t n, float* y) noexcept {
    map_elements<Isa, kWidth>(x, n, y,
                              [](const std::uint16_t* in, float* out) { Isa::from_f16(in).store_unaligned(out); });
  }

  static void bf16_to_f32(const std::uint16_t* x, std::size_t n, float* y) noexcept {
    map_elements<Isa, kWidth>(x, n, y, [](const std::uint16_t* in, float* out) {
      xsimd::bitwise_cast<typename Lanes<Isa>::Floats>(Isa::widen(in) << 16).store_unaligned(out);
    });
  }

 private:
  static constexpr std::size_t kWidth = Lanes<Isa>::kWidth;
};

}  // namespace mq::kernels
