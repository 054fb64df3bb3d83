// Sums of a block of weights times activations as floats, in vectors (kernels/matmul.hpp).
#pragma once

#include "kernels/matmul_decode.hpp"

namespace mq::kernels {

// Weights that are floats in memory.
template <class V>
struct MatmulNumbers {
  using Floats = typename V::Floats;
  static constexpr std::size_t kLanes = V::kLanes;
  static constexpr std::size_t kParts = kPanelColumns / kLanes;
  using Product = FloatProduct;
  static constexpr bool kUnpacks = false;
  static const float* x_scale(const Product&) { return nullptr; }

  template <std::size_t kRows, std::size_t kPanels>
  [[gnu::always_inline]] static inline void block_sums(const Product& p, std::size_t first, std::size_t octet,
                                                       std::size_t octets, std::size_t,
                                                       Floats (&part)[kRows][kPanels * kParts]) {
    constexpr std::size_t kAcross = kPanels * kParts;
    Floats sum[kRows][kAcross];
#pragma GCC unroll 16
    for (std::size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
      for (std::size_t c = 0; c < kAcross; ++c) sum[r][c] = V::each(0.0f);
    }
    const float* w = p.weights + first * p.panel_numel + octet * kOctet * kPanelColumns;
    const float* x = p.x + octet * kOctet * kRows;
    const char* soon = static_cast<const char*>(p.shape.prefetch) + octet * kOctet * p.shape.prefetch_step;
    for (std::size_t k = 0; k < octets * kOctet; ++k, w += kPanelColumns, x += kRows) {
      __builtin_prefetch(soon, 0, 2), soon += p.shape.prefetch_step;
      Floats weights[kAcross];
#pragma GCC unroll 8
      for (std::size_t c = 0; c < kAcross; ++c) {
        weights[c] = V::load(w + c / kParts * p.panel_numel + c % kParts * kLanes);
      }
#pragma GCC unroll 16
      for (std::size_t r = 0; r < kRows; ++r) {
        const Floats each = V::each(x[r]);
#pragma GCC unroll 8
        for (std::size_t c = 0; c < kAcross; ++c) sum[r][c] = V::fused(each, weights[c], sum[r][c]);
      }
    }
#pragma GCC unroll 16
    for (std::size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
      for (std::size_t c = 0; c < kAcross; ++c) part[r][c] = sum[r][c];
    }
  }
};

// Integer codes as floats, which the products of floats take without a detour through memory.
template <class V, bool kNibbles>
struct MatmulCoded {
  using Ints = typename V::Ints;
  using Floats = typename V::Floats;
  static constexpr std::size_t kLanes = V::kLanes;
  static constexpr std::size_t kParts = kPanelColumns / kLanes;
  using Product = CodedProduct;
  static constexpr bool kUnpacks = true;
  static const float* x_scale(const Product&) { return nullptr; }

  template <std::size_t kRows, std::size_t kPanels>
  [[gnu::always_inline]] static inline void block_sums(const Product& p, std::size_t first, std::size_t octet,
                                                       std::size_t octets, std::size_t block,
                                                       Floats (&part)[kRows][kPanels * kParts]) {
    constexpr std::size_t kAcross = kPanels * kParts;
    constexpr std::size_t kStepBytes = 64;
    constexpr std::size_t kSteps = kNibbles ? 1 : 2;  // of an octet
    Floats offset[kAcross], sum[kRows][kAcross];
#pragma GCC unroll 8
    for (std::size_t c = 0; c < kAcross; ++c) {
      const std::size_t at = (first + c / kParts) * p.shape.params_stride + block * kPanelColumns + c % kParts * kLanes;
      offset[c] =
          MatmulDecode<V>::offset_of(p.zero_point != nullptr ? p.zero_point + at : nullptr, p.zero_point_of_all);
#pragma GCC unroll 16
      for (std::size_t r = 0; r < kRows; ++r) sum[r][c] = V::each(0.0f);
    }
    const std::uint8_t* w = p.codes + first * p.panel_bytes + octet * kSteps * kStepBytes;
    const float* x = p.x + octet * kOctet * kRows;
    for (std::size_t step = 0; step < octets * kSteps; ++step, w += kStepBytes, x += kOctet / kSteps * kRows) {
      Ints words[kAcross];
#pragma GCC unroll 8
      for (std::size_t c = 0; c < kAcross; ++c) {
        words[c] = V::words(w + c / kParts * p.panel_bytes + c % kParts * kLanes * 4);
      }
      constexpr int kMask = kNibbles ? 15 : 255;
      add<0, kMask, kRows, kAcross>(words, offset, x, sum);
      add<8, kMask, kRows, kAcross>(words, offset, x + kRows, sum);
      add<16, kMask, kRows, kAcross>(words, offset, x + 2 * kRows, sum);
      add<24, kMask, kRows, kAcross>(words, offset, x + 3 * kRows, sum);
      if constexpr (kNibbles) {
        add<4, kMask, kRows, kAcross>(words, offset, x + 4 * kRows, sum);
        add<12, kMask, kRows, kAcross>(words, offset, x + 5 * kRows, sum);
        add<20, kMask, kRows, kAcross>(words, offset, x + 6 * kRows, sum);
        add<28, kMask, kRows, kAcross>(words, offset, x + 7 * kRows, sum);
      }
    }
#pragma GCC unroll 16
    for (std::size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
      for (std::size_t c = 0; c < kAcross; ++c) part[r][c] = sum[r][c];
    }
  }

 private:
  // One k of every column.
  template <int kShift, int kMask, std::size_t kRows, std::size_t kAcross>
  [[gnu::always_inline]] static inline void add(const Ints (&words)[kAcross], const Floats (&offset)[kAcross],
                                                const float* x, Floats (&sum)[kRows][kAcross]) {
#pragma GCC unroll 8
    for (std::size_t c = 0; c < kAcross; ++c) {
      const Floats weight = V::add(V::template lifted<kShift, kMask>(words[c]), offset[c]);
#pragma GCC unroll 16
      for (std::size_t r = 0; r < kRows; ++r) sum[r][c] = V::fused(V::each(x[r]), weight, sum[r][c]);
    }
  }
};

}  // namespace mq::kernels
