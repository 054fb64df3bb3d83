// Walks rows x run elements of which run r has the parameters a[r] and b[r], in vector steps.
#pragma once

#include <cstddef>

namespace mq::kernels {

// An Op has
//   In, Out, kStep, kInPerUnit, kOutPerUnit   element types; elements per step; elements per In and per Out
//   uniform(a, b)            parameters of a step inside one run
//   each(const a*, const b*) parameters of a step whose elements have one a and one b each
//   step(parameters, const In*, Out*)
// and, if a step may cover several whole runs, kGroupWidth, the smallest run for that, and
//   grouped<runs>(const a*, const b*)   parameters of a step over that many runs
// It goes from function to function by value: stores through Out*, which may point to bytes, could change what is
// behind a reference, and everything would be loaded again after each.
template <class Isa, class Op>
struct Runs {
  using In = typename Op::In;
  using Out = typename Op::Out;
  static constexpr std::size_t kStep = Op::kStep;

  static void apply(Op op, const In* in, std::size_t rows, std::size_t run, const float* a, const float* b, Out* out) {
    const bool starts_on_a_unit = run % Op::kInPerUnit == 0 && run % Op::kOutPerUnit == 0;
    if (run >= kStep && starts_on_a_unit) {
      for (std::size_t r = 0; r < rows; ++r) {
        one_run(op.uniform(a[r], b[r]), op, in + r * run / Op::kInPerUnit, run, out + r * run / Op::kOutPerUnit);
      }
      return;
    }
    if (run == 1) return element_by_element(op, in, rows, a, b, out);
    std::size_t done = 0;
    if constexpr (requires { Op::kGroupWidth; }) {
      if (run == kStep / 2 && run >= Op::kGroupWidth) done = in_groups<2>(op, in, rows, a, b, out);
      if (run == kStep / 4 && run >= Op::kGroupWidth) done = in_groups<4>(op, in, rows, a, b, out);
    }
    expanded(op, in + done * run / Op::kInPerUnit, rows - done, run, a + done, b + done,
             out + done * run / Op::kOutPerUnit);
  }

 private:
  template <class Parameters>
  static void one_run(const Parameters& parameters, Op op, const In* in, std::size_t run, Out* out) {
    std::size_t i = 0;
    for (; i + kStep <= run; i += kStep) op.step(parameters, in + i / Op::kInPerUnit, out + i / Op::kOutPerUnit);
    if (i == run) return;
    i = run - kStep;
    op.step(parameters, in + i / Op::kInPerUnit, out + i / Op::kOutPerUnit);
  }

  // Returns the number of runs done.
  template <std::size_t kRuns>
  static std::size_t in_groups(Op op, const In* in, std::size_t rows, const float* a, const float* b, Out* out) {
    std::size_t r = 0;
    for (; r + kRuns <= rows; r += kRuns) {
      op.step(op.template grouped<kRuns>(a + r, b + r), in, out);
      in += kStep / Op::kInPerUnit;
      out += kStep / Op::kOutPerUnit;
    }
    return r;
  }

  static void element_by_element(Op op, const In* in, std::size_t n, const float* a, const float* b, Out* out) {
    std::size_t i = 0;
    for (; i + kStep <= n; i += kStep) {
      op.step(op.each(a + i, b + i), in + i / Op::kInPerUnit, out + i / Op::kOutPerUnit);
    }
    if (i < n) padded(op, in + i / Op::kInPerUnit, n - i, a + i, b + i, out + i / Op::kOutPerUnit);
  }

  static void padded(Op op, const In* in, std::size_t n, const float* a, const float* b, Out* out) {
    In in_pad[kStep / Op::kInPerUnit] = {};
    Out out_pad[kStep / Op::kOutPerUnit];
    float a_pad[kStep] = {};
    float b_pad[kStep] = {};
    for (std::size_t i = 0; i < n; ++i) {
      a_pad[i] = a[i];
      b_pad[i] = b[i];
    }
    for (std::size_t i = 0; i < (n + Op::kInPerUnit - 1) / Op::kInPerUnit; ++i) in_pad[i] = in[i];
    op.step(op.each(a_pad, b_pad), in_pad, out_pad);
    if constexpr (Op::kOutPerUnit == 2) {
      if (n % 2 != 0) out_pad[n / 2] &= 15;
    }
    for (std::size_t i = 0; i < (n + Op::kOutPerUnit - 1) / Op::kOutPerUnit; ++i) out[i] = out_pad[i];
  }

  // Short or odd runs: repeats a and b for each element, a piece at a time.
  static void expanded(Op op, const In* in, std::size_t rows, std::size_t run, const float* a, const float* b,
                       Out* out) {
    constexpr std::size_t kPiece = 4 * kStep;
    float a_each[kPiece];
    float b_each[kPiece];
    const std::size_t n = rows * run;
    std::size_t left = run;
    for (std::size_t begin = 0; begin < n; begin += kPiece) {
      const std::size_t count = n - begin < kPiece ? n - begin : kPiece;
      for (std::size_t i = 0; i < count; ++i) {
        a_each[i] = *a;
        b_each[i] = *b;
        if (--left != 0) continue;
        left = run;
        ++a;
        ++b;
      }
      element_by_element(op, in + begin / Op::kInPerUnit, count, a_each, b_each, out + begin / Op::kOutPerUnit);
    }
  }
};

}  // namespace mq::kernels
