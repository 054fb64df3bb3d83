// Sums of a block of integer codes times activations, in vectors (kernels/matmul.hpp).
#pragma once

#include "kernels/matmul_table.hpp"

namespace mq::kernels {

// Integer codes of 8 bits, or of 4. kCorrects: with zero points that differ or activations that have some.
template <class V, bool kNibbles, bool kCorrects>
struct MatmulIntegers {
  using Ints = typename V::Ints;
  using Floats = typename V::Floats;
  using Codes = typename V::Codes;
  using Quad = typename V::Quad;
  static constexpr std::size_t kLanes = V::kLanes;
  static constexpr std::size_t kParts = kPanelColumns / kLanes;
  using Product = IntegerProduct;
  static constexpr bool kUnpacks = kNibbles;
  static const float* x_scale(const Product& p) { return p.x_scale; }
  static constexpr std::size_t kOctetBytes = kNibbles ? 64 : 128;
  // Whether an instruction multiplies octets of two rows by those of two columns.
  static constexpr bool kMultipliesPairs = requires { typename V::PairSums; };

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
    if constexpr (kMultipliesPairs && kRows > 1) {
      add_in_pairs<kRows, kPanels>(p, w, x, octets, sum[0]);
    } else if constexpr (kNibbles) {
      for (std::size_t o = 0; o < octets; ++o, w += kOctetBytes, x += kOctet * kRows) {
        if constexpr (kRows > 1) __builtin_prefetch(soon, 0, 2), soon += 2 * p.shape.prefetch_step;
        if constexpr (kRows == 1) fetch_ahead<kPanels>(p, w);
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
        if constexpr (kRows == 1) fetch_ahead<kPanels>(p, w);
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
  // Weights that one row passes through are read once, faster than they are brought nearer unasked.
  template <std::size_t kPanels>
  [[gnu::always_inline]] static inline void fetch_ahead(const Product& p, const std::uint8_t* w) {
    constexpr std::uintptr_t kAhead = 1024;
    for (std::size_t i = 0; i < kPanels; ++i) {
      const auto at = reinterpret_cast<std::uintptr_t>(w) + i * p.panel_bytes + kAhead;
      for (std::size_t byte = 0; byte < kOctetBytes; byte += 64) {
        __builtin_prefetch(reinterpret_cast<const void*>(at + byte), 0, 3);
      }
    }
  }

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

  // The same by products of pairs; the last of an odd number of rows is its own partner.
  template <std::size_t kRows, std::size_t kPanels>
  [[gnu::always_inline]] static inline void add_in_pairs(const Product& p, const std::uint8_t* w, const std::int8_t* x,
                                                         std::size_t octets, Ints (&sum)[kRows][kPanels * kParts]) {
    constexpr std::size_t kAcross = kPanels * kParts, kPairs = (kRows + 1) / 2;
    typename V::PairSums products[kPairs][kAcross] = {};
    for (std::size_t o = 0; o < octets; ++o, w += kOctetBytes, x += kOctet * kRows) {
      Codes low[kAcross], high[kAcross];
#pragma GCC unroll 8
      for (std::size_t c = 0; c < kAcross; ++c) {
        const std::uint8_t* const at = w + c / kParts * p.panel_bytes + c % kParts * kLanes * 4;
        if constexpr (kNibbles) {
          V::nibbles(at, low[c], high[c]);
        } else {
          low[c] = V::codes(at);
          high[c] = V::codes(at + kOctetBytes / 2);
        }
      }
#pragma GCC unroll 8
      for (std::size_t pair = 0; pair < kPairs; ++pair) {
        constexpr std::size_t kLast = kRows - 1;
        const std::size_t first = 2 * pair, second = first < kLast ? first + 1 : kLast;
        const Quad rows = V::octets(x + 4 * first, x + 4 * second, 4 * kRows);
#pragma GCC unroll 8
        for (std::size_t c = 0; c < kAcross; ++c) V::add_products(products[pair][c], low[c], high[c], rows);
      }
    }
#pragma GCC unroll 16
    for (std::size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
      for (std::size_t c = 0; c < kAcross; ++c) {
        sum[r][c] = V::add(sum[r][c], V::row_of(products[r / 2][c], r % 2));
      }
    }
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
        const Ints bias = V::each(kNibbles ? 0 : -V::kCodeBias8);
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

}  // namespace mq::kernels
