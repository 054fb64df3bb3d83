// Decodes the text operands of a pickle's old opcodes. Pure functions; each returns nothing on malformed text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mq::formats::pickle {

// Bytes of Latin-1 text as UTF-8.
std::string latin1_to_utf8(std::string_view bytes);

// A Python 2 string literal with its quotes: 'it\'s \x41'.
std::optional<std::string> decode_string_literal(std::string_view line);

// Latin-1 with \uXXXX and \UXXXXXXXX, as UTF-8.
std::optional<std::string> decode_raw_unicode(std::string_view line);

// Whether text is an optional sign and decimal digits.
bool is_decimal(std::string_view text) noexcept;

// Its value, if it fits 64 bits.
std::optional<std::int64_t> decimal_value(std::string_view text) noexcept;

// Digits of integers beyond 64 bits that are kept.
inline constexpr std::size_t kMaxDigits = 160;

// The decimal digits of an integer in two's complement; empty if there are more than kMaxDigits.
std::string decimal_digits(std::string_view little_endian);

// A float as Python's repr writes it, "inf" and "nan" too.
std::optional<double> float_value(std::string_view text) noexcept;

}  // namespace mq::formats::pickle
