// Float to floats of 16 bits.
#pragma once

#include "kernels/lanes.hpp"

namespace mq::kernels {

template <class Isa>
struct Narrow {
  static void f32_to_f16(const float* x, std::size_t n, std::uint16_t* y) noexcept {
    map_elements<Isa, kWidth>(
        x, n, y, [](const float* in, std::uint16_t* out) { Isa::store_f16(Floats::load_unaligned(in), out); });
  }

  static void f32_to_bf16(const float* x, std::size_t n, std::uint16_t* y) noexcept {
    map_elements<Isa, 2 * kWidth>(x, n, y, [](const float* in, std::uint16_t* out) {
      const Floats a = Floats::load_unaligned(in);
      const Floats b = Floats::load_unaligned(in + kWidth);
      typename Isa::NanWatch watch;
      watch.add(a, b);
      if (watch.any()) {
        Isa::store_upper_halves(with_nans(a, rounded(a)), with_nans(b, rounded(b)), out);
      } else {
        Isa::store_upper_halves(rounded(a), rounded(b), out);
      }
    });
  }

 private:
  using Floats = typename Lanes<Isa>::Floats;
  using Ints = typename Lanes<Isa>::Ints;
  using Uints = typename Lanes<Isa>::Uints;
  static constexpr std::size_t kWidth = Lanes<Isa>::kWidth;

  // Half a unit of the upper 16 bits, less one if they are even: a tie goes to even by not reaching the carry.
  static Uints rounded(Floats x) {
    const Uints bits = xsimd::bitwise_cast<Uints>(x);
    return bits + Uints(0x7fffu) + ((bits >> 16) & Uints(1u));
  }

  static Uints with_nans(Floats x, Uints rounded_bits) {
    const auto is_nan = xsimd::bitwise_cast<Ints>(xsimd::abs(x)) > Ints(0x7f800000);
    return xsimd::bitwise_cast<Uints>(xsimd::select(is_nan, Ints(0x7fc00000), xsimd::bitwise_cast<Ints>(rounded_bits)));
  }
};

}  // namespace mq::kernels
