#include "formats/pickle_text.hpp"

#include <algorithm>
#include <charconv>

namespace mq::formats::pickle {
namespace {

void append_utf8(std::string& out, std::uint32_t code_point) {
  const auto put = [&](std::uint32_t byte) { out += static_cast<char>(byte); };
  if (code_point < 0x80) {
    put(code_point);
  } else if (code_point < 0x800) {
    put(0xc0 | code_point >> 6);
    put(0x80 | (code_point & 0x3f));
  } else if (code_point < 0x10000) {
    put(0xe0 | code_point >> 12);
    put(0x80 | (code_point >> 6 & 0x3f));
    put(0x80 | (code_point & 0x3f));
  } else {
    put(0xf0 | code_point >> 18);
    put(0x80 | (code_point >> 12 & 0x3f));
    put(0x80 | (code_point >> 6 & 0x3f));
    put(0x80 | (code_point & 0x3f));
  }
}

// The number that exactly `digits` characters of text spell, which is then removed from text.
std::optional<std::uint32_t> take_number(std::string_view& text, std::size_t digits, int base) {
  if (text.size() < digits) return std::nullopt;
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + digits, value, base);
  if (error != std::errc() || end != text.data() + digits) return std::nullopt;
  text.remove_prefix(digits);
  return value;
}

bool is_octal(char c) {
  return c >= '0' && c <= '7';
}

// Decodes what follows a backslash, which is removed from text. False if it is no escape of a Python 2 literal.
bool take_escape(std::string_view& text, std::string& out) {
  if (text.empty()) return false;
  constexpr std::string_view kLetters = "\\'\"abfnrtv", kValues = "\\'\"\a\b\f\n\r\t\v";
  const char c = text.front();
  if (const std::size_t at = kLetters.find(c); at != std::string_view::npos) {
    text.remove_prefix(1);
    out += kValues[at];
    return true;
  }
  std::optional<std::uint32_t> value;
  if (c == 'x') {
    text.remove_prefix(1);
    value = take_number(text, 2, 16);
  } else if (is_octal(c)) {
    const std::string_view three = text.substr(0, 3);
    const auto end = std::ranges::find_if_not(three, is_octal);
    value = take_number(text, static_cast<std::size_t>(end - three.begin()), 8);
  }
  if (!value || *value > 0xff) return false;
  out += static_cast<char>(*value);
  return true;
}

}  // namespace

std::string latin1_to_utf8(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  for (const char c : bytes) append_utf8(out, static_cast<unsigned char>(c));
  return out;
}

std::optional<std::string> decode_string_literal(std::string_view line) {
  if (line.size() < 2 || line.front() != line.back() || (line.front() != '\'' && line.front() != '"')) {
    return std::nullopt;
  }
  std::string_view text = line.substr(1, line.size() - 2);
  std::string bytes;
  bytes.reserve(text.size());
  while (!text.empty()) {
    const char c = text.front();
    text.remove_prefix(1);
    if (c != '\\') {
      bytes += c;
    } else if (!take_escape(text, bytes)) {
      return std::nullopt;
    }
  }
  return latin1_to_utf8(bytes);
}

std::optional<std::string> decode_raw_unicode(std::string_view line) {
  std::string out;
  out.reserve(line.size());
  while (!line.empty()) {
    const bool escape = line.starts_with("\\u") || line.starts_with("\\U");
    if (!escape) {
      append_utf8(out, static_cast<unsigned char>(line.front()));
      line.remove_prefix(1);
      continue;
    }
    const std::size_t digits = line[1] == 'u' ? 4 : 8;
    line.remove_prefix(2);
    const std::optional<std::uint32_t> code_point = take_number(line, digits, 16);
    if (!code_point || *code_point > 0x10ffff) return std::nullopt;
    append_utf8(out, *code_point);
  }
  return out;
}

bool is_decimal(std::string_view text) noexcept {
  if (text.starts_with('-') || text.starts_with('+')) text.remove_prefix(1);
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

std::optional<std::int64_t> decimal_value(std::string_view text) noexcept {
  if (text.starts_with('+')) text.remove_prefix(1);
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string decimal_digits(std::string_view little_endian) {
  constexpr std::size_t kMaxBytes = 64;  // of at most 155 digits
  if (little_endian.empty() || little_endian.size() > kMaxBytes) return {};
  std::string magnitude(little_endian);
  const bool negative = (static_cast<unsigned char>(magnitude.back()) & 0x80) != 0;
  for (std::size_t i = 0, carry = 1; negative && i < magnitude.size(); ++i) {
    const std::size_t byte = static_cast<unsigned char>(~magnitude[i]) + carry;
    magnitude[i] = static_cast<char>(byte);
    carry = byte >> 8;
  }
  // Divides by ten until nothing is left.
  std::string digits;
  do {
    unsigned rest = 0;
    for (std::size_t i = magnitude.size(); i-- > 0;) {
      const unsigned value = rest << 8 | static_cast<unsigned char>(magnitude[i]);
      magnitude[i] = static_cast<char>(value / 10);
      rest = value % 10;
    }
    digits += static_cast<char>('0' + rest);
    while (!magnitude.empty() && magnitude.back() == '\0') magnitude.pop_back();
  } while (!magnitude.empty());
  if (negative) digits += '-';
  std::ranges::reverse(digits);
  return digits;
}

std::optional<double> float_value(std::string_view text) noexcept {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace mq::formats::pickle
