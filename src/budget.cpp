#include "mq/budget.hpp"

#include <array>
#include <charconv>
#include <cmath>

#include "mq/error.hpp"

namespace mq {
namespace {

constexpr std::array<std::string_view, 3> kUnits = {"bpw", "B", "dB"};

}  // namespace

Budget parse_budget(std::string_view text) {
  Budget budget;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, budget.amount);
  const std::string_view unit(rest, static_cast<std::size_t>(end - rest));
  for (std::size_t i = 0; i < kUnits.size(); ++i) {
    budget.kind = static_cast<Budget::Kind>(i);
    const bool sane = std::isfinite(budget.amount) && (budget.amount > 0 || budget.kind == Budget::Kind::Sqnr);
    if (error == std::errc() && unit == kUnits[i] && sane) return budget;
  }
  throw Error({.code = ErrorCode::Usage,
               .message = "bad budget",
               .expected = "bits per weight, bytes or decibels, as in 4.5bpw, 900000000B, 20.5dB",
               .found = "'" + printable(text) + "'"});
}

QuantSpec parse_candidate(std::string_view text) {
  QuantSpec spec = parse_spec(text);
  if (spec.codec != "float_cast") return spec;
  throw Error({.code = ErrorCode::Usage,
               .message = "no candidate for a budget",
               .expected = "an encoding that quantizes",
               .found = printable(text),
               .hint = "--exclude keeps tensors as they are"});
}

std::string to_string(const Budget& budget) {
  std::array<char, 40> digits;
  // Bytes as whole numbers, however large.
  const auto end =
      budget.kind == Budget::Kind::Bytes
          ? std::to_chars(digits.data(), digits.data() + digits.size(), budget.amount, std::chars_format::fixed).ptr
          : std::to_chars(digits.data(), digits.data() + digits.size(), budget.amount).ptr;
  return std::string(digits.data(), end) + std::string(kUnits[static_cast<std::size_t>(budget.kind)]);
}

}  // namespace mq
