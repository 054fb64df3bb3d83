// Tiles of activations in the order in which the products read them. Loops that compilers turn into vectors themselves.
#pragma once

#include "kernels/matmul_table.hpp"

namespace mq::kernels {

template <class Isa>
struct MatmulPack {
  static void pack_codes(const RowsToPack& what, const std::int8_t* x, std::int32_t factor, std::int8_t* packed,
                         std::int32_t* sums) noexcept {
    for (std::size_t r = 0; r < what.rows; ++r) {
      const std::int8_t* in = x + r * what.row_stride;
      std::int8_t* out = packed + 4 * r;
      std::int32_t* sum = sums + r;
      for (std::size_t begin = 0; begin < what.k; begin += what.block) {
        const std::size_t n = what.k - begin < what.block ? what.k - begin : what.block;
        *sum = factor * sum_of(in + begin, n);
        sum += what.rows;
        out = pack_block(in + begin, n, 4 * what.rows, out);
      }
    }
  }

  static void pack_floats(const RowsToPack& what, const float* x, float* packed) noexcept {
    for (std::size_t r = 0; r < what.rows; ++r) {
      const float* in = x + r * what.row_stride;
      float* out = packed + r;
      for (std::size_t begin = 0; begin < what.k; begin += what.block) {
        const std::size_t n = what.k - begin < what.block ? what.k - begin : what.block;
        for (std::size_t i = 0; i < n; ++i) out[i * what.rows] = in[begin + i];
        const std::size_t padded = (n + kOctet - 1) / kOctet * kOctet;
        for (std::size_t i = n; i < padded; ++i) out[i * what.rows] = 0;
        out += padded * what.rows;
      }
    }
  }

 private:
  static std::int32_t sum_of(const std::int8_t* x, std::size_t n) {
    std::int32_t sum = 0;
    for (std::size_t i = 0; i < n; ++i) sum += x[i];
    return sum;
  }

  // Returns where the next block begins.
  static std::int8_t* pack_block(const std::int8_t* x, std::size_t n, std::size_t stride, std::int8_t* out) {
    const std::size_t quads = n / 4;
    for (std::size_t q = 0; q < quads; ++q) __builtin_memcpy(out + q * stride, x + 4 * q, 4);
    const std::size_t padded = (n + kOctet - 1) / kOctet * 2;
    for (std::size_t q = quads; q < padded; ++q) {
      std::int8_t last[4] = {};
      for (std::size_t i = 4 * q; i < n && i < 4 * q + 4; ++i) last[i % 4] = x[i];
      __builtin_memcpy(out + q * stride, last, 4);
    }
    return out + padded * stride;
  }
};

}  // namespace mq::kernels
