#include "mq/metrics.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "src/active_table.hpp"
#include "src/error_sums.hpp"
#include "src/float_rows.hpp"
#include "src/math.hpp"

namespace mq {

void ErrorStats::add(const ErrorStats& other) noexcept {
  error_sq += other.error_sq;
  x_sq += other.x_sq;
  y_sq += other.y_sq;
  max_error = std::max(max_error, other.max_error);
  numel += other.numel;
}

double ErrorStats::sqnr_db() const noexcept {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (error_sq == 0) return kInfinity;
  if (x_sq == 0) return -kInfinity;
  return 10 * (math::log10(x_sq) - math::log10(error_sq));
}

double ErrorStats::mse() const noexcept {
  return numel == 0 ? 0 : error_sq / static_cast<double>(numel);
}

double ErrorStats::cosine() const noexcept {
  if (x_sq == 0 && y_sq == 0) return 1;
  if (x_sq == 0 || y_sq == 0) return 0;
  const double xy = (x_sq + y_sq - error_sq) / 2;
  return std::clamp(xy / (std::sqrt(x_sq) * std::sqrt(y_sq)), -1.0, 1.0);
}

ErrorStats measure(const float* x, const float* y, std::int64_t rows, std::int64_t cols) {
  const kernels::KernelTable& k = active_table();
  ErrorStats total;
  for (std::int64_t r = 0; r < rows; ++r) {
    kernels::ErrorSums sums{};
    k.error_sums(x + r * cols, y + r * cols, static_cast<std::size_t>(cols), &sums);
    total.add(error_stats(sums, cols));
  }
  return total;
}

ErrorStats measure(TensorView x, TensorView y) {
  if (!std::ranges::equal(x.shape, y.shape)) {
    throw Error({.code = ErrorCode::Usage,
                 .message = "tensors of different shapes cannot be compared",
                 .expected = to_string(x.shape),
                 .found = to_string(y.shape)});
  }
  FloatRows xs(x), ys(y);
  ErrorStats total;
  const MatrixShape matrix = xs.matrix();
  const std::int64_t band = std::min(xs.band_rows(), ys.band_rows());
  for (std::int64_t row = 0; row < matrix.rows; row += band) {
    const std::int64_t last = std::min(row + band, matrix.rows);
    const float* a = xs.read(row, last - row);
    const float* b = ys.read(row, last - row);
    // Row by row into the total, as for a tensor that is one band.
    for (std::int64_t r = row; r < last; ++r, a += matrix.cols, b += matrix.cols) {
      total.add(measure(a, b, 1, matrix.cols));
    }
  }
  return total;
}

}  // namespace mq
