// Floats of 16 bits to float.
#pragma once

#include "kernels/load.hpp"

namespace mq::kernels {

template <class Isa>
struct Widen {
  static void f16_to_f32(const std::uint16_t* x, std::size_t n, float* y) noexcept { widen<LoadF16<Isa>>(x, n, y); }
  static void bf16_to_f32(const std::uint16_t* x, std::size_t n, float* y) noexcept { widen<LoadBf16<Isa>>(x, n, y); }

 private:
  template <class Load>
  static void widen(const std::uint16_t* x, std::size_t n, float* y) {
    map_elements<Isa, Lanes<Isa>::kWidth>(
        x, n, y, [](const std::uint16_t* in, float* out) { Load::at(in).store_unaligned(out); });
  }
};

}  // namespace mq::kernels
