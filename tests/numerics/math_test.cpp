#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "src/math.hpp"
#include "tests/numerics/random.hpp"

using mq::test::Random;
namespace math = mq::math;

namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// Representable numbers between two results.
std::uint64_t ulps(double a, double b) {
  if (a == b || (std::isnan(a) && std::isnan(b))) return 0;
  if (std::isnan(a) || std::isnan(b) || std::signbit(a) != std::signbit(b)) return ~std::uint64_t{0};
  const auto x = std::bit_cast<std::uint64_t>(a), y = std::bit_cast<std::uint64_t>(b);
  return x > y ? x - y : y - x;
}

// A number of any magnitude.
double any_positive(Random& random) {
  const double x = std::bit_cast<double>(random.bits() & 0x7fffffffffffffff);
  return std::isfinite(x) ? x : 1.5;
}

}  // namespace

TEST_CASE("math: logarithms agree with the C library") {
  Random random(1);
  std::uint64_t worst = 0;
  for (int i = 0; i < 100000; ++i) {
    const double near_one = 1 + (random.uniform() - 0.5) * (i % 3 == 0 ? 1e-8 : 0.5);
    for (const double x : {any_positive(random), near_one, random.uniform() * 1000}) {
      worst = std::max({worst, ulps(math::log2(x), std::log2(x)), ulps(math::log10(x), std::log10(x))});
    }
  }
  CHECK(worst <= 2);  // the C library's own errors reach 1
}

TEST_CASE("math: exp and pow agree with the C library") {
  Random random(2);
  std::uint64_t worst = 0;
  for (int i = 0; i < 50000; ++i) {
    const double x = (random.uniform() - 0.5) * 1500;
    worst = std::max(worst, ulps(math::exp(x), std::exp(x)));
    worst = std::max(worst, ulps(math::exp(x / 1000), std::exp(x / 1000)));
    const double base = any_positive(random), power = (random.uniform() - 0.5) * 4;
    worst = std::max(worst, ulps(math::pow(base, power), std::pow(base, power)));
    const double near_one = 1 + random.uniform();
    worst = std::max(worst, ulps(math::pow(near_one, x), std::pow(near_one, x)));
  }
  CHECK(worst <= 1);
}

TEST_CASE("math: exact results are exact") {
  for (int n = -1074; n < 1024; ++n) CHECK(math::log2(std::ldexp(1.0, n)) == n);
  double power = 1;
  for (int n = 0; n <= 22; ++n, power *= 10) {
    CHECK(math::log10(power) == n);
    CHECK(math::pow(10, n) == power);
  }
  for (int n = -1074; n < 1024; ++n) CHECK(math::pow(2, n) == std::ldexp(1.0, n));
  CHECK(math::exp(0) == 1);
  CHECK(math::pow(9, 0.5) == 3);
  CHECK(math::pow(-2, 3) == -8);
  CHECK(math::pow(-2, 4) == 16);
}

TEST_CASE("math: special values are those of the C standard") {
  const double values[] = {0.0, -0.0, 1, -1, 2, -2, 3, -3, 0.5, -0.5, 1e300, -1e300, 5e-324, kInf, -kInf, kNan};
  for (const double x : values) {
    CAPTURE(x);
    CHECK(ulps(math::log2(x), std::log2(x)) <= 1);
    CHECK(ulps(math::log10(x), std::log10(x)) <= 1);
    CHECK(ulps(math::exp(x), std::exp(x)) <= 1);
    for (const double y : values) {
      CAPTURE(y);
      CHECK(ulps(math::pow(x, y), std::pow(x, y)) <= 1);
    }
  }
}

TEST_CASE("math: results are the same bits everywhere") {
  Random random(3);
  std::uint64_t hash = 0xcbf29ce484222325;
  const auto add = [&](double x) { hash = (hash ^ std::bit_cast<std::uint64_t>(x)) * 0x100000001b3; };
  for (int i = 0; i < 2000; ++i) {
    const double x = any_positive(random), y = (random.uniform() - 0.5) * 100;
    add(math::log2(x));
    add(math::log10(x));
    add(math::exp(y));
    add(math::pow(random.uniform() * 10, y));
  }
  CHECK(hash == 10789449983867986808u);
}
