// Smallest and largest value of each run.
#pragma once

#include "kernels/lanes.hpp"
#include "kernels/reference.hpp"

namespace mq::kernels {

// Vector minima are exact for finite data. A run whose extremes are not finite, or that may hold a NaN, is done again
// by the reference, which counts.
template <class Isa>
struct Minmax {
  static void range(const float* x, std::size_t rows, std::size_t run, Range* out) noexcept {
    if (run < kWidth) return Reference<Isa>::range(x, rows, run, out);
    const std::size_t blocks = run <= kShortRun ? rows / kWidth : 0;
    for (std::size_t i = 0; i < blocks; ++i) ranges_of_width(x + i * kWidth * run, run, out + i * kWidth);
    for (std::size_t r = blocks * kWidth; r < rows; ++r) range_of_one(x + r * run, run, out + r);
  }

 private:
  using Floats = typename Lanes<Isa>::Floats;
  using NanWatch = typename Isa::NanWatch;
  static constexpr std::size_t kWidth = Lanes<Isa>::kWidth;
  // Longer ones do not feel what reducing across the lanes of a vector costs.
  static constexpr std::size_t kShortRun = 512;

  static bool is_finite(float lo, float hi) { return lo > -__builtin_inff() && hi < __builtin_inff(); }

  static void range_of_one(const float* x, std::size_t run, Range* out) {
    Floats lo, hi;
    NanWatch watch[2];
    extremes(x, run, lo, hi, watch);
    // -0 + +0 is +0.
    *out = {Isa::least(lo) + 0.0f, Isa::largest(hi) + 0.0f, 0};
    if (watch[0].any() || watch[1].any() || !is_finite(out->lo, out->hi)) Reference<Isa>::range(x, 1, run, out);
  }

  // As many runs as a vector has lanes share the reduction across lanes.
  static void ranges_of_width(const float* x, std::size_t run, Range* out) {
    Floats lo[kWidth];
    Floats hi[kWidth];
    NanWatch watch[2];
    for (std::size_t r = 0; r < kWidth; ++r) extremes(x + r * run, run, lo[r], hi[r], watch);
    const Floats least = Isa::min_of_each(lo) + Floats(0.0f);
    const Floats largest = Isa::max_of_each(hi) + Floats(0.0f);
    const auto finite = (least > Floats(-__builtin_inff())) & (largest < Floats(__builtin_inff()));
    if (watch[0].any() || watch[1].any() || !xsimd::all(finite)) return Reference<Isa>::range(x, kWidth, run, out);
    Isa::store_ranges(least, largest, out);
  }

  static void extremes(const float* x, std::size_t run, Floats& lo, Floats& hi, NanWatch (&watch)[2]) {
    if (run < 4 * kWidth) return short_extremes(x, run, lo, hi, watch);
    Floats least[4], largest[4];
    for (std::size_t k = 0; k < 4; ++k) least[k] = largest[k] = Floats::load_unaligned(x + k * kWidth);
    watch[0].add(least[0], least[1]);
    watch[1].add(least[2], least[3]);
    std::size_t i = 4 * kWidth;
    for (; i + 4 * kWidth <= run; i += 4 * kWidth) add_step(x + i, least, largest, watch);
    if (i < run) add_step(x + (run - 4 * kWidth), least, largest, watch);
    lo = xsimd::min(xsimd::min(least[0], least[1]), xsimd::min(least[2], least[3]));
    hi = xsimd::max(xsimd::max(largest[0], largest[1]), xsimd::max(largest[2], largest[3]));
  }

  static void add_step(const float* x, Floats (&least)[4], Floats (&largest)[4], NanWatch (&watch)[2]) {
    Floats v[4];
    for (std::size_t k = 0; k < 4; ++k) {
      v[k] = Floats::load_unaligned(x + k * kWidth);
      least[k] = xsimd::min(v[k], least[k]);
      largest[k] = xsimd::max(v[k], largest[k]);
    }
    watch[0].add(v[0], v[1]);
    watch[1].add(v[2], v[3]);
  }

  static void short_extremes(const float* x, std::size_t run, Floats& lo, Floats& hi, NanWatch (&watch)[2]) {
    const Floats last = Floats::load_unaligned(x + (run - kWidth));
    lo = hi = last;
    watch[0].add(last, last);
    for (std::size_t i = 0; i + kWidth < run; i += kWidth) {
      const Floats v = Floats::load_unaligned(x + i);
      lo = xsimd::min(v, lo);
      hi = xsimd::max(v, hi);
      watch[1].add(v, last);
    }
  }
};

}  // namespace mq::kernels
