// Sums that compare two tensors, in the order of additions that ErrorSums fixes.
#pragma once

#include "kernels/lanes.hpp"
#include "kernels/reference.hpp"

namespace mq::kernels {

template <class Isa>
struct Metrics {
  static void error_sums(const float* x, const float* y, std::size_t n, ErrorSums* out) noexcept {
    ErrorSums sums = {};
    for (std::size_t begin = 0; begin < n; begin += kBlock) {
      add_block(x + begin, y + begin, n - begin < kBlock ? n - begin : kBlock, sums);
    }
    *out = sums;
  }

 private:
  using Floats = typename Lanes<Isa>::Floats;
  static constexpr std::size_t kWidth = Lanes<Isa>::kWidth;
  static constexpr std::size_t kBlock = 1024;
  static constexpr std::size_t kLanes = 16;
  static constexpr std::size_t kVectors = kLanes / kWidth;

  struct Sums {
    Floats error_sq[kVectors];
    Floats x_sq[kVectors];
    Floats y_sq[kVectors];
    Floats xy[kVectors];
    Floats max_error[kVectors];
  };

  static void add_block(const float* x, const float* y, std::size_t n, ErrorSums& total) {
    Sums s;
    for (std::size_t k = 0; k < kVectors; ++k) {
      s.error_sq[k] = s.x_sq[k] = s.y_sq[k] = s.xy[k] = s.max_error[k] = Floats(0.0f);
    }
    std::size_t i = 0;
    for (; i + kLanes <= n; i += kLanes) add(x + i, y + i, s);
    if (i < n) {
      // Zeros change no sum: no lane ever holds -0.
      float x_pad[kLanes] = {};
      float y_pad[kLanes] = {};
      for (std::size_t j = 0; j < n - i; ++j) {
        x_pad[j] = x[i + j];
        y_pad[j] = y[i + j];
      }
      add(x_pad, y_pad, s);
    }
    total.error_sq += tree(s.error_sq);
    total.x_sq += tree(s.x_sq);
    total.y_sq += tree(s.y_sq);
    total.xy += tree(s.xy);
    float largest[kLanes];
    for (std::size_t k = 0; k < kVectors; ++k) s.max_error[k].store_unaligned(largest + k * kWidth);
    for (const float e : largest) total.max_error = e > total.max_error ? e : total.max_error;
  }

  static void add(const float* x, const float* y, Sums& s) {
    for (std::size_t k = 0; k < kVectors; ++k) {
      const Floats a = Floats::load_unaligned(x + k * kWidth);
      const Floats b = Floats::load_unaligned(y + k * kWidth);
      const Floats d = a - b;
      s.error_sq[k] += d * d;
      s.x_sq[k] += a * a;
      s.y_sq[k] += b * b;
      s.xy[k] += a * b;
      s.max_error[k] = Isa::max_number(xsimd::abs(d), s.max_error[k]);
    }
  }

  static double tree(const Floats (&sums)[kVectors]) {
    float lanes[kLanes];
    for (std::size_t k = 0; k < kVectors; ++k) sums[k].store_unaligned(lanes + k * kWidth);
    for (std::size_t half = kLanes / 2; half > 0; half /= 2) {
      for (std::size_t i = 0; i < half; ++i) lanes[i] += lanes[i + half];
    }
    return lanes[0];
  }
};

}  // namespace mq::kernels
