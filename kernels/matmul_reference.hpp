// The products as plain loops: what the other tables are tested against.
#pragma once

#include "kernels/matmul_pack.hpp"
#include "kernels/scalar_math.hpp"

namespace mq::kernels {

template <class Isa>
struct ReferenceMatmul : MatmulPack<Isa> {
  static constexpr std::size_t kTileRows = 4;
  static constexpr std::size_t kGroupPanels = 1;
  static constexpr std::int32_t kCodeBias8 = 0;

  static void multiply_8(const IntegerProduct& p) noexcept { multiply(p, 8); }
  static void multiply_4(const IntegerProduct& p) noexcept { multiply(p, 4); }

  static void multiply_float(const FloatProduct& p) noexcept {
    multiply_floats(p.shape, p.x, [&](std::size_t k, std::size_t n) {
      return p.weights[n / kPanelColumns * p.panel_numel + k * kPanelColumns + n % kPanelColumns];
    });
  }
  static void multiply_float_8(const CodedProduct& p) noexcept { multiply_coded(p, 8); }
  static void multiply_float_4(const CodedProduct& p) noexcept { multiply_coded(p, 4); }

  static void expand_4(const std::uint8_t* codes, std::size_t octets, std::uint8_t* out) noexcept {
    for (std::size_t i = 0; i < octets * kPanelColumns * kOctet; ++i) {
      out[i] = code_of(codes, 4, i / 128, i % 128 / 64, i % 64);
    }
  }
  static void floats_of_8(const std::uint8_t* codes, std::size_t octets, std::size_t block_octets,
                          const std::uint8_t* zero_point, float zero_point_of_all, float* out) noexcept {
    floats_of(codes, 8, octets, block_octets, zero_point, zero_point_of_all, out);
  }
  static void floats_of_4(const std::uint8_t* codes, std::size_t octets, std::size_t block_octets,
                          const std::uint8_t* zero_point, float zero_point_of_all, float* out) noexcept {
    floats_of(codes, 4, octets, block_octets, zero_point, zero_point_of_all, out);
  }

 private:
  static float fused(float a, float b, float c) { return ScalarMath<Isa>::fused(a, b, c); }

  // Where the parameters of column n for this octet are.
  static std::size_t parameter(const ProductShape& s, std::size_t n, std::size_t octet) {
    return n / kPanelColumns * s.params_stride + octet / s.block_octets * kPanelColumns + n % kPanelColumns;
  }

  // i: byte of the half of the octet.
  static std::uint8_t code_of(const std::uint8_t* codes, int bits, std::size_t octet, std::size_t half, std::size_t i) {
    if (bits == 8) return codes[octet * 128 + half * 64 + i];
    return static_cast<std::uint8_t>(codes[octet * 64 + i] >> (4 * half) & 15);
  }

  // weight(k, n)
  template <class Weight>
  static void multiply_floats(const ProductShape& s, const float* x, Weight&& weight) {
    const std::size_t k = s.octets * kOctet;
    for (std::size_t r = 0; r < s.rows; ++r) {
      for (std::size_t n = 0; n < s.columns; ++n) {
        float total = 0, part = 0;
        for (std::size_t i = 0; i < k; ++i) {
          part = fused(x[i * s.rows + r], weight(i, n), part);
          if ((i + 1) % (s.block_octets * kOctet) != 0 && i + 1 != k) continue;
          total = fused(part, s.scale[parameter(s, n, i / kOctet)], total);
          part = 0;
        }
        s.y[r * s.y_stride + n] = s.bias != nullptr ? total + s.bias[n] : total;
      }
    }
  }

  static void multiply_coded(const CodedProduct& p, int bits) {
    multiply_floats(p.shape, p.x, [&](std::size_t k, std::size_t n) {
      const std::size_t at = parameter(p.shape, n, k / kOctet);
      const float zero = p.zero_point != nullptr ? static_cast<float>(p.zero_point[at]) : p.zero_point_of_all;
      const std::uint8_t* panel = p.codes + n / kPanelColumns * p.panel_bytes;
      const std::size_t i = n % kPanelColumns * 4 + k % 4;
      return static_cast<float>(code_of(panel, bits, k / kOctet, k / 4 % 2, i)) - zero;
    });
  }

  static void multiply(const IntegerProduct& p, int bits) {
    const ProductShape& s = p.shape;
    for (std::size_t r = 0; r < s.rows; ++r) {
      for (std::size_t n = 0; n < s.columns; ++n) {
        float total = 0;
        for (std::size_t octet = 0; octet < s.octets; octet += s.block_octets) {
          const std::size_t at = parameter(s, n, octet);
          total = fused(static_cast<float>(dot(p, bits, r, n, octet)), s.scale[at], total);
        }
        total *= p.x_scale[r];
        s.y[r * s.y_stride + n] = s.bias != nullptr ? total + s.bias[n] : total;
      }
    }
  }

  // Of a block. Parts of the sum may leave the range of 32 bits and come back.
  static std::int32_t dot(const IntegerProduct& p, int bits, std::size_t r, std::size_t n, std::size_t first) {
    const ProductShape& s = p.shape;
    const std::uint8_t* codes = p.codes + n / kPanelColumns * p.panel_bytes;
    const std::size_t end = first + s.block_octets < s.octets ? first + s.block_octets : s.octets;
    const std::size_t at = parameter(s, n, first);
    std::int64_t sum = p.sums[first / s.block_octets * s.rows + r];
    if (p.zero_point != nullptr) sum *= -static_cast<std::int64_t>(p.zero_point[at]);
    if (p.x_zero != nullptr) sum -= static_cast<std::int64_t>(p.x_zero[r]) * p.column_sums[at];
    for (std::size_t octet = first; octet < end; ++octet) {
      for (std::size_t i = 0; i < kOctet; ++i) {
        const std::uint8_t u = code_of(codes, bits, octet, i / 4, n % kPanelColumns * 4 + i % 4);
        sum += u * p.x[((octet * 2 + i / 4) * s.rows + r) * 4 + i % 4];
      }
    }
    return static_cast<std::int32_t>(sum);
  }

  static void floats_of(const std::uint8_t* codes, int bits, std::size_t octets, std::size_t block_octets,
                        const std::uint8_t* zero_point, float zero_point_of_all, float* out) {
    for (std::size_t octet = 0; octet < octets; ++octet) {
      for (std::size_t i = 0; i < kOctet; ++i) {
        for (std::size_t n = 0; n < kPanelColumns; ++n) {
          const std::size_t at = octet / block_octets * kPanelColumns + n;
          const float z = zero_point != nullptr ? static_cast<float>(zero_point[at]) : zero_point_of_all;
          out[(octet * kOctet + i) * kPanelColumns + n] =
              static_cast<float>(code_of(codes, bits, octet, i / 4, n * 4 + i % 4)) - z;
        }
      }
    }
  }
};

}  // namespace mq::kernels
