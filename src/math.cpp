#include "src/math.hpp"

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

namespace mq::math {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// The unevaluated sum of two doubles, |lo| at most half an ulp of hi: about 106 bits. The algorithms are Dekker's and
// Knuth's; they need round to nearest and no fused multiply-add.
struct Double2 {
  double hi = 0;
  double lo = 0;
};

// |a| >= |b|, or a is 0.
constexpr Double2 quick_sum(double a, double b) {
  const double s = a + b;
  return {s, b - (s - a)};
}

constexpr Double2 exact_sum(double a, double b) {
  const double s = a + b;
  const double t = s - a;
  return {s, (a - (s - t)) + (b - t)};
}

constexpr Double2 exact_product(double a, double b) {
  constexpr double kSplit = 134217729;  // 2^27 + 1
  const double ta = kSplit * a, tb = kSplit * b;
  const double ah = ta - (ta - a), bh = tb - (tb - b);
  const double al = a - ah, bl = b - bh;
  const double p = a * b;
  return {p, ((ah * bh - p) + ah * bl + al * bh) + al * bl};
}

constexpr Double2 operator+(Double2 a, Double2 b) {
  const Double2 s = exact_sum(a.hi, b.hi);
  return quick_sum(s.hi, s.lo + (a.lo + b.lo));
}

constexpr Double2 operator*(Double2 a, Double2 b) {
  const Double2 p = exact_product(a.hi, b.hi);
  return quick_sum(p.hi, p.lo + (a.hi * b.lo + a.lo * b.hi));
}

constexpr Double2 operator/(Double2 a, Double2 b) {
  const double q = a.hi / b.hi;
  const Double2 p = b * Double2{q, 0};
  return quick_sum(q, ((a.hi - p.hi) - p.lo + a.lo) / b.hi);
}

constexpr Double2 kLn2{0x1.62e42fefa39efp-1, 0x1.abc9e3b39803fp-56};
constexpr Double2 kLn10{0x1.26bb1bbb55516p+1, -0x1.f48ad494ea3e9p-53};

// 1/1, 1/3, 1/5, ...: log((1+s)/(1-s)) = 2 s (1 + s^2/3 + s^4/5 + ...). With |s| < 0.1716 the rest is below 2^-107.
constexpr auto kOddReciprocals = [] {
  std::array<Double2, 22> terms{};
  for (std::size_t i = 0; i < terms.size(); ++i) {
    terms[i] = Double2{1, 0} / Double2{static_cast<double>(2 * i + 1), 0};
  }
  return terms;
}();

// 1/0!, 1/1!, 1/2!, ...: with |r| < 0.3466 the rest is below 2^-107.
constexpr auto kReciprocalFactorials = [] {
  std::array<Double2, 24> terms{};
  terms[0] = {1, 0};
  for (std::size_t i = 1; i < terms.size(); ++i) terms[i] = terms[i - 1] / Double2{static_cast<double>(i), 0};
  return terms;
}();

template <std::size_t N>
Double2 polynomial(const std::array<Double2, N>& terms, Double2 x) {
  Double2 sum = terms[N - 1];
  for (std::size_t i = N - 1; i-- > 0;) sum = sum * x + terms[i];
  return sum;
}

// x = m 2^exponent with m in [sqrt(1/2), sqrt(2)), and the natural logarithm of m. x is positive and finite.
struct Log {
  int exponent = 0;
  Double2 mantissa;
};

Log split_log(double x) {
  constexpr double kSqrt2 = 0x1.6a09e667f3bcdp+0;
  int exponent = -1023;
  if (x < std::numeric_limits<double>::min()) {
    x *= 0x1p54;
    exponent -= 54;
  }
  const auto bits = std::bit_cast<std::uint64_t>(x);
  exponent += static_cast<int>(bits >> 52);
  double m = std::bit_cast<double>((bits & 0x000fffffffffffff) | 0x3ff0000000000000);
  if (m >= kSqrt2) {
    m /= 2;
    ++exponent;
  }
  const Double2 s = Double2{m - 1, 0} / exact_sum(m, 1);
  return {exponent, Double2{2, 0} * s * polynomial(kOddReciprocals, s * s)};
}

Double2 natural_log(double x) {
  const Log log = split_log(x);
  return Double2{static_cast<double>(log.exponent), 0} * kLn2 + log.mantissa;
}

// What logarithms give where there is none, or x where there is one.
bool has_log(double x, double* instead) {
  *instead = std::isnan(x) ? x : x < 0 ? kNan : x == 0 ? -kInfinity : kInfinity;
  return x > 0 && x < kInfinity;
}

// x 2^k for x near 1. In two factors, as 2^k itself may be out of range; only the second product rounds.
double scale_by_power(double x, int k) {
  const auto power = [](int n) { return std::bit_cast<double>(static_cast<std::uint64_t>(n + 1023) << 52); };
  const int first = k < -1000 ? -1000 : k / 2;
  return x * power(first) * power(k - first);
}

// e^x for |x| < 800.
double exp_of(Double2 x) {
  const double k = std::nearbyint(x.hi / kLn2.hi);
  const Double2 r = x + Double2{-k, 0} * kLn2;
  const Double2 e = polynomial(kReciprocalFactorials, r);
  return scale_by_power(e.hi + e.lo, static_cast<int>(k));
}

bool is_whole(double y) {
  return std::floor(y) == y;
}

bool is_odd(double y) {
  return is_whole(y) && std::fabs(y) < 0x1p53 && !is_whole(y / 2);
}

}  // namespace

double log2(double x) noexcept {
  double instead = 0;
  if (!has_log(x, &instead)) return instead;
  const Log log = split_log(x);
  const Double2 sum = Double2{static_cast<double>(log.exponent), 0} + log.mantissa / kLn2;
  return sum.hi;
}

double log10(double x) noexcept {
  double instead = 0;
  if (!has_log(x, &instead)) return instead;
  return (natural_log(x) / kLn10).hi;
}

double exp(double x) noexcept {
  if (std::isnan(x)) return x;
  if (x > 710) return kInfinity;
  if (x < -746) return 0;
  return exp_of({x, 0});
}

double pow(double x, double y) noexcept {
  if (y == 0 || x == 1) return 1;
  if (std::isnan(x) || std::isnan(y)) return kNan;
  const double magnitude = std::fabs(x);
  const double sign = std::signbit(x) && is_odd(y) ? -1.0 : 1.0;
  if (magnitude == 0 || magnitude == kInfinity) return sign * ((magnitude == 0) == (y > 0) ? 0 : kInfinity);
  if (std::fabs(y) == kInfinity) {
    if (magnitude == 1) return 1;
    return (magnitude > 1) == (y > 0) ? kInfinity : 0;
  }
  if (x < 0 && !is_whole(y)) return kNan;
  if (magnitude == 1) return sign;
  // |log| is at least 2^-53 here: such exponents leave the range of double, and their products stay exact below.
  if (std::fabs(y) > 0x1p64) return sign * ((magnitude > 1) == (y > 0) ? kInfinity : 0);
  const Double2 power = natural_log(magnitude) * Double2{y, 0};
  if (power.hi > 710) return sign * kInfinity;
  if (power.hi < -746) return sign * 0.0;
  return sign * exp_of(power);
}

}  // namespace mq::math
