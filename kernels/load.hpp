// Stored floats as vectors of float.
#pragma once

#include "kernels/lanes.hpp"

namespace mq::kernels {

template <class Isa>
struct LoadF32 {
  using Element = float;
  static typename Lanes<Isa>::Floats at(const float* p) { return Lanes<Isa>::Floats::load_unaligned(p); }
};

template <class Isa>
struct LoadF16 {
  using Element = std::uint16_t;
  static constexpr std::int16_t kInfinity = 0x7c00;
  static typename Lanes<Isa>::Floats at(const std::uint16_t* p) { return Isa::from_f16(p); }
};

template <class Isa>
struct LoadBf16 {
  using Element = std::uint16_t;
  static constexpr std::int16_t kInfinity = 0x7f80;
  static typename Lanes<Isa>::Floats at(const std::uint16_t* p) {
    return xsimd::bitwise_cast<typename Lanes<Isa>::Floats>(Isa::widen(p) << 16);
  }
};

}  // namespace mq::kernels
