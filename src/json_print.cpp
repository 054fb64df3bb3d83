#include <algorithm>
#include <charconv>
#include <cmath>
#include <iterator>

#include "src/json.hpp"
#include "src/utf8.hpp"

namespace mq::json {
namespace {

void append_double(std::string& out, double value) {
  if (!std::isfinite(value)) {
    out += std::isnan(value) ? "\"NaN\"" : value > 0 ? "\"Infinity\"" : "\"-Infinity\"";
    return;
  }
  char digits[32];
  const char* const end = std::to_chars(std::begin(digits), std::end(digits), value).ptr;
  const std::string_view text(digits, static_cast<std::size_t>(end - digits));
  out += text;
  if (text.find_first_of(".e") == std::string_view::npos) out += ".0";  // or it would read back as an integer
}

void append_line(std::string& out, int indent, int depth) {
  if (indent < 0) return;
  out += '\n';
  out.append(static_cast<std::size_t>(indent) * static_cast<std::size_t>(depth), ' ');
}

void append_value(std::string& out, const Value& value, int indent, int depth) {
  if (const bool* boolean = value.as_bool()) {
    out += *boolean ? "true" : "false";
  } else if (const std::int64_t* integer = value.as_int()) {
    out += std::to_string(*integer);
  } else if (const double* number = value.as_double()) {
    append_double(out, *number);
  } else if (const std::string* text = value.as_string()) {
    append_string(out, *text);
  } else if (const Array* array = value.as_array()) {
    out += '[';
    for (std::size_t i = 0; i < array->size(); ++i) {
      if (i != 0) out += ',';
      append_line(out, indent, depth + 1);
      append_value(out, (*array)[i], indent, depth + 1);
    }
    if (!array->empty()) append_line(out, indent, depth);
    out += ']';
  } else if (const Object* object = value.as_object()) {
    out += '{';
    for (std::size_t i = 0; i < object->size(); ++i) {
      if (i != 0) out += ',';
      append_line(out, indent, depth + 1);
      append_string(out, (*object)[i].first);
      out += indent < 0 ? ":" : ": ";
      append_value(out, (*object)[i].second, indent, depth + 1);
    }
    if (!object->empty()) append_line(out, indent, depth);
    out += '}';
  } else {
    out += "null";
  }
}

}  // namespace

std::string dump(const Value& value, int indent) {
  std::string out;
  append_value(out, value, indent, 0);
  return out;
}

void append_string(std::string& out, std::string_view text) {
  constexpr char kHex[] = "0123456789abcdef";
  constexpr std::string_view kShort = "\b\t\n\f\r\"\\", kShortNames = "btnfr\"\\";
  const auto plain = [](char c) { return c >= 0x20 && c < 0x7f && c != '"' && c != '\\'; };
  out += '"';
  while (!text.empty()) {
    const auto as_is = static_cast<std::size_t>(std::ranges::find_if_not(text, plain) - text.begin());
    out += text.substr(0, as_is);
    text.remove_prefix(as_is);
    if (text.empty()) break;
    const std::size_t bytes = utf8_character_bytes(text);
    const char c = text[0];
    if (bytes == 0) {
      out += "\xef\xbf\xbd";  // U+FFFD
    } else if (const std::size_t i = kShort.find(c); i != std::string_view::npos) {
      out += {'\\', kShortNames[i]};
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += {'\\', 'u', '0', '0', kHex[c >> 4], kHex[c & 15]};
    } else {
      out += text.substr(0, bytes);
    }
    text.remove_prefix(std::max<std::size_t>(bytes, 1));
  }
  out += '"';
}

}  // namespace mq::json
