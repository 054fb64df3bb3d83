// Affine codes: q = int(clamp(rne(x * inv_scale) + zero_point, qmin, qmax)).
#pragma once

#include <cstdint>

#include "kernels/lanes.hpp"
#include "kernels/reference.hpp"
#include "kernels/runs.hpp"

namespace mq::kernels {

// Four vectors of floats to as many codes. Because the zero point is a small integer and the limits fit a byte, most of
// the contract's clamp comes free with narrowing:
//   x * inv_scale, from above held to 32767 so that its conversion cannot wrap; from below it may (x86 converts
//   everything out of range to the smallest int32, which is where it belongs);
//   int32 (ties to even) -> int16 saturated -> + zero_point saturated -> 8 bits saturated -> clamped, if kClamp, to
//   limits closer than those of a byte.
// |zero_point| <= 2^14 keeps a saturated value outside the byte range, on the side where it was.
template <class Isa, bool kSigned, bool kNibbles, bool kClamp>
struct QuantizeOp {
  using L = Lanes<Isa>;
  using Floats = typename L::Floats;
  using Ints = typename L::Ints;
  using Words = typename L::Words;
  using Bytes = typename L::Bytes;
  using Codes = std::conditional_t<kSigned, typename L::SignedBytes, Bytes>;
  using In = float;
  using Out = std::uint8_t;
  static constexpr std::size_t kWidth = L::kWidth;
  static constexpr std::size_t kStep = 4 * kWidth;
  static constexpr std::size_t kGroupWidth = kWidth;
  static constexpr std::size_t kInPerUnit = 1;
  static constexpr std::size_t kOutPerUnit = kNibbles ? 2 : 1;

  static constexpr std::size_t kLargestPiece = 1u << 16;

  Codes qmin;
  Codes qmax;
  Floats lowest;
  Floats highest;
  std::size_t ahead;  // bytes

  // numel: of the whole call. What comes after so many has not been read yet where the range of each piece is found
  // just before it is quantized: it is fetched meanwhile, or memory would rest.
  QuantizeOp(float lo, float hi, std::size_t numel)
      : qmin(static_cast<typename Codes::value_type>(lo)),
        qmax(static_cast<typename Codes::value_type>(hi)),
        lowest(lo),
        highest(hi),
        ahead(numel <= kLargestPiece ? numel * sizeof(float) : 0) {}

  struct Shared {
    Floats inv_scale[4];
    Words zero_point[2];
  };

  Shared uniform(float inv_scale, float zero_point) const {
    const Floats inv(inv_scale);
    const Ints zero = xsimd::nearbyint_as_int(Floats(zero_point));
    const Words zeros = Isa::narrow(zero, zero);
    return {{inv, inv, inv, inv}, {zeros, zeros}};
  }

  template <std::size_t kRuns>
  Shared grouped(const float* inv_scale, const float* zero_point) const {
    Shared p;
    Ints zeros[4];
    for (std::size_t k = 0; k < 4; ++k) {
      p.inv_scale[k] = Floats(inv_scale[k * kRuns / 4]);
      zeros[k] = xsimd::nearbyint_as_int(Floats(zero_point[k * kRuns / 4]));
    }
    p.zero_point[0] = Isa::narrow(zeros[0], zeros[1]);
    p.zero_point[1] = Isa::narrow(zeros[2], zeros[3]);
    return p;
  }

  void step(const Shared& p, const float* x, std::uint8_t* q) const {
    constexpr std::size_t kLine = 64;
    const auto next = reinterpret_cast<std::uintptr_t>(x) + ahead;
    for (std::size_t byte = 0; byte < kStep * sizeof(float); byte += kLine) {
      __builtin_prefetch(reinterpret_cast<const void*>(next + byte), 0, 2);
    }
    Ints i[4];
    for (std::size_t k = 0; k < 4; ++k) {
      const Floats scaled = Floats::load_unaligned(x + k * kWidth) * p.inv_scale[k];
      i[k] = xsimd::nearbyint_as_int(xsimd::min(Floats(32767.0f), scaled));
    }
    const Words low = xsimd::sadd(Isa::narrow(i[0], i[1]), p.zero_point[0]);
    const Words high = xsimd::sadd(Isa::narrow(i[2], i[3]), p.zero_point[1]);
    store(low, high, q);
  }

  struct Each {
    const float* inv_scale;
    const float* zero_point;
  };

  Each each(const float* inv_scale, const float* zero_point) const { return {inv_scale, zero_point}; }

  // By the letter of the contract but for one thing: v is clamped before the zero point is added, not after, to limits
  // that are moved by as much. All are integers below 2^22, so nothing is rounded either way.
  void step(const Each& p, const float* x, std::uint8_t* q) const {
    Ints i[4];
    for (std::size_t k = 0; k < 4; ++k) {
      const Floats zero = Floats::load_unaligned(p.zero_point + k * kWidth);
      const Floats inv = Floats::load_unaligned(p.inv_scale + k * kWidth);
      const Floats scaled = Floats::load_unaligned(x + k * kWidth) * inv;
      const Floats above = xsimd::max(scaled, lowest - zero);
      i[k] = xsimd::nearbyint_as_int(xsimd::min(above, highest - zero)) + xsimd::nearbyint_as_int(zero);
    }
    store(Isa::narrow(i[0], i[1]), Isa::narrow(i[2], i[3]), q);
  }

 private:
  void store(Words low, Words high, std::uint8_t* q) const {
    const Bytes ordered = Isa::in_order(clamped(low, high));
    if constexpr (kNibbles) {
      Isa::store_nibbles(ordered, q);
    } else {
      ordered.store_unaligned(q);
    }
  }

  Bytes clamped(Words low, Words high) const {
    Codes codes;
    if constexpr (kSigned) {
      codes = Isa::narrow_signed(low, high);
    } else {
      codes = Isa::narrow_unsigned(low, high);
    }
    if constexpr (kClamp) {
      codes = xsimd::min(xsimd::max(codes, qmin), qmax);
    }
    return xsimd::bitwise_cast<Bytes>(codes);
  }
};

template <class Isa>
struct Quantize {
  static void quantize_8(const float* x, std::size_t rows, std::size_t run, const float* inv_scale,
                         const float* zero_point, float qmin, float qmax, std::uint8_t* q) noexcept {
    const auto apply = [&]<bool kSigned, bool kClamp>() {
      using Op = QuantizeOp<Isa, kSigned, false, kClamp>;
      Runs<Isa, Op>::apply(Op(qmin, qmax, rows * run), x, rows, run, inv_scale, zero_point, q);
    };
    if (!small_zero_points(zero_point, rows, run) || qmin > qmax) {
      Reference<Isa>::quantize_8(x, rows, run, inv_scale, zero_point, qmin, qmax, q);
    } else if (qmin == -128.0f && qmax == 127.0f) {
      apply.template operator()<true, false>();
    } else if (qmin == 0.0f && qmax == 255.0f) {
      apply.template operator()<false, false>();
    } else if (qmin >= -128.0f && qmax <= 127.0f) {
      apply.template operator()<true, true>();
    } else if (qmin >= 0.0f && qmax <= 255.0f) {
      apply.template operator()<false, true>();
    } else {
      Reference<Isa>::quantize_8(x, rows, run, inv_scale, zero_point, qmin, qmax, q);
    }
  }

  static void quantize_4(const float* x, std::size_t rows, std::size_t run, const float* inv_scale,
                         const float* zero_point, float qmin, float qmax, std::uint8_t* packed) noexcept {
    if (small_zero_points(zero_point, rows, run) && qmin <= qmax) {
      using Op = QuantizeOp<Isa, false, true, true>;
      Runs<Isa, Op>::apply(Op(qmin, qmax, rows * run), x, rows, run, inv_scale, zero_point, packed);
    } else {
      Reference<Isa>::quantize_4(x, rows, run, inv_scale, zero_point, qmin, qmax, packed);
    }
  }

  // Whether they can be added to 16-bit codes. Single elements do not need them small.
  static bool small_zero_points(const float* zero_point, std::size_t rows, std::size_t run) {
    using Floats = typename Lanes<Isa>::Floats;
    constexpr std::size_t kWidth = Lanes<Isa>::kWidth;
    constexpr float kMaxZeroPoint = 16384.0f;
    if (run == 1) return true;
    Floats largest(0.0f);
    std::size_t r = 0;
    for (; r + kWidth <= rows; r += kWidth) {
      largest = xsimd::max(largest, xsimd::abs(Floats::load_unaligned(zero_point + r)));
    }
    bool small = xsimd::all(largest <= Floats(kMaxZeroPoint));
    for (; r < rows; ++r) small &= __builtin_fabsf(zero_point[r]) <= kMaxZeroPoint;
    return small;
  }
};

}  // namespace mq::kernels
