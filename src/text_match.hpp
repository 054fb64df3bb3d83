// Text against globs and regular expressions. Pure; thread-safe.
#pragma once

#include <regex>
#include <string_view>

namespace mq {

// Whether the whole text matches a glob: `*` any characters (dots too), `?` one, `[abc]`, `[a-z]`, `[!a]` a set.
bool glob_match(std::string_view glob, std::string_view text) noexcept;

// A compiled regular expression that takes time proportional to pattern times text, whatever the pattern.
// Throws: Usage with the reason; also for patterns longer than 4096 characters.
std::regex compile_regex(std::string_view pattern);

}  // namespace mq
