#include "tools/mq-convert/text.hpp"

#include <array>
#include <cmath>
#include <cstdio>

namespace mq::tool {
namespace {

std::string formatted(const char* format, int digits, double value) {
  std::array<char, 64> buffer;
  const int length = std::snprintf(buffer.data(), buffer.size(), format, digits, value);
  return std::string(buffer.data(), static_cast<std::size_t>(std::max(0, std::min(length, 63))));
}

}  // namespace

std::string fixed(double value, int digits) {
  return formatted("%.*f", digits, value);
}

std::string human_bytes(std::int64_t bytes) {
  constexpr std::array<const char*, 6> kUnits = {"kB", "MB", "GB", "TB", "PB", "EB"};
  if (bytes < 1000) return std::to_string(bytes) + " B";
  double value = static_cast<double>(bytes) / 1000;
  std::size_t unit = 0;
  // 999.95 would be printed as 1000.0.
  while (value >= 999.95 && unit + 1 < kUnits.size()) {
    value /= 1000;
    ++unit;
  }
  return fixed(value, 1) + ' ' + kUnits[unit];
}

std::string human_count(std::int64_t count) {
  std::string digits = std::to_string(count);
  const std::size_t sign = count < 0 ? 1 : 0;
  for (std::size_t at = digits.size(); at > sign + 3;) {
    at -= 3;
    digits.insert(at, 1, ',');
  }
  return digits;
}

std::string decibels(double db) {
  if (std::isnan(db)) return "nan";
  if (std::isinf(db)) return db > 0 ? "exact" : "-inf dB";
  return fixed(db, 1) + " dB";
}

std::string small_number(double value) {
  return formatted("%.*g", 4, value);
}

std::string percent(double part, double whole) {
  return whole == 0 ? "0 %" : fixed(100 * part / whole, 1) + " %";
}

std::string clock_text(double seconds) {
  const auto whole = static_cast<std::int64_t>(std::llround(seconds));
  const auto two = [](std::int64_t n) { return (n < 10 ? "0" : "") + std::to_string(n); };
  if (whole < 3600) return std::to_string(whole / 60) + ':' + two(whole % 60);
  return std::to_string(whole / 3600) + ':' + two(whole / 60 % 60) + ':' + two(whole % 60);
}

std::string duration_text(double seconds) {
  if (seconds < 0.01) return fixed(1000 * seconds, 1) + " ms";
  if (seconds < 1) return fixed(1000 * seconds, 0) + " ms";
  return seconds < 60 ? fixed(seconds, 2) + " s" : clock_text(seconds);
}

std::string plural(std::int64_t count, std::string_view noun) {
  return human_count(count) + ' ' + std::string(noun) + (count == 1 ? "" : "s");
}

}  // namespace mq::tool
