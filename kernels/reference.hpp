// Every operation of the kernel table as a plain loop: what the other tables fall back on and are tested against.
// Members of a template on the Isa tag, so that each instruction set has its own local copy.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/kernel_table.hpp"
#include "kernels/reference_crc32.hpp"
#include "kernels/scalar_math.hpp"
#include "kernels/small_float.hpp"

namespace mq::kernels {

template <class Isa>
struct Reference {
  using Small = SmallFloat<Isa>;

  static void range(const float* x, std::size_t rows, std::size_t run, Range* out) noexcept {
    ranges(ValueOf{x}, rows, run, out);
  }
  static void range_halves(Halves x, std::size_t rows, std::size_t run, Range* out) noexcept {
    ranges(ValueOfHalf{x}, rows, run, out);
  }

  // To the nearest integer, ties to even, by what the addition of 2^23 rounds away; the library's function would be
  // a call into libm on a baseline CPU.
  static float rne(float v) {
    const float magnitude = __builtin_fabsf(v);
    if (!(magnitude < 8388608.0f)) return v;
    const float rounded = (magnitude + 8388608.0f) - 8388608.0f;
    return __builtin_copysignf(rounded, v);
  }

  static std::int32_t code(float x, float inv_scale, float zero_point, float qmin, float qmax) {
    const float v = rne(x * inv_scale) + zero_point;
    const float above = v > qmin ? v : qmin;
    return static_cast<std::int32_t>(above < qmax ? above : qmax);
  }

  static void quantize_8(const float* x, std::size_t rows, std::size_t run, const float* inv_scale,
                         const float* zero_point, float qmin, float qmax, std::uint8_t* q) noexcept {
    codes_8(ValueOf{x}, rows, run, {inv_scale, nullptr, zero_point, qmin, qmax}, q);
  }

  static void quantize_4(const float* x, std::size_t rows, std::size_t run, const float* inv_scale,
                         const float* zero_point, float qmin, float qmax, std::uint8_t* packed) noexcept {
    codes_4(ValueOf{x}, rows, run, {inv_scale, nullptr, zero_point, qmin, qmax}, packed);
  }

  static void quantize_8_measured(const float* x, std::size_t rows, std::size_t run, const AffineRuns& runs,
                                  std::uint8_t* q, ErrorSums* sums) noexcept {
    codes_8(ValueOf{x}, rows, run, runs, q);
    add_errors(ValueOf{x}, rows * run, run, runs, *sums);
  }
  static void quantize_4_measured(const float* x, std::size_t rows, std::size_t run, const AffineRuns& runs,
                                  std::uint8_t* packed, ErrorSums* sums) noexcept {
    codes_4(ValueOf{x}, rows, run, runs, packed);
    add_errors(ValueOf{x}, rows * run, run, runs, *sums);
  }
  static void quantize_8_halves(Halves x, std::size_t rows, std::size_t run, const AffineRuns& runs, std::uint8_t* q,
                                ErrorSums* sums) noexcept {
    codes_8(ValueOfHalf{x}, rows, run, runs, q);
    add_errors(ValueOfHalf{x}, rows * run, run, runs, *sums);
  }
  static void quantize_4_halves(Halves x, std::size_t rows, std::size_t run, const AffineRuns& runs,
                                std::uint8_t* packed, ErrorSums* sums) noexcept {
    codes_4(ValueOfHalf{x}, rows, run, runs, packed);
    add_errors(ValueOfHalf{x}, rows * run, run, runs, *sums);
  }

  static void dequantize_i8(const std::int8_t* q, std::size_t rows, std::size_t run, const float* scale,
                            const float* zero_point, float* y) noexcept {
    for (std::size_t r = 0; r < rows; ++r) {
      for (std::size_t i = r * run; i < (r + 1) * run; ++i) y[i] = (q[i] - zero_point[r]) * scale[r];
    }
  }

  static void dequantize_u8(const std::uint8_t* q, std::size_t rows, std::size_t run, const float* scale,
                            const float* zero_point, float* y) noexcept {
    for (std::size_t r = 0; r < rows; ++r) {
      for (std::size_t i = r * run; i < (r + 1) * run; ++i) y[i] = (q[i] - zero_point[r]) * scale[r];
    }
  }

  static void dequantize_4(const std::uint8_t* packed, std::size_t rows, std::size_t run, const float* scale,
                           const float* zero_point, float* y) noexcept {
    for (std::size_t r = 0; r < rows; ++r) {
      for (std::size_t i = r * run; i < (r + 1) * run; ++i) y[i] = (nibble(packed, i) - zero_point[r]) * scale[r];
    }
  }

  static void quantize_e4m3(const float* x, std::size_t rows, std::size_t run, const float* scale,
                            std::uint8_t* q) noexcept {
    for (std::size_t r = 0; r < rows; ++r) {
      for (std::size_t i = r * run; i < (r + 1) * run; ++i) q[i] = Small::template to_fp8<E4m3>(x[i] / scale[r]);
    }
  }

  static void quantize_e5m2(const float* x, std::size_t rows, std::size_t run, const float* scale,
                            std::uint8_t* q) noexcept {
    for (std::size_t r = 0; r < rows; ++r) {
      for (std::size_t i = r * run; i < (r + 1) * run; ++i) q[i] = Small::template to_fp8<E5m2>(x[i] / scale[r]);
    }
  }

  static void dequantize_e4m3(const std::uint8_t* q, std::size_t rows, std::size_t run, const float* scale,
                              float* y) noexcept {
    for (std::size_t r = 0; r < rows; ++r) {
      for (std::size_t i = r * run; i < (r + 1) * run; ++i) y[i] = Small::from_e4m3(q[i]) * scale[r];
    }
  }

  static void dequantize_e5m2(const std::uint8_t* q, std::size_t rows, std::size_t run, const float* scale,
                              float* y) noexcept {
    for (std::size_t r = 0; r < rows; ++r) {
      for (std::size_t i = r * run; i < (r + 1) * run; ++i) y[i] = Small::from_e5m2(q[i]) * scale[r];
    }
  }

  static void f16_to_f32(const std::uint16_t* x, std::size_t n, float* y) noexcept {
    for (std::size_t i = 0; i < n; ++i) y[i] = Small::from_f16(x[i]);
  }
  static void bf16_to_f32(const std::uint16_t* x, std::size_t n, float* y) noexcept {
    for (std::size_t i = 0; i < n; ++i) y[i] = Small::from_bf16(x[i]);
  }
  static void e4m3_to_f32(const std::uint8_t* x, std::size_t n, float* y) noexcept {
    for (std::size_t i = 0; i < n; ++i) y[i] = Small::from_e4m3(x[i]);
  }
  static void e5m2_to_f32(const std::uint8_t* x, std::size_t n, float* y) noexcept {
    for (std::size_t i = 0; i < n; ++i) y[i] = Small::from_e5m2(x[i]);
  }
  static void f32_to_f16(const float* x, std::size_t n, std::uint16_t* y) noexcept {
    for (std::size_t i = 0; i < n; ++i) y[i] = Small::to_f16(x[i]);
  }
  static void f32_to_bf16(const float* x, std::size_t n, std::uint16_t* y) noexcept {
    for (std::size_t i = 0; i < n; ++i) y[i] = Small::to_bf16(x[i]);
  }
  static void f32_to_e4m3(const float* x, std::size_t n, std::uint8_t* y) noexcept {
    for (std::size_t i = 0; i < n; ++i) y[i] = Small::template to_fp8<E4m3>(x[i]);
  }
  static void f32_to_e5m2(const float* x, std::size_t n, std::uint8_t* y) noexcept {
    for (std::size_t i = 0; i < n; ++i) y[i] = Small::template to_fp8<E5m2>(x[i]);
  }

  static void pack_4(const std::uint8_t* codes, std::size_t n, std::uint8_t* packed) noexcept {
    for (std::size_t i = 0; i < n; ++i) put_nibble(packed, i, codes[i] & 15u);
  }
  static void unpack_4(const std::uint8_t* packed, std::size_t n, std::uint8_t* codes) noexcept {
    for (std::size_t i = 0; i < n; ++i) codes[i] = nibble(packed, i);
  }

  static std::uint8_t level_code(const Levels& levels, float t) {
    const std::size_t middles = levels.sign_magnitude ? 7 : 15;
    const float compared = levels.sign_magnitude ? __builtin_fabsf(t) : t;
    unsigned code = levels.sign_magnitude && __builtin_signbit(t) ? 8 : 0;
    for (std::size_t k = 0; k < middles; ++k) code += compared > levels.middle[k] ? 1 : 0;
    return static_cast<std::uint8_t>(code);
  }

  static void quantize_levels(const Levels& levels, const float* x, std::size_t rows, std::size_t run,
                              const float* scale, std::uint8_t* q) noexcept {
    for (std::size_t r = 0; r < rows; ++r) {
      for (std::size_t i = r * run; i < (r + 1) * run; ++i) q[i] = level_code(levels, x[i] / scale[r]);
    }
  }

  static void dequantize_levels(const Levels& levels, const std::uint8_t* q, std::size_t rows, std::size_t run,
                                const float* scale, float* y) noexcept {
    for (std::size_t r = 0; r < rows; ++r) {
      float values[16];
      for (std::size_t code = 0; code < 16; ++code) {
        const float magnitude = levels.sign_magnitude ? levels.value[code & 7] : levels.value[code];
        values[code] = (levels.sign_magnitude && code >= 8 ? -magnitude : magnitude) * scale[r];
      }
      for (std::size_t i = r * run; i < (r + 1) * run; ++i) y[i] = values[q[i] & 15];
    }
  }

  static void error_sums(const float* x, const float* y, std::size_t n, ErrorSums* out) noexcept {
    ErrorSums sums = {};
    for (std::size_t begin = 0; begin < n; begin += kBlock) {
      add_block(x + begin, y + begin, n - begin < kBlock ? n - begin : kBlock, sums);
    }
    *out = sums;
  }

  static std::uint32_t crc32(std::uint32_t crc, const std::uint8_t* bytes, std::size_t n) noexcept {
    return ReferenceCrc32<Isa>::update(crc, bytes, n);
  }

 private:
  static constexpr std::size_t kLanes = 16;
  static constexpr std::size_t kBlock = 1024;

  struct ValueOf {
    const float* x;
    float operator()(std::size_t i) const { return x[i]; }
  };
  struct ValueOfHalf {
    Halves x;
    float operator()(std::size_t i) const { return x.brain ? Small::from_bf16(x.data[i]) : Small::from_f16(x.data[i]); }
  };

  template <class Value>
  static void ranges(Value value, std::size_t rows, std::size_t run, Range* out) {
    for (std::size_t r = 0; r < rows; ++r) {
      Range found = {__builtin_inff(), -__builtin_inff(), 0};
      for (std::size_t i = r * run; i < (r + 1) * run; ++i) {
        const float v = value(i);
        if (!(__builtin_fabsf(v) < __builtin_inff())) {
          ++found.nonfinite;
          continue;
        }
        found.lo = v < found.lo ? v : found.lo;
        found.hi = v > found.hi ? v : found.hi;
      }
      const bool none = found.nonfinite == run;
      // -0 + +0 is +0.
      out[r] = {none ? 0.0f : found.lo + 0.0f, none ? 0.0f : found.hi + 0.0f, found.nonfinite};
    }
  }

  template <class Value>
  static void codes_8(Value value, std::size_t rows, std::size_t run, const AffineRuns& runs, std::uint8_t* q) {
    for (std::size_t r = 0; r < rows; ++r) {
      for (std::size_t i = r * run; i < (r + 1) * run; ++i) {
        q[i] = static_cast<std::uint8_t>(code(value(i), runs.inv_scale[r], runs.zero_point[r], runs.qmin, runs.qmax));
      }
    }
  }

  template <class Value>
  static void codes_4(Value value, std::size_t rows, std::size_t run, const AffineRuns& runs, std::uint8_t* packed) {
    for (std::size_t r = 0; r < rows; ++r) {
      for (std::size_t i = r * run; i < (r + 1) * run; ++i) {
        put_nibble(
            packed, i,
            static_cast<std::uint8_t>(code(value(i), runs.inv_scale[r], runs.zero_point[r], runs.qmin, runs.qmax)));
      }
    }
  }

  template <class Value>
  static void add_errors(Value value, std::size_t n, std::size_t run, const AffineRuns& runs, ErrorSums& sums) {
    float x[kBlock], y[kBlock];
    for (std::size_t begin = 0; begin < n; begin += kBlock) {
      const std::size_t count = n - begin < kBlock ? n - begin : kBlock;
      for (std::size_t i = 0; i < count; ++i) {
        const std::size_t r = (begin + i) / run;
        x[i] = value(begin + i);
        const std::int32_t q = code(x[i], runs.inv_scale[r], runs.zero_point[r], runs.qmin, runs.qmax);
        y[i] = (static_cast<float>(q) - runs.zero_point[r]) * runs.scale[r];
      }
      add_block(x, y, count, sums);
    }
  }

  // The low nibble of a byte comes first and clears the high one.
  static void put_nibble(std::uint8_t* packed, std::size_t i, unsigned value) {
    if (i % 2 == 0) {
      packed[i / 2] = static_cast<std::uint8_t>(value);
    } else {
      packed[i / 2] = static_cast<std::uint8_t>(packed[i / 2] | value << 4);
    }
  }

  static std::uint8_t nibble(const std::uint8_t* packed, std::size_t i) {
    return static_cast<std::uint8_t>(i % 2 == 0 ? packed[i / 2] & 15 : packed[i / 2] >> 4);
  }

  static double tree(float (&lanes)[kLanes]) {
    for (std::size_t half = kLanes / 2; half > 0; half /= 2) {
      for (std::size_t i = 0; i < half; ++i) lanes[i] += lanes[i + half];
    }
    return lanes[0];
  }

  static void add_block(const float* x, const float* y, std::size_t n, ErrorSums& sums) {
    float error_sq[kLanes] = {}, x_sq[kLanes] = {}, y_sq[kLanes] = {};
    for (std::size_t i = 0; i < n; ++i) {
      const std::size_t lane = i % kLanes;
      const float d = x[i] - y[i];
      error_sq[lane] = ScalarMath<Isa>::fused(d, d, error_sq[lane]);
      x_sq[lane] = ScalarMath<Isa>::fused(x[i], x[i], x_sq[lane]);
      y_sq[lane] = ScalarMath<Isa>::fused(y[i], y[i], y_sq[lane]);
      const float magnitude = __builtin_fabsf(d);
      sums.max_error = magnitude > sums.max_error ? magnitude : sums.max_error;
    }
    sums.error_sq += tree(error_sq);
    sums.x_sq += tree(x_sq);
    sums.y_sq += tree(y_sq);
  }
};

}  // namespace mq::kernels
