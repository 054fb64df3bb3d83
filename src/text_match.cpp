#include "src/text_match.hpp"

#include <string>

#include "mq/error.hpp"

namespace mq {
namespace {

constexpr std::size_t kMaxRegexLength = 4096;

// The set that begins at glob[at] == '['; advances `at` past it. An unclosed '[' is a literal.
bool match_set(std::string_view glob, std::size_t& at, char c) noexcept {
  const std::size_t close = glob.find(']', at + 2);
  if (close == std::string_view::npos) return glob[at++] == c;
  std::string_view set = glob.substr(at + 1, close - at - 1);
  at = close + 1;
  const bool negated = set.front() == '!' && set.size() > 1;
  if (negated) set.remove_prefix(1);
  bool found = false;
  for (std::size_t i = 0; i < set.size(); ++i) {
    if (i + 2 < set.size() && set[i + 1] == '-') {
      found = found || (set[i] <= c && c <= set[i + 2]);
      i += 2;
    } else {
      found = found || set[i] == c;
    }
  }
  return found != negated;
}

}  // namespace

bool glob_match(std::string_view glob, std::string_view text) noexcept {
  std::size_t g = 0;
  std::size_t t = 0;
  std::size_t star = std::string_view::npos;
  std::size_t star_text = 0;
  while (t < text.size()) {
    if (g < glob.size() && glob[g] == '*') {
      star = g++;
      star_text = t;
      continue;
    }
    std::size_t next = g;
    const bool matched = g < glob.size() && (glob[g] == '?'   ? (++next, true)
                                             : glob[g] == '[' ? match_set(glob, next, text[t])
                                                              : glob[next++] == text[t]);
    if (matched) {
      g = next;
      ++t;
    } else if (star != std::string_view::npos) {
      g = star + 1;
      t = ++star_text;
    } else {
      return false;
    }
  }
  while (g < glob.size() && glob[g] == '*') ++g;
  return g == glob.size();
}

std::regex compile_regex(std::string_view pattern) {
  if (pattern.size() > kMaxRegexLength) {
    throw Error({.code = ErrorCode::Usage,
                 .message = "regular expression is too long",
                 .expected = "at most " + std::to_string(kMaxRegexLength) + " characters",
                 .found = std::to_string(pattern.size())});
  }
  auto flags = std::regex::ECMAScript;
#ifdef __GLIBCXX__
  // Patterns also come from configuration files; the default matcher takes exponential time on some of them.
  flags |= std::regex_constants::__polynomial;
#endif
  try {
    return std::regex(pattern.begin(), pattern.end(), flags);
  } catch (const std::regex_error& problem) {
    throw Error({.code = ErrorCode::Usage,
                 .message = "bad regular expression '" + printable(pattern) + "': " + problem.what(),
                 .expected = "ECMAScript syntax without back references"});
  }
}

}  // namespace mq
