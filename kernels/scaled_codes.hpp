// What the steps of kernels/runs.hpp from floats to codes of a byte have in common whose runs have a scale and no zero
// point: four vectors at a time, each with its scale.
#pragma once

#include "kernels/lanes.hpp"

namespace mq::kernels {

template <class Isa>
struct ScaledCodes {
  using L = Lanes<Isa>;
  using Floats = typename L::Floats;
  using Ints = typename L::Ints;
  using In = float;
  using Out = std::uint8_t;
  static constexpr std::size_t kWidth = L::kWidth;
  static constexpr std::size_t kStep = 4 * kWidth;
  static constexpr std::size_t kGroupWidth = kWidth;
  static constexpr std::size_t kInPerUnit = 1;
  static constexpr std::size_t kOutPerUnit = 1;

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

 protected:
  static void store(const Ints (&codes)[4], std::uint8_t* q) {
    const auto bytes = Isa::narrow_unsigned(Isa::narrow(codes[0], codes[1]), Isa::narrow(codes[2], codes[3]));
    Isa::in_order(bytes).store_unaligned(q);
  }
};

}  // namespace mq::kernels
