// One value at a time between float and the floats of 16 and 8 bits, in integer arithmetic.
#pragma once

#include <cstdint>

namespace mq::kernels {

// kMinExponent is that of the smallest normal number; below it the spacing stays 2^(kMinExponent - kMantissaBits).
struct F16 {
  static constexpr int kMantissaBits = 10;
  static constexpr int kMinExponent = -14;
};
struct E4m3 {
  static constexpr int kMantissaBits = 3;
  static constexpr int kMinExponent = -6;
  static constexpr float kMax = 448.0f;
  static constexpr std::uint8_t kMaxCode = 0x7e;
};
struct E5m2 {
  static constexpr int kMantissaBits = 2;
  static constexpr int kMinExponent = -14;
  static constexpr float kMax = 57344.0f;
  static constexpr std::uint8_t kMaxCode = 0x7b;
};

constexpr std::uint8_t kFp8Nan = 0x7f;  // of both formats, without the sign

template <class Isa>
struct SmallFloat {
  static constexpr std::uint32_t kSign = 0x80000000;
  static constexpr std::uint32_t kInfinity = 0x7f800000;
  static constexpr std::uint32_t kQuiet = 0x00400000;
  static constexpr std::uint16_t kBf16Nan = 0x7fc0;

  static std::uint32_t bits(float x) { return __builtin_bit_cast(std::uint32_t, x); }
  static float value(std::uint32_t b) { return __builtin_bit_cast(float, b); }

  // 2^e with v in [2^e, 2^(e+1)), e in [-126, 126]; 2^-126 for less. v is not negative.
  static float power_below(float v) {
    constexpr std::uint32_t kLeast = 1u << 23, kMost = 253u << 23;
    const std::uint32_t exponent = bits(v) & kInfinity;
    return value(exponent < kLeast ? kLeast : exponent > kMost ? kMost : exponent);
  }

  // Exponent and mantissa of the Format number nearest to |x|, ties to even; as if exponents had no upper end.
  // `magnitude` is the bits of |x|, finite.
  template <class Format>
  static std::uint32_t rounded(std::uint32_t magnitude) {
    constexpr int kDropped = 23 - Format::kMantissaBits;
    constexpr std::uint32_t kRebias = 126 + Format::kMinExponent;
    if (magnitude < (kRebias + 1) << 23) {
      // In units of the subnormal spacing; the addition rounds to the unit because floats from 2^23 are spaced by 1.
      const float in_units =
          value(magnitude) * value(std::uint32_t{127 + Format::kMantissaBits - Format::kMinExponent} << 23);
      return bits(in_units + 8388608.0f) & 0x007fffff;
    }
    const std::uint32_t half = (1u << (kDropped - 1)) - 1 + (magnitude >> kDropped & 1);
    return ((magnitude + half) >> kDropped) - (kRebias << Format::kMantissaBits);
  }

  static float from_f16(std::uint16_t h) {
    const std::uint32_t sign = (h & 0x8000u) << 16;
    const std::uint32_t exponent = h >> 10 & 31u;
    const std::uint32_t mantissa = h & 0x3ffu;
    if (exponent == 31) return value(sign | kInfinity | mantissa << 13 | (mantissa != 0 ? kQuiet : 0));
    if (exponent == 0) return value(sign | bits(static_cast<float>(mantissa) * 0x1p-24f));
    return value(sign | (exponent + 112) << 23 | mantissa << 13);
  }

  static std::uint16_t to_f16(float x) {
    const std::uint32_t magnitude = bits(x) & ~kSign;
    const std::uint32_t sign = bits(x) >> 16 & 0x8000u;
    if (magnitude > kInfinity) return static_cast<std::uint16_t>(sign | 0x7e00u | (magnitude >> 13 & 0x3ffu));
    const std::uint32_t code = magnitude == kInfinity ? 0x7c00u : rounded<F16>(magnitude);
    return static_cast<std::uint16_t>(sign | (code < 0x7c00u ? code : 0x7c00u));
  }

  static float from_bf16(std::uint16_t h) { return value(std::uint32_t{h} << 16); }

  static std::uint16_t to_bf16(float x) {
    const std::uint32_t b = bits(x);
    if ((b & ~kSign) > kInfinity) return kBf16Nan;
    return static_cast<std::uint16_t>((b + 0x7fffu + (b >> 16 & 1)) >> 16);
  }

  static float from_e4m3(std::uint8_t q) {
    const std::uint32_t sign = (q & 0x80u) << 24;
    const std::uint32_t magnitude = q & 0x7fu;
    if (magnitude == kFp8Nan) return value(sign | 0x7ff00000u);
    if (magnitude < 8) return value(sign | bits(static_cast<float>(magnitude) * 0x1p-9f));
    return value(sign | (magnitude + (120u << 3)) << 20);
  }

  // An E5M2 number is the upper byte of the f16 number of the same value.
  static float from_e5m2(std::uint8_t q) { return from_f16(static_cast<std::uint16_t>(q << 8)); }

  template <class Format>
  static std::uint8_t to_fp8(float x) {
    const std::uint32_t magnitude = bits(x) & ~kSign;
    const std::uint32_t sign = bits(x) >> 24 & 0x80u;
    if (magnitude > kInfinity) return static_cast<std::uint8_t>(sign | kFp8Nan);
    const std::uint32_t code = value(magnitude) < Format::kMax ? rounded<Format>(magnitude) : Format::kMaxCode;
    return static_cast<std::uint8_t>(sign | code);
  }
};

}  // namespace mq::kernels
