#include "mq/error.hpp"

#include <string_view>
#include <utility>

#include "src/utf8.hpp"

namespace mq {
namespace {

constexpr std::size_t kMaxPathBytes = 4096;
constexpr std::size_t kMaxMessageBytes = 2000;

// Well-formed characters that a terminal obeys instead of showing: C0 and C1 controls, line separators, and those that
// reverse the direction of the text around them.
bool is_unprintable(std::string_view character) {
  const auto byte = static_cast<unsigned char>(character[0]);
  if (character.size() == 1) return byte < 0x20 || byte == 0x7f;
  if (character.size() == 2) return byte == 0xc2 && static_cast<unsigned char>(character[1]) < 0xa0;
  constexpr std::string_view kFirstSeparator = "\u2028", kLastOverride = "\u202e";
  constexpr std::string_view kFirstIsolate = "\u2066", kLastIsolate = "\u2069";
  return (character >= kFirstSeparator && character <= kLastOverride) ||
         (character >= kFirstIsolate && character <= kLastIsolate);
}

void append_escaped(std::string& out, std::string_view bytes) {
  constexpr char kHex[] = "0123456789abcdef";
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    out += {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
  }
}

// "model.pt: data.pkl @412: tensor w: not allowed: expected X, found Y (hint)", without the parts that are not there.
std::string compose(const ErrorDetails& details) {
  std::string text;
  if (!details.file.empty()) text += printable(details.file, kMaxPathBytes);
  if (details.offset) text += (text.empty() ? "@" : " @") + std::to_string(*details.offset);
  const auto part = [&](std::string_view before, const std::string& value) {
    if (value.empty()) return;
    text += before;
    text += value;
  };
  if (!details.tensor.empty()) part(text.empty() ? "tensor " : ": tensor ", printable(details.tensor));
  part(text.empty() ? "" : ": ", printable(details.message, kMaxMessageBytes));
  part(": expected ", printable(details.expected, kMaxMessageBytes));
  part(details.expected.empty() ? ": found " : ", found ", printable(details.found, kMaxMessageBytes));
  if (!details.hint.empty()) text += " (" + printable(details.hint, kMaxMessageBytes) + ")";
  return text;
}

}  // namespace

Error::Error(ErrorDetails details) : std::runtime_error(compose(details)), details_(std::move(details)) {}

int exit_code(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::Internal:
      return 1;
    case ErrorCode::Usage:
      return 2;
    case ErrorCode::Numeric:
      return 3;
    case ErrorCode::Mismatch:
    case ErrorCode::Dangerous:
      return 4;
    case ErrorCode::Io:
      return 5;
    case ErrorCode::Corrupt:
    case ErrorCode::Unsupported:
    case ErrorCode::Limit:
      return 6;
    case ErrorCode::Cancelled:
      return 130;
  }
  return 1;
}

const char* to_string(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::Internal:
      return "internal";
    case ErrorCode::Usage:
      return "usage";
    case ErrorCode::Numeric:
      return "numeric";
    case ErrorCode::Mismatch:
      return "mismatch";
    case ErrorCode::Dangerous:
      return "dangerous";
    case ErrorCode::Io:
      return "io";
    case ErrorCode::Corrupt:
      return "corrupt";
    case ErrorCode::Unsupported:
      return "unsupported";
    case ErrorCode::Limit:
      return "limit";
    case ErrorCode::Cancelled:
      return "cancelled";
  }
  return "internal";
}

std::string printable(std::string_view text, std::size_t max_bytes) {
  std::string out;
  while (!text.empty()) {
    const std::size_t valid = utf8_character_bytes(text);
    const std::string_view character = text.substr(0, valid == 0 ? 1 : valid);
    const bool escape = valid == 0 || is_unprintable(character);
    if (out.size() + character.size() * (escape ? 4 : 1) > max_bytes) return out + "...";
    if (escape) {
      append_escaped(out, character);
    } else {
      out += character;
    }
    text.remove_prefix(character.size());
  }
  return out;
}

}  // namespace mq
