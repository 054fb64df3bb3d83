// UTF-8 as the Unicode standard defines it: no overlong forms, no surrogates, nothing above U+10FFFF.
#pragma once

#include <cstddef>
#include <string_view>

namespace mq {

// Bytes of the well-formed character that text begins with, 1 to 4; 0 if text is empty or does not begin with one.
std::size_t utf8_character_bytes(std::string_view text) noexcept;

// Bytes of the longest well-formed beginning of text; text.size() if all of it is UTF-8.
std::size_t utf8_valid_bytes(std::string_view text) noexcept;

}  // namespace mq
