// How far values are from a reference. Sums do not depend on the instruction set or on how the work was cut.
#pragma once

#include <cstdint>

#include "mq/tensor.hpp"

namespace mq {

// Sums over pairs (x, y) of a reference x and its approximation y; they add up over parts of a tensor.
struct ErrorStats {
  double error_sq = 0;  // sum (x-y)^2
  double x_sq = 0;
  double y_sq = 0;
  double max_error = 0;  // max |x-y|
  std::int64_t numel = 0;

  bool operator==(const ErrorStats&) const = default;

  void add(const ErrorStats& other) noexcept;

  // 10 log10(x_sq / error_sq) in dB; +infinity if there is no error, -infinity if x is all zero but y is not.
  double sqnr_db() const noexcept;
  double mse() const noexcept;     // 0 if empty
  double cosine() const noexcept;  // 1 if both are all zero, 0 if one is
};

// Values that are no numbers, where they are allowed.
struct NonfiniteCounts {
  std::int64_t nan = 0;
  std::int64_t infinite = 0;

  bool operator==(const NonfiniteCounts&) const = default;

  std::int64_t total() const noexcept { return nan + infinite; }
  void add(const NonfiniteCounts& other) noexcept {
    nan += other.nan;
    infinite += other.infinite;
  }
};

// Statistics of y against x: float32 rows of equal length, `rows` of them, added row by row.
ErrorStats measure(const float* x, const float* y, std::int64_t rows, std::int64_t cols);

// The same for whole float tensors of equal shape.
// Throws: Usage if shapes differ or a type is not a float.
ErrorStats measure(TensorView x, TensorView y);

}  // namespace mq
