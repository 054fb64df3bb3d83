// Sums that compare two tensors, in the order of additions that ErrorSums fixes.
#pragma once

#include "kernels/lanes.hpp"
#include "kernels/reference.hpp"

namespace mq::kernels {

// The 16 lanes of the sums over one block.
template <class Isa>
class ErrorLanes {
 public:
  using Floats = typename Lanes<Isa>::Floats;
  static constexpr std::size_t kBlock = 1024;
  static constexpr std::size_t kLanes = 16;
  static constexpr std::size_t kWidth = Lanes<Isa>::kWidth;

  ErrorLanes() {
    for (std::size_t k = 0; k < kVectors; ++k) {
      error_sq_[k] = x_sq_[k] = y_sq_[k] = max_error_[k] = Floats(0.0f);
    }
  }

  // Vector number `index` of the block, counted from a multiple of 16 elements.
  void add(std::size_t index, Floats x, Floats y) {
    const std::size_t k = index % kVectors;
    const Floats d = x - y;
    error_sq_[k] = Isa::fused(d, d, error_sq_[k]);
    x_sq_[k] = Isa::fused(x, x, x_sq_[k]);
    y_sq_[k] = Isa::fused(y, y, y_sq_[k]);
    max_error_[k] = Isa::max_magnitude(d, max_error_[k]);
  }

  void add_to(ErrorSums& total) const {
    total.error_sq += tree(error_sq_);
    total.x_sq += tree(x_sq_);
    total.y_sq += tree(y_sq_);
    Floats largest = max_error_[0];
    for (std::size_t k = 1; k < kVectors; ++k) largest = xsimd::max(largest, max_error_[k]);
    const float most = Isa::largest(largest);
    total.max_error = most > total.max_error ? most : total.max_error;
  }

 private:
  static constexpr std::size_t kVectors = kLanes / kWidth;

  static double tree(const Floats (&sums)[kVectors]) {
    Floats v[kVectors];
    for (std::size_t k = 0; k < kVectors; ++k) v[k] = sums[k];
    for (std::size_t half = kVectors / 2; half > 0; half /= 2) {
      for (std::size_t k = 0; k < half; ++k) v[k] += v[k + half];
    }
    return Isa::tree_sum(v[0]);
  }

  Floats error_sq_[kVectors];
  Floats x_sq_[kVectors];
  Floats y_sq_[kVectors];
  Floats max_error_[kVectors];
};

template <class Isa>
struct Metrics {
  static void error_sums(const float* x, const float* y, std::size_t n, ErrorSums* out) noexcept {
    ErrorSums sums = {};
    for (std::size_t begin = 0; begin < n; begin += ErrorLanes<Isa>::kBlock) {
      const std::size_t left = n - begin;
      add_block(x + begin, y + begin, left < ErrorLanes<Isa>::kBlock ? left : ErrorLanes<Isa>::kBlock, sums);
    }
    *out = sums;
  }

 private:
  using Floats = typename Lanes<Isa>::Floats;
  static constexpr std::size_t kWidth = Lanes<Isa>::kWidth;
  static constexpr std::size_t kLanes = ErrorLanes<Isa>::kLanes;

  static void add_block(const float* x, const float* y, std::size_t n, ErrorSums& total) {
    ErrorLanes<Isa> lanes;
    std::size_t i = 0;
    for (; i + kLanes <= n; i += kLanes) add(x + i, y + i, lanes);
    if (i < n) {
      // Zeros change no sum: no lane ever holds -0.
      float x_pad[kLanes] = {};
      float y_pad[kLanes] = {};
      for (std::size_t j = 0; j < n - i; ++j) {
        x_pad[j] = x[i + j];
        y_pad[j] = y[i + j];
      }
      add(x_pad, y_pad, lanes);
    }
    lanes.add_to(total);
  }

  static void add(const float* x, const float* y, ErrorLanes<Isa>& lanes) {
    for (std::size_t k = 0; k < kLanes / kWidth; ++k) {
      lanes.add(k, Floats::load_unaligned(x + k * kWidth), Floats::load_unaligned(y + k * kWidth));
    }
  }
};

}  // namespace mq::kernels
