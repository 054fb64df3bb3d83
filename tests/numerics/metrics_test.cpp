#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "mq/metrics.hpp"
#include "tests/numerics/random.hpp"
#include "tests/support/errors.hpp"

using namespace mq;
using mq::test::gauss_weights;
using mq::test::view_of;

TEST_CASE("metrics: sums agree with long double ones") {
  for (const std::int64_t cols : {1, 2, 15, 16, 17, 1023, 1024, 1025, 5000}) {
    CAPTURE(cols);
    const std::int64_t rows = 3;
    const std::vector<float> x = gauss_weights(rows * cols, 1);
    std::vector<float> y = gauss_weights(rows * cols, 2);
    for (std::size_t i = 0; i < y.size(); ++i) y[i] = x[i] + 0.01f * y[i];
    long double error_sq = 0, x_sq = 0, y_sq = 0, xy = 0, most = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const long double a = x[i], b = y[i];
      error_sq += (a - b) * (a - b);
      x_sq += a * a;
      y_sq += b * b;
      xy += a * b;
      most = std::max(most, std::fabs(a - b));
    }
    const ErrorStats stats = measure(x.data(), y.data(), rows, cols);
    CHECK(stats.numel == rows * cols);
    CHECK(stats.error_sq == doctest::Approx(static_cast<double>(error_sq)).epsilon(1e-6));
    CHECK(stats.x_sq == doctest::Approx(static_cast<double>(x_sq)).epsilon(1e-6));
    CHECK(stats.y_sq == doctest::Approx(static_cast<double>(y_sq)).epsilon(1e-6));
    CHECK(stats.max_error == doctest::Approx(static_cast<double>(most)).epsilon(1e-6));
    CHECK(stats.sqnr_db() == doctest::Approx(static_cast<double>(10 * std::log10(x_sq / error_sq))).epsilon(1e-6));
    CHECK(stats.mse() == doctest::Approx(static_cast<double>(error_sq / (rows * cols))).epsilon(1e-6));
    CHECK(stats.cosine() == doctest::Approx(static_cast<double>(xy / std::sqrt(x_sq * y_sq))).epsilon(1e-6));
  }
}

TEST_CASE("metrics: rows add up, whole or in parts") {
  const std::vector<float> x = gauss_weights(6 * 700, 3), y = gauss_weights(6 * 700, 4);
  ErrorStats parts = measure(x.data(), y.data(), 2, 700);
  for (std::size_t r = 2; r < 6; ++r) parts.add(measure(x.data() + r * 700, y.data() + r * 700, 1, 700));
  const ErrorStats all = measure(view_of(x, Shape{6, 700}), view_of(y, Shape{6, 700}));
  CHECK(parts.error_sq == all.error_sq);
  CHECK(parts.max_error == all.max_error);
  CHECK(parts.numel == all.numel);
}

TEST_CASE("metrics: zeros and equal tensors") {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const std::vector<float> zero(4, 0.0f), one(4, 1.0f);
  const Shape shape{4};
  const auto stats = [&](const std::vector<float>& x, const std::vector<float>& y) {
    return measure(view_of(x, shape), view_of(y, shape));
  };
  CHECK(stats(one, one).sqnr_db() == kInfinity);
  CHECK(stats(one, one).cosine() == 1);
  CHECK(stats(zero, zero).sqnr_db() == kInfinity);
  CHECK(stats(zero, zero).cosine() == 1);
  CHECK(stats(zero, one).sqnr_db() == -kInfinity);
  CHECK(stats(zero, one).cosine() == 0);
  CHECK(stats(one, zero).sqnr_db() == 0);
  CHECK(ErrorStats{}.mse() == 0);
  CHECK(stats(one, zero).mse() == 1);
}

TEST_CASE("metrics: tensors of any float type, but of one shape") {
  const std::vector<float> x{1, 2, 3, 4};
  const std::uint16_t half[] = {0x3c00, 0x4000, 0x4200, 0x4400};
  const Shape shape{2, 2}, other{4};
  const TensorView y{DType::Float16, shape, std::as_bytes(std::span(half))};
  CHECK(measure(view_of(x, shape), y).error_sq == 0);
  CHECK(mq::test::code_of([&] { measure(view_of(x, other), y); }) == ErrorCode::Usage);
  const TensorView codes{DType::Int16, shape, std::as_bytes(std::span(half))};
  CHECK(mq::test::code_of([&] { measure(view_of(x, shape), codes); }) == ErrorCode::Usage);
}
