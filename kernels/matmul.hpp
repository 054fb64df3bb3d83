// The products in vectors: columns of a panel in lanes, a tile of rows times a group of panels in registers.
//
// A V has, with kLanes columns in a vector of its own types
//   Ints, Floats
//   kTileRows, kGroupPanels, kCodeBias8       what the table says
//   Codes, Quad                               weights of 4 k for each lane; activations of 4 k, the same in all lanes
//   Codes codes(const uint8_t*)               4 * kLanes codes of 8 bits
//   nibbles(const uint8_t*, Codes& first, Codes& second)   of 4 bits: low nibbles, high nibbles
//   Quad quad(const int8_t*)
//   Ints dot(Ints sum, Codes, Quad)           adds, for each lane, 4 products; wraps around, does not saturate.
//                                             Codes of 8 bits count as u - kCodeBias8
//   Ints dot_nibbles(Ints sum, Codes, Quad)   the same for codes of 4 bits, which count as they are
//   Ints each(int32_t), add, multiply         wrapping around
//   factor(Ints), Ints less_multiple(Ints sum, factor, int32_t)   sum - f * s with f in -128..255, s in -2^22..2^22 - 1
//   Ints load(const int32_t*), widen(const uint8_t*)   kLanes of them
//   Ints words(const uint8_t*)                kLanes little-endian words of 32 bits
//   Floats lifted<shift, mask>(Ints words)    2^23 + (word >> shift & mask), mask below 2^23
//   Floats to_float(Ints), each(float), load(const float*), store(Floats, float*), fused(a, b, c), add, multiply
#pragma once

#include "kernels/matmul_floats.hpp"
#include "kernels/matmul_integers.hpp"
#include "kernels/matmul_pack.hpp"

namespace mq::kernels {

template <class V>
struct Matmul : MatmulPack<V>, MatmulDecode<V> {
  static constexpr std::size_t kTileRows = V::kTileRows;
  static constexpr std::size_t kGroupPanels = V::kGroupPanels;
  static constexpr std::int32_t kCodeBias8 = V::kCodeBias8;

  static void multiply_8(const IntegerProduct& p) noexcept { integers<false>(p); }
  static void multiply_4(const IntegerProduct& p) noexcept { integers<true>(p); }
  static void multiply_float(const FloatProduct& p) noexcept { groups<MatmulNumbers<V>>(p); }
  static void multiply_float_8(const CodedProduct& p) noexcept { groups<MatmulCoded<V, false>>(p); }
  static void multiply_float_4(const CodedProduct& p) noexcept { groups<MatmulCoded<V, true>>(p); }

 private:
  using Floats = typename V::Floats;
  static constexpr std::size_t kLanes = V::kLanes;
  static constexpr std::size_t kParts = kPanelColumns / kLanes;

  // A tile times kPanels panels, of which `first` is the first.
  template <class Kind, std::size_t kRows, std::size_t kPanels>
  static void tile(const typename Kind::Product& p, std::size_t first) {
    constexpr std::size_t kAcross = kPanels * kParts;
    const ProductShape& s = p.shape;
    Floats total[kRows][kAcross];
    for (std::size_t r = 0; r < kRows; ++r) {
      for (std::size_t c = 0; c < kAcross; ++c) total[r][c] = V::each(0.0f);
    }
    const float* scale = s.scale + first * s.params_stride;
    for (std::size_t octet = 0, block = 0; octet < s.octets; octet += s.block_octets, ++block) {
      const std::size_t left = s.octets - octet;
      const std::size_t octets = left < s.block_octets ? left : s.block_octets;
      Floats part[kRows][kAcross];
      Kind::template block_sums<kRows, kPanels>(p, first, octet, octets, block, part);
#pragma GCC unroll 8
      for (std::size_t c = 0; c < kAcross; ++c) {
        const Floats factor =
            V::load(scale + c / kParts * s.params_stride + block * kPanelColumns + c % kParts * kLanes);
#pragma GCC unroll 16
        for (std::size_t r = 0; r < kRows; ++r) total[r][c] = V::fused(part[r][c], factor, total[r][c]);
      }
    }
    store<kRows, kPanels>(s, Kind::x_scale(p), first, total);
  }

  template <std::size_t kRows, std::size_t kPanels>
  static void store(const ProductShape& s, const float* x_scale, std::size_t first,
                    const Floats (&total)[kRows][kPanels * kParts]) {
    for (std::size_t c = 0; c < kPanels * kParts; ++c) {
      const std::size_t column = first * kPanelColumns + c * kLanes;
      if (column >= s.columns) return;
      const std::size_t left = s.columns - column;
      const std::size_t count = left < kLanes ? left : kLanes;
      float few[kLanes] = {};
      for (std::size_t i = 0; s.bias != nullptr && i < count; ++i) few[i] = s.bias[column + i];
      const Floats bias = V::load(few);
      for (std::size_t r = 0; r < kRows; ++r) {
        Floats y = total[r][c];
        if (x_scale != nullptr) y = V::multiply(y, V::each(x_scale[r]));
        if (s.bias != nullptr) y = V::add(y, bias);
        float* out = s.y + r * s.y_stride + column;
        if (count == kLanes) {
          V::store(y, out);
          continue;
        }
        V::store(y, few);
        for (std::size_t i = 0; i < count; ++i) out[i] = few[i];
        V::store(bias, few);
      }
    }
  }

  template <bool kNibbles>
  static void integers(const IntegerProduct& p) {
    if (p.zero_point != nullptr || p.x_zero != nullptr) return groups<MatmulIntegers<V, kNibbles, true>>(p);
    groups<MatmulIntegers<V, kNibbles, false>>(p);
  }

  template <class Kind, std::size_t kRows>
  static void panels(const typename Kind::Product& p) {
    // Codes take registers for what they become.
    constexpr std::size_t kGroup = Kind::kUnpacks && kRows > 4 && kGroupPanels > 2 ? 2 : kGroupPanels;
    std::size_t first = 0;
    for (; first + kGroup <= p.shape.panels; first += kGroup) tile<Kind, kRows, kGroup>(p, first);
    if constexpr (kGroup > 1) {
      for (; first < p.shape.panels; ++first) tile<Kind, kRows, 1>(p, first);
    }
  }

  template <class Kind, std::size_t kRows = kTileRows>
  static void groups(const typename Kind::Product& p) {
    if (p.shape.rows == kRows) return panels<Kind, kRows>(p);
    if constexpr (kRows > 1) groups<Kind, kRows - 1>(p);
  }
};

}  // namespace mq::kernels
