// Small floats by their definition: a table of all values in double, and the nearest of them by search.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace kernel_test {

// Bits of exponent and mantissa of a format; the sign is one more bit above them.
struct Format {
  int exponent_bits;
  int mantissa_bits;
  bool has_infinity;  // if not, only the all-ones code is NaN

  int code_bits() const { return exponent_bits + mantissa_bits; }
};

inline constexpr Format kF16 = {5, 10, true};
inline constexpr Format kBf16 = {8, 7, true};
inline constexpr Format kE4m3 = {4, 3, false};
inline constexpr Format kE5m2 = {5, 2, true};

inline double value_of(const Format& f, unsigned code) {
  const unsigned magnitude = code & ((1u << f.code_bits()) - 1);
  const double sign = (code >> f.code_bits() & 1) != 0 ? -1.0 : 1.0;
  const int bias = (1 << (f.exponent_bits - 1)) - 1;
  const int exponent = static_cast<int>(magnitude >> f.mantissa_bits);
  const int mantissa = static_cast<int>(magnitude & ((1u << f.mantissa_bits) - 1));
  const bool all_ones = exponent == (1 << f.exponent_bits) - 1;
  if (f.has_infinity && all_ones) {
    return sign * (mantissa == 0 ? std::numeric_limits<double>::infinity() : std::numeric_limits<double>::quiet_NaN());
  }
  if (!f.has_infinity && magnitude + 1 == 1u << f.code_bits()) return std::numeric_limits<double>::quiet_NaN();
  if (exponent == 0) return sign * std::ldexp(mantissa, 1 - bias - f.mantissa_bits);
  return sign * std::ldexp((1 << f.mantissa_bits) + mantissa, exponent - bias - f.mantissa_bits);
}

// The finite values without a sign; their index is their code.
inline std::vector<double> magnitudes(const Format& f) {
  std::vector<double> all;
  for (unsigned code = 0; std::isfinite(value_of(f, code)) && code < 1u << f.code_bits(); ++code) {
    all.push_back(value_of(f, code));
  }
  return all;
}

// The code of the finite value nearest to x, a tie going to the even code; past the largest one that code, or, if the
// format has room for it, one more (infinity) from half a step on.
inline unsigned nearest_code(const std::vector<double>& values, double x, bool overflows) {
  const double magnitude = std::fabs(x);
  const auto above = static_cast<unsigned>(std::upper_bound(values.begin(), values.end(), magnitude) - values.begin());
  const auto count = static_cast<unsigned>(values.size());
  if (above == count && !overflows) return count - 1;
  const double low = values[above - 1];
  const double high = above < count ? values[above] : 2 * values[count - 1] - values[count - 2];
  const double to_low = magnitude - low, to_high = high - magnitude;
  if (to_low == to_high) return (above - 1) % 2 == 0 ? above - 1 : above;
  return to_low < to_high ? above - 1 : above;
}

}  // namespace kernel_test
