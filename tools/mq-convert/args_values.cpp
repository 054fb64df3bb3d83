// Values of options, from text.
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "mq/destination.hpp"
#include "mq/error.hpp"
#include "src/dialects/dialect.hpp"
#include "tools/mq-convert/args_common.hpp"

namespace mq::tool {

[[noreturn]] void refuse_value(std::string_view option, std::string expected, const std::string& found) {
  throw Error({.code = ErrorCode::Usage,
               .message = std::string(option),
               .expected = std::move(expected),
               .found = found.empty() ? "nothing" : printable(found)});
}

std::int64_t parse_integer(std::string_view option, const std::string& text, std::int64_t least, std::int64_t most) {
  std::int64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, problem] = std::from_chars(text.data(), end, value);
  if (problem != std::errc{} || stop != end || value < least || value > most) {
    refuse_value(option, "a whole number from " + std::to_string(least) + " to " + std::to_string(most), text);
  }
  return value;
}

std::int64_t parse_bytes(std::string_view option, const std::string& text) {
  constexpr std::array<std::pair<std::string_view, double>, 10> kUnits = {{{"", 1},
                                                                           {"B", 1},
                                                                           {"KB", 1e3},
                                                                           {"MB", 1e6},
                                                                           {"GB", 1e9},
                                                                           {"TB", 1e12},
                                                                           {"KiB", 0x1p10},
                                                                           {"MiB", 0x1p20},
                                                                           {"GiB", 0x1p30},
                                                                           {"TiB", 0x1p40}}};
  double value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, problem] = std::from_chars(text.data(), end, value, std::chars_format::fixed);
  for (const auto& [unit, bytes] : kUnits) {
    if (problem != std::errc{} || std::string_view(stop, static_cast<std::size_t>(end - stop)) != unit) continue;
    const double size = std::floor(value * bytes);
    if (size >= 1 && size <= 0x1p60) return static_cast<std::int64_t>(size);
  }
  refuse_value(option, "a number of bytes, as in 300MB or 4.5GiB", text);
}

double parse_decibels(std::string_view option, const std::string& text) {
  double value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, problem] = std::from_chars(text.data(), end, value);
  if (problem != std::errc{} || stop != end || !(value > -1000 && value < 1000)) {
    refuse_value(option, "a number of decibels, as in 30 or 18.5", text);
  }
  return value;
}

DType parse_type(std::string_view option, const std::string& text) {
  const std::optional<DType> dtype = parse_dtype(text);
  if (!dtype || !info(*dtype).is_float) refuse_value(option, "a float type: f32, f16 or bf16", text);
  return *dtype;
}

std::string parse_dialect(const std::string& text) {
  return std::string(dialect_named(text).name);
}

const char* dialect_names() {
  static const std::string names = [] {
    std::string list;
    for (const Dialect* dialect : all_dialects()) {
      if (dialect->outputs == nullptr || dialect->name == "plain") continue;
      list += (list.empty() ? "" : "|") + std::string(dialect->name);
    }
    return list;
  }();
  return names.c_str();
}

std::size_t parse_word(std::string_view option, const std::string& text, const std::vector<std::string_view>& words) {
  const auto found = std::find(words.begin(), words.end(), text);
  std::string expected;
  for (const std::string_view word : words) {
    expected += expected.empty() ? "" : word == words.back() ? " or " : ", ";
    expected += word;
  }
  if (found == words.end()) refuse_value(option, expected, text);
  return static_cast<std::size_t>(found - words.begin());
}

}  // namespace mq::tool
