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

#include "kernels/matmul_pack.hpp"

namespace mq::kernels {

template <class V>
struct Matmul : MatmulPack<V> {
  static constexpr std::size_t kTileRows = V::kTileRows;
  static constexpr std::size_t kGroupPanels = V::kGroupPanels;
  static constexpr std::int32_t kCodeBias8 = V::kCodeBias8;

  static void multiply_8(const IntegerProduct& p) noexcept { integers<false>(p); }
  static void multiply_4(const IntegerProduct& p) noexcept { integers<true>(p); }
  static void multiply_float(const FloatProduct& p) noexcept { groups<Numbers>(p); }
  static void multiply_float_8(const CodedProduct& p) noexcept { groups<Coded<false>>(p); }
  static void multiply_float_4(const CodedProduct& p) noexcept { groups<Coded<true>>(p); }

  static void expand_4(const std::uint8_t* codes, std::size_t octets, std::uint8_t* out) noexcept {
    for (std::size_t o = 0; o < octets; ++o) {
      for (std::size_t i = 0; i < 64; ++i) out[o * 128 + i] = codes[o * 64 + i] & 15;
      for (std::size_t i = 0; i < 64; ++i) out[o * 128 + 64 + i] = codes[o * 64 + i] >> 4;
    }
  }

  static void floats_of_8(const std::uint8_t* codes, std::size_t octets, std::size_t block_octets,
                          const std::uint8_t* zero_point, float zero_point_of_all, float* out) noexcept {
    floats_of<false>(codes, octets, block_octets, zero_point, zero_point_of_all, out);
  }
  static void floats_of_4(const std::uint8_t* codes, std::size_t octets, std::size_t block_octets,
                          const std::uint8_t* zero_point, float zero_point_of_all, float* out) noexcept {
    floats_of<true>(codes, octets, block_octets, zero_point, zero_point_of_all, out);
  }

 private:
  using Ints = typename V::Ints;
  using Floats = typename V::Floats;
  using Codes = typename V::Codes;
  using Quad = typename V::Quad;
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

  // Integer codes of 8 bits, or of 4. kCorrects: with zero points that differ or activations that have some.
  template <bool kNibbles, bool kCorrects>
  struct Integers {
    using Product = IntegerProduct;
    static constexpr bool kUnpacks = kNibbles;
    static const float* x_scale(const Product& p) { return p.x_scale; }
    static constexpr std::size_t kOctetBytes = kNibbles ? 64 : 128;

    template <std::size_t kRows, std::size_t kPanels>
    [[gnu::always_inline]] static inline void block_sums(const Product& p, std::size_t first, std::size_t octet,
                                                         std::size_t octets, std::size_t block,
                                                         Floats (&part)[kRows][kPanels * kParts]) {
      constexpr std::size_t kAcross = kPanels * kParts;
      // A single row leaves registers free: the two halves of an octet do not wait for each other.
      constexpr std::size_t kChains = kRows == 1 ? 2 : 1;
      const std::int32_t* sums = p.sums + block * kRows;
      Ints sum[kChains][kRows][kAcross];
#pragma GCC unroll 16
      for (std::size_t r = 0; r < kRows; ++r) {
        const Ints start = V::each(kCorrects && p.zero_point != nullptr ? 0 : sums[r]);
#pragma GCC unroll 8
        for (std::size_t c = 0; c < kAcross; ++c) {
          sum[0][r][c] = start;
          if constexpr (kChains == 2) sum[1][r][c] = V::each(std::int32_t{0});
        }
      }
      const std::uint8_t* w = p.codes + first * p.panel_bytes + octet * kOctetBytes;
      const std::int8_t* x = p.x + octet * kOctet * kRows;
      const char* soon = static_cast<const char*>(p.shape.prefetch) + octet * 2 * p.shape.prefetch_step;
      if constexpr (kNibbles) {
        for (std::size_t o = 0; o < octets; ++o, w += kOctetBytes, x += kOctet * kRows) {
          if constexpr (kRows > 1) __builtin_prefetch(soon, 0, 2), soon += 2 * p.shape.prefetch_step;
          Codes low[kAcross], high[kAcross];
#pragma GCC unroll 8
          for (std::size_t c = 0; c < kAcross; ++c) {
            V::nibbles(w + c / kParts * p.panel_bytes + c % kParts * kLanes * 4, low[c], high[c]);
          }
          add<kRows, kAcross>(low, x, sum[0]);
          add<kRows, kAcross>(high, x + 4 * kRows, sum[kChains - 1]);
        }
      } else {
        for (std::size_t half = 0; half < 2 * octets; half += kChains, w += 64 * kChains, x += 4 * kRows * kChains) {
          if constexpr (kRows > 1) __builtin_prefetch(soon, 0, 2), soon += p.shape.prefetch_step;
          add_quad<kRows, kPanels>(p, w, x, sum[0]);
          if constexpr (kChains == 2) add_quad<kRows, kPanels>(p, w + 64, x + 4 * kRows, sum[1]);
        }
      }
      if constexpr (kChains == 2) {
#pragma GCC unroll 8
        for (std::size_t c = 0; c < kAcross; ++c) sum[0][0][c] = V::add(sum[0][0][c], sum[1][0][c]);
      }
      if constexpr (kCorrects) correct<kRows, kPanels>(p, first, block, sum[0]);
#pragma GCC unroll 16
      for (std::size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
        for (std::size_t c = 0; c < kAcross; ++c) part[r][c] = V::to_float(sum[0][r][c]);
      }
    }

   private:
    template <std::size_t kRows, std::size_t kAcross>
    [[gnu::always_inline]] static inline void add(const Codes (&codes)[kAcross], const std::int8_t* x,
                                                  Ints (&sum)[kRows][kAcross]) {
#pragma GCC unroll 16
      for (std::size_t r = 0; r < kRows; ++r) {
        const Quad quad = V::quad(x + 4 * r);
#pragma GCC unroll 8
        for (std::size_t c = 0; c < kAcross; ++c) {
          if constexpr (kNibbles) {
            sum[r][c] = V::dot_nibbles(sum[r][c], codes[c], quad);
          } else {
            sum[r][c] = V::dot(sum[r][c], codes[c], quad);
          }
        }
      }
    }

    template <std::size_t kRows, std::size_t kPanels>
    [[gnu::always_inline]] static inline void add_quad(const Product& p, const std::uint8_t* w, const std::int8_t* x,
                                                       Ints (&sum)[kRows][kPanels * kParts]) {
      Codes codes[kPanels * kParts];
#pragma GCC unroll 8
      for (std::size_t c = 0; c < kPanels * kParts; ++c) {
        codes[c] = V::codes(w + c / kParts * p.panel_bytes + c % kParts * kLanes * 4);
      }
      add<kRows, kPanels * kParts>(codes, x, sum);
    }

    // Brings in zero points that differ from column to column and those of the activations.
    template <std::size_t kRows, std::size_t kPanels>
    [[gnu::always_inline]] static inline void correct(const Product& p, std::size_t first, std::size_t block,
                                                      Ints (&sum)[kRows][kPanels * kParts]) {
      const std::int32_t* sums = p.sums + block * kRows;
      const std::size_t at = first * p.shape.params_stride + block * kPanelColumns;
      if (p.zero_point != nullptr) {
        const std::uint8_t* zero_point = p.zero_point + at;
#pragma GCC unroll 8
        for (std::size_t c = 0; c < kPanels * kParts; ++c) {
          const Ints bias = V::each(kNibbles ? 0 : -kCodeBias8);
          const auto zero =
              V::factor(V::add(V::widen(zero_point + c / kParts * p.shape.params_stride + c % kParts * kLanes), bias));
#pragma GCC unroll 16
          for (std::size_t r = 0; r < kRows; ++r) sum[r][c] = V::less_multiple(sum[r][c], zero, sums[r]);
        }
      }
      if (p.x_zero != nullptr) {
        const std::int32_t* column_sums = p.column_sums + at;
#pragma GCC unroll 8
        for (std::size_t c = 0; c < kPanels * kParts; ++c) {
          const Ints columns = V::load(column_sums + c / kParts * p.shape.params_stride + c % kParts * kLanes);
#pragma GCC unroll 16
          for (std::size_t r = 0; r < kRows; ++r) {
            sum[r][c] = V::add(sum[r][c], V::multiply(columns, V::each(-p.x_zero[r])));
          }
        }
      }
    }
  };

  struct Numbers {
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
  template <bool kNibbles>
  struct Coded {
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
        const std::size_t at =
            (first + c / kParts) * p.shape.params_stride + block * kPanelColumns + c % kParts * kLanes;
        offset[c] = offset_of(p.zero_point != nullptr ? p.zero_point + at : nullptr, p.zero_point_of_all);
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

  template <bool kNibbles>
  static void integers(const IntegerProduct& p) {
    if (p.zero_point != nullptr || p.x_zero != nullptr) return groups<Integers<kNibbles, true>>(p);
    groups<Integers<kNibbles, false>>(p);
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

  // What makes u - z of 2^23 + u, exactly.
  static Floats offset_of(const std::uint8_t* zero_point, float zero_point_of_all) {
    const Floats zero = zero_point != nullptr ? V::to_float(V::widen(zero_point)) : V::each(zero_point_of_all);
    return V::multiply(V::add(zero, V::each(8388608.0f)), V::each(-1.0f));
  }

  template <bool kNibbles>
  static void floats_of(const std::uint8_t* codes, std::size_t octets, std::size_t block_octets,
                        const std::uint8_t* zero_point, float zero_point_of_all, float* out) {
    constexpr std::size_t kOctetBytes = kNibbles ? 64 : 128;
    for (std::size_t begin = 0, block = 0; begin < octets; begin += block_octets, ++block) {
      const std::size_t end = octets - begin < block_octets ? octets : begin + block_octets;
      for (std::size_t part = 0; part < kParts; ++part) {
        const std::size_t column = part * kLanes;
        const Floats offset =
            offset_of(zero_point != nullptr ? zero_point + block * kPanelColumns + column : nullptr, zero_point_of_all);
        for (std::size_t o = begin; o < end; ++o) {
          octet_floats<kNibbles>(codes + o * kOctetBytes + column * 4, offset,
                                 out + o * kOctet * kPanelColumns + column);
        }
      }
    }
  }

  template <bool kNibbles>
  static void octet_floats(const std::uint8_t* in, Floats offset, float* out) {
    const auto put = [&](Floats lifted, std::size_t k) { V::store(V::add(lifted, offset), out + k * kPanelColumns); };
    const Ints words = V::words(in);
    if constexpr (kNibbles) {
      put(V::template lifted<0, 15>(words), 0), put(V::template lifted<8, 15>(words), 1);
      put(V::template lifted<16, 15>(words), 2), put(V::template lifted<24, 15>(words), 3);
      put(V::template lifted<4, 15>(words), 4), put(V::template lifted<12, 15>(words), 5);
      put(V::template lifted<20, 15>(words), 6), put(V::template lifted<28, 15>(words), 7);
    } else {
      const Ints more = V::words(in + 64);
      put(V::template lifted<0, 255>(words), 0), put(V::template lifted<8, 255>(words), 1);
      put(V::template lifted<16, 255>(words), 2), put(V::template lifted<24, 255>(words), 3);
      put(V::template lifted<0, 255>(more), 4), put(V::template lifted<8, 255>(more), 5);
      put(V::template lifted<16, 255>(more), 6), put(V::template lifted<24, 255>(more), 7);
    }
  }
};

}  // namespace mq::kernels
