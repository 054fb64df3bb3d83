// Affine codes and, from the same registers, how far what they stand for is from the input.
#pragma once

#include "kernels/load.hpp"
#include "kernels/metrics.hpp"
#include "kernels/quantize.hpp"
#include "kernels/reference.hpp"

namespace mq::kernels {

// Clamped as float to whole limits that are moved by the zero point: rounding to a whole number cannot cross a whole
// limit, so this is clamp(rne(x * inv_scale) + zero_point, qmin, qmax) - zero_point, the number that the scale is
// multiplied with to decode.
template <class Isa, class Load, bool kSigned, bool kNibbles>
struct MeasuredOp {
  using Element = typename Load::Element;
  using L = Lanes<Isa>;
  using Floats = typename L::Floats;
  using Ints = typename L::Ints;
  using Words = typename L::Words;
  using Bytes = typename L::Bytes;
  using Errors = ErrorLanes<Isa>;
  static constexpr std::size_t kWidth = L::kWidth;
  static constexpr std::size_t kStep = 4 * kWidth;
  static constexpr std::size_t kOutPerByte = kNibbles ? 2 : 1;

  // Of the kRuns equally long runs that make up a step.
  template <std::size_t kRuns>
  struct Parameters {
    static constexpr std::size_t kWords = kRuns == 1 ? 1 : 2;
    Floats inv_scale[kRuns];
    Floats scale[kRuns];
    Floats lowest[kRuns];
    Floats highest[kRuns];
    Words zero_point[kWords];  // of the halves of the step

    Parameters(const AffineRuns& runs, std::size_t first) {
      Ints zeros[kRuns];
      for (std::size_t r = 0; r < kRuns; ++r) {
        const Floats zero(runs.zero_point[first + r]);
        inv_scale[r] = Floats(runs.inv_scale[first + r]);
        scale[r] = Floats(runs.scale[first + r]);
        lowest[r] = Floats(runs.qmin) - zero;
        highest[r] = Floats(runs.qmax) - zero;
        zeros[r] = xsimd::nearbyint_as_int(zero);
      }
      for (std::size_t w = 0; w < kWords; ++w) {
        zero_point[w] = Isa::narrow(zeros[w * kRuns / 2], zeros[kRuns == 4 ? 2 * w + 1 : w * kRuns / 2]);
      }
    }
  };

  template <std::size_t kRuns>
  static void step(const Parameters<kRuns>& p, const Element* x, std::uint8_t* q, Errors& errors) {
    Ints i[4];
    for (std::size_t k = 0; k < 4; ++k) {
      const std::size_t r = k * kRuns / 4;
      const Floats value = Load::at(x + k * kWidth);
      const Floats scaled = value * p.inv_scale[r];
      i[k] = xsimd::nearbyint_as_int(xsimd::min(xsimd::max(scaled, p.lowest[r]), p.highest[r]));
      errors.add(k, value, xsimd::to_float(i[k]) * p.scale[r]);
    }
    const Words low = xsimd::sadd(Isa::narrow(i[0], i[1]), p.zero_point[0]);
    const Words high = xsimd::sadd(Isa::narrow(i[2], i[3]), p.zero_point[p.kWords - 1]);
    Bytes codes;
    if constexpr (kSigned) {
      codes = xsimd::bitwise_cast<Bytes>(Isa::narrow_signed(low, high));
    } else {
      codes = Isa::narrow_unsigned(low, high);
    }
    if constexpr (kNibbles) {
      Isa::store_nibbles(Isa::in_order(codes), q);
    } else {
      Isa::in_order(codes).store_unaligned(q);
    }
  }
};

template <class Isa>
struct QuantizeMeasured {
  static void quantize_8_measured(const float* x, std::size_t rows, std::size_t run, const AffineRuns& runs,
                                  std::uint8_t* q, ErrorSums* sums) noexcept {
    if (codes_8<LoadF32<Isa>>(x, rows, run, runs, q, *sums)) return;
    Reference<Isa>::quantize_8_measured(x, rows, run, runs, q, sums);
  }
  static void quantize_4_measured(const float* x, std::size_t rows, std::size_t run, const AffineRuns& runs,
                                  std::uint8_t* packed, ErrorSums* sums) noexcept {
    if (codes_4<LoadF32<Isa>>(x, rows, run, runs, packed, *sums)) return;
    Reference<Isa>::quantize_4_measured(x, rows, run, runs, packed, sums);
  }

  static void quantize_8_halves(Halves x, std::size_t rows, std::size_t run, const AffineRuns& runs, std::uint8_t* q,
                                ErrorSums* sums) noexcept {
    const bool done = x.brain ? codes_8<LoadBf16<Isa>>(x.data, rows, run, runs, q, *sums)
                              : codes_8<LoadF16<Isa>>(x.data, rows, run, runs, q, *sums);
    if (!done) Reference<Isa>::quantize_8_halves(x, rows, run, runs, q, sums);
  }
  static void quantize_4_halves(Halves x, std::size_t rows, std::size_t run, const AffineRuns& runs,
                                std::uint8_t* packed, ErrorSums* sums) noexcept {
    const bool done = x.brain ? codes_4<LoadBf16<Isa>>(x.data, rows, run, runs, packed, *sums)
                              : codes_4<LoadF16<Isa>>(x.data, rows, run, runs, packed, *sums);
    if (!done) Reference<Isa>::quantize_4_halves(x, rows, run, runs, packed, sums);
  }

 private:
  // False: not for the vector form.
  template <class Load>
  static bool codes_8(const typename Load::Element* x, std::size_t rows, std::size_t run, const AffineRuns& runs,
                      std::uint8_t* q, ErrorSums& sums) {
    if (!in_range(runs, rows, run)) return false;
    if (runs.qmin >= -128.0f && runs.qmax <= 127.0f) {
      apply<MeasuredOp<Isa, Load, true, false>>(x, rows, run, runs, q, sums);
      return true;
    }
    if (runs.qmin < 0.0f || runs.qmax > 255.0f) return false;
    apply<MeasuredOp<Isa, Load, false, false>>(x, rows, run, runs, q, sums);
    return true;
  }

  template <class Load>
  static bool codes_4(const typename Load::Element* x, std::size_t rows, std::size_t run, const AffineRuns& runs,
                      std::uint8_t* packed, ErrorSums& sums) {
    if (!in_range(runs, rows, run)) return false;
    apply<MeasuredOp<Isa, Load, false, true>>(x, rows, run, runs, packed, sums);
    return true;
  }

  static bool in_range(const AffineRuns& runs, std::size_t rows, std::size_t run) {
    return runs.qmin <= runs.qmax && Quantize<Isa>::small_zero_points(runs.zero_point, rows, run);
  }

  template <class Op>
  static void apply(const typename Op::Element* x, std::size_t rows, std::size_t run, const AffineRuns& runs,
                    std::uint8_t* q, ErrorSums& sums) {
    constexpr std::size_t kBlock = ErrorLanes<Isa>::kBlock;
    const std::size_t n = rows * run;
    for (std::size_t begin = 0; begin < n; begin += kBlock) {
      const std::size_t end = n - begin < kBlock ? n : begin + kBlock;
      if (run >= Op::kStep) {
        steps_inside_runs<Op>(x, begin, end, run, runs, q).add_to(sums);
      } else if (run == Op::kStep / 2) {
        steps_over_runs<Op, 2>(x, begin, end, runs, q).add_to(sums);
      } else {
        steps_over_runs<Op, 4>(x, begin, end, runs, q).add_to(sums);
      }
    }
  }

  // The lanes are their own variable: stores through q, which points to bytes, could change what is behind a reference.
  template <class Op>
  static ErrorLanes<Isa> steps_inside_runs(const typename Op::Element* x, std::size_t begin, std::size_t end,
                                           std::size_t run, const AffineRuns& runs, std::uint8_t* q) {
    ErrorLanes<Isa> errors;
    std::size_t r = begin / run;
    for (std::size_t i = begin; i < end; ++r) {
      const std::size_t run_end = (r + 1) * run < end ? (r + 1) * run : end;
      const typename Op::template Parameters<1> p(runs, r);
      for (; i < run_end; i += Op::kStep) Op::step(p, x + i, q + i / Op::kOutPerByte, errors);
    }
    return errors;
  }

  template <class Op, std::size_t kRuns>
  static ErrorLanes<Isa> steps_over_runs(const typename Op::Element* x, std::size_t begin, std::size_t end,
                                         const AffineRuns& runs, std::uint8_t* q) {
    ErrorLanes<Isa> errors;
    for (std::size_t i = begin; i < end; i += Op::kStep) {
      const typename Op::template Parameters<kRuns> p(runs, i / Op::kStep * kRuns);
      Op::step(p, x + i, q + i / Op::kOutPerByte, errors);
    }
    return errors;
  }
};

}  // namespace mq::kernels
