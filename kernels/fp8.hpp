// Floats of 8 bits: scaled and plain, both ways.
#pragma once

#include "kernels/lanes.hpp"
#include "kernels/runs.hpp"
#include "kernels/scaled_codes.hpp"
#include "kernels/small_float.hpp"

namespace mq::kernels {

// Four vectors to codes of Format. For |y| <= kMax with exponent e (not below the format's smallest), adding
// 2^(e + 23 - kMantissaBits) leaves round(|y| / spacing) in the low bits of the sum: the mantissa with its leading 1,
// or a subnormal. Adding the exponent field there gives the code, a carry included. The even constant that makes up
// for the difference in bias rides on the same addition, so that only the low byte of the sum is of use.
template <class Isa, class Format, bool kScaled>
struct EncodeFp8 : ScaledCodes<Isa> {
  using Floats = typename ScaledCodes<Isa>::Floats;
  using Ints = typename ScaledCodes<Isa>::Ints;
  using Uints = typename Lanes<Isa>::Uints;
  using Shared = typename ScaledCodes<Isa>::Shared;
  static constexpr std::size_t kWidth = ScaledCodes<Isa>::kWidth;

  void step(const Shared& p, const float* x, std::uint8_t* q) const {
    Floats y[4];
    typename Isa::NanWatch watch;
    for (std::size_t k = 0; k < 4; ++k) {
      y[k] = Floats::load_unaligned(x + k * kWidth);
      if constexpr (kScaled) y[k] = Isa::divide(y[k], p.scale[k]);
    }
    watch.add(y[0], y[1]);
    watch.add(y[2], y[3]);
    Ints codes[4];
    for (std::size_t k = 0; k < 4; ++k) codes[k] = encode(y[k]);
    if (watch.any()) {
      for (std::size_t k = 0; k < 4; ++k) codes[k] = with_nans(y[k], codes[k]);
    }
    this->store(codes, q);
  }

 private:
  static Uints sign(Floats y) { return (xsimd::bitwise_cast<Uints>(y) >> 24) & Uints(0x80u); }

  static Ints encode(Floats y) {
    constexpr int kBits = Format::kMantissaBits;
    constexpr std::uint32_t kSmallestExponent = 127 + Format::kMinExponent;
    constexpr std::uint32_t kUnbias = (0u - (kSmallestExponent << kBits)) & 0xff;
    constexpr float kShift =
        (static_cast<float>(1u << 23) + static_cast<float>(kUnbias)) / static_cast<float>(1 << kBits);
    static_assert(kUnbias % 2 == 0, "an odd constant would turn the ties");
    const Floats magnitude = xsimd::min(xsimd::abs(y), Floats(Format::kMax));
    const Floats power = xsimd::bitwise_cast<Floats>(xsimd::bitwise_cast<Uints>(magnitude) & Uints(0x7f800000u));
    const Floats exponent = xsimd::max(power, Floats(__builtin_bit_cast(float, kSmallestExponent << 23)));
    const Uints sum = xsimd::bitwise_cast<Uints>(magnitude + exponent * Floats(kShift));
    const Uints field = xsimd::bitwise_cast<Uints>(exponent) >> (23 - kBits);
    return xsimd::bitwise_cast<Ints>(Isa::select_bits(Uints(0x7fu), sum + field, xsimd::bitwise_cast<Uints>(y) >> 24));
  }

  static Ints with_nans(Floats y, Ints codes) {
    const Ints nan = xsimd::bitwise_cast<Ints>(sign(y) | Uints(std::uint32_t{kFp8Nan}));
    return xsimd::select(xsimd::bitwise_cast<Ints>(xsimd::abs(y)) > Ints(0x7f800000), nan, codes);
  }
};

// One vector of codes to floats.
template <class Isa>
struct DecodeE4m3 {
  using Floats = typename Lanes<Isa>::Floats;
  static Floats decode(const std::uint8_t* q) { return Isa::from_e4m3_scaled(q) * Floats(256.0f); }
};

template <class Isa>
struct DecodeE5m2 {
  static typename Lanes<Isa>::Floats decode(const std::uint8_t* q) { return Isa::from_e5m2(q); }
};

template <class Isa, class Decode>
struct DecodeFp8Op {
  using Floats = typename Lanes<Isa>::Floats;
  using In = std::uint8_t;
  using Out = float;
  static constexpr std::size_t kStep = Lanes<Isa>::kWidth;
  static constexpr std::size_t kInPerUnit = 1;
  static constexpr std::size_t kOutPerUnit = 1;

  Floats uniform(float scale, float) const { return Floats(scale); }
  Floats each(const float* scale, const float*) const { return Floats::load_unaligned(scale); }
  void step(Floats scale, const std::uint8_t* q, float* y) const { (Decode::decode(q) * scale).store_unaligned(y); }
};

template <class Isa>
struct Fp8 {
  static void quantize_e4m3(const float* x, std::size_t rows, std::size_t run, const float* scale,
                            std::uint8_t* q) noexcept {
    Runs<Isa, EncodeFp8<Isa, E4m3, true>>::apply({}, x, rows, run, scale, scale, q);
  }
  static void quantize_e5m2(const float* x, std::size_t rows, std::size_t run, const float* scale,
                            std::uint8_t* q) noexcept {
    Runs<Isa, EncodeFp8<Isa, E5m2, true>>::apply({}, x, rows, run, scale, scale, q);
  }
  static void dequantize_e4m3(const std::uint8_t* q, std::size_t rows, std::size_t run, const float* scale,
                              float* y) noexcept {
    Runs<Isa, DecodeFp8Op<Isa, DecodeE4m3<Isa>>>::apply({}, q, rows, run, scale, scale, y);
  }
  static void dequantize_e5m2(const std::uint8_t* q, std::size_t rows, std::size_t run, const float* scale,
                              float* y) noexcept {
    Runs<Isa, DecodeFp8Op<Isa, DecodeE5m2<Isa>>>::apply({}, q, rows, run, scale, scale, y);
  }

  static void e4m3_to_f32(const std::uint8_t* x, std::size_t n, float* y) noexcept {
    map_elements<Isa, kWidth>(
        x, n, y, [](const std::uint8_t* in, float* out) { DecodeE4m3<Isa>::decode(in).store_unaligned(out); });
  }
  static void e5m2_to_f32(const std::uint8_t* x, std::size_t n, float* y) noexcept {
    map_elements<Isa, kWidth>(
        x, n, y, [](const std::uint8_t* in, float* out) { DecodeE5m2<Isa>::decode(in).store_unaligned(out); });
  }
  static void f32_to_e4m3(const float* x, std::size_t n, std::uint8_t* y) noexcept { narrow<E4m3>(x, n, y); }
  static void f32_to_e5m2(const float* x, std::size_t n, std::uint8_t* y) noexcept { narrow<E5m2>(x, n, y); }

 private:
  static constexpr std::size_t kWidth = Lanes<Isa>::kWidth;

  template <class Format>
  static void narrow(const float* x, std::size_t n, std::uint8_t* y) {
    using Op = EncodeFp8<Isa, Format, false>;
    map_elements<Isa, Op::kStep>(x, n, y, [](const float* in, std::uint8_t* out) { Op().step({}, in, out); });
  }
};

}  // namespace mq::kernels
