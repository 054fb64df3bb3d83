// Command lines of the benchmarks: values of options and what is wrong with them.
#pragma once

#include <charconv>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "mq/error.hpp"

namespace mq::bench {

[[noreturn]] inline void fail(std::string_view option, std::string expected, std::string_view found) {
  throw Error({.code = ErrorCode::Usage,
               .message = std::string(option),
               .expected = std::move(expected),
               .found = found.empty() ? "nothing" : printable(found)});
}

// Throws: Usage naming the option.
inline std::int64_t parse_whole(std::string_view option, std::string_view text, std::int64_t least,
                                std::int64_t most = std::numeric_limits<std::int64_t>::max()) {
  std::int64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, problem] = std::from_chars(text.data(), end, value);
  if (problem == std::errc() && stop == end && value >= least && value <= most) return value;
  const bool bounded = most != std::numeric_limits<std::int64_t>::max();
  fail(option, "a whole number from " + std::to_string(least) + (bounded ? " to " + std::to_string(most) : ""), text);
}

// The argument after arguments[i], which i then is. Throws: Usage naming the option if there is none.
template <class Arguments>
const std::string& value_after(const Arguments& arguments, std::size_t& i) {
  if (i + 1 == arguments.size()) fail(arguments[i], "a value", "");
  return arguments[++i];
}

}  // namespace mq::bench
