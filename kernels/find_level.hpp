// The level nearest to a value: how many middles are below it, and what that one stands for. With tables in registers
// the middles are bisected, without they are compared one by one.
#pragma once

#include "kernels/lanes.hpp"

namespace mq::kernels {

template <class Isa>
class LevelFinder {
 public:
  using Floats = typename Lanes<Isa>::Floats;
  using Ints = typename Lanes<Isa>::Ints;

  explicit LevelFinder(const Levels& levels) : levels_(levels) {}

  // How many middles are below v, or with sign_magnitude below its magnitude; 0 for NaN.
  Ints index(Floats v) const { return levels_.sign_magnitude ? below<7>(xsimd::abs(v)) : below<15>(v); }

  Floats nearest(Floats v) const {
    const Floats compared = levels_.sign_magnitude ? xsimd::abs(v) : v;
    Floats found(levels_.value[0]);
    for (std::size_t k = 0; k < (levels_.sign_magnitude ? 7 : 15); ++k) {
      found = xsimd::select(compared > Floats(levels_.middle[k]), Floats(levels_.value[k + 1]), found);
    }
    return levels_.sign_magnitude ? found | (v & Floats(-0.0f)) : found;
  }

 private:
  template <std::size_t kMiddles>
  Ints below(Floats v) const {
    Floats count(0.0f);
    for (std::size_t k = 0; k < kMiddles; ++k) {
      count += xsimd::select(v > Floats(levels_.middle[k]), Floats(1.0f), Floats(0.0f));
    }
    return xsimd::nearbyint_as_int(count);
  }

  const Levels& levels_;
};

template <class Isa>
requires requires {
  typename Isa::Table;
}
class LevelFinder<Isa> {
 public:
  using Floats = typename Lanes<Isa>::Floats;
  using Ints = typename Lanes<Isa>::Ints;

  explicit LevelFinder(const Levels& levels)
      : sign_magnitude_(levels.sign_magnitude),
        middles_(Numbers(levels).middles),
        values_(Numbers(levels).values),
        root_(Numbers(levels).middles[1]) {}

  Ints index(Floats v) const { return sign_magnitude_ ? bisect<3>(xsimd::abs(v)) - Ints(8) : bisect<4>(v) - Ints(16); }
  Floats nearest(Floats v) const {
    if (sign_magnitude_) return values_.high(bisect<3>(xsimd::abs(v))) | (v & Floats(-0.0f));
    return values_.any(bisect<4>(v));
  }

 private:
  using Table = typename Isa::Table;

  // Middle k has those at 2k and 2k + 1 on its sides; 1 is the root. Levels are where the last step leads to, and the
  // half of them that there is with sign_magnitude twice.
  struct Numbers {
    float middles[16] = {};
    float values[16];

    explicit Numbers(const Levels& levels) {
      const std::size_t count = levels.sign_magnitude ? 8 : 16;
      for (std::size_t first = 1; first < count; first *= 2) {
        for (std::size_t k = first; k < 2 * first; ++k) {
          middles[k] = levels.middle[(2 * (k - first) + 1) * (count / (2 * first)) - 1];
        }
      }
      for (std::size_t k = 0; k < 16; ++k) values[k] = levels.value[k % count];
    }
  };

  // 2^kDepth and how many middles are below v.
  template <int kDepth>
  Ints bisect(Floats v) const {
    Ints k = Table::count(Ints(2), v, root_);
    k = Table::count(k + k, v, middles_.low(k));
    k = Table::count(k + k, v, middles_.low(k));
    if constexpr (kDepth == 4) k = Table::count(k + k, v, middles_.high(k));
    return k;
  }

  bool sign_magnitude_;
  Table middles_, values_;
  Floats root_;
};

}  // namespace mq::kernels
