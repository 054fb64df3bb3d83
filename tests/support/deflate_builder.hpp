// Deflated data for tests: small and simple, with matches as far back as deflate allows; and deflate by hand.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

namespace mq::test {

class DeflateBuilder {
 public:
  // A block that holds the text as it is; at most 65535 bytes.
  DeflateBuilder& stored(std::string_view text, bool last) {
    bits(last ? 1 : 0, 1).bits(0, 2);
    while (used_ != 0) bits(0, 1);
    const auto size = static_cast<std::uint32_t>(text.size());
    bits(size, 16).bits(~size & 0xffff, 16);
    out_ += text;
    return *this;
  }

  // A block of the fixed Huffman code, compressed greedily.
  DeflateBuilder& fixed(std::string_view text, bool last) {
    bits(last ? 1 : 0, 1).bits(1, 2);
    std::unordered_map<std::uint32_t, std::size_t> seen;  // three bytes: where they were last
    for (std::size_t at = 0; at < text.size();) {
      std::size_t length = 0;
      std::size_t distance = 0;
      if (at + 3 <= text.size()) {
        const auto byte = [&](std::size_t i) {
          return static_cast<std::uint32_t>(static_cast<unsigned char>(text[i]));
        };
        auto& last_seen = seen.try_emplace(byte(at) | byte(at + 1) << 8 | byte(at + 2) << 16, at).first->second;
        distance = at - std::exchange(last_seen, at);
        const std::size_t most = distance > 0 && distance <= 32768 ? std::min<std::size_t>(258, text.size() - at) : 0;
        while (length < most && text[at + length] == text[at - distance + length]) ++length;
      }
      if (length >= 3) {
        match(static_cast<std::uint32_t>(length), static_cast<std::uint32_t>(distance));
        at += length;
      } else {
        symbol(static_cast<unsigned char>(text[at++]));
      }
    }
    symbol(256);
    return *this;
  }

  // Least significant bit first, as deflate packs them.
  DeflateBuilder& bits(std::uint32_t value, int count) {
    for (int i = 0; i < count; ++i) {
      if (used_ == 0) out_ += '\0';
      out_.back() = static_cast<char>(static_cast<unsigned char>(out_.back()) | (value >> i & 1) << used_);
      used_ = (used_ + 1) % 8;
    }
    return *this;
  }

  const std::string& bytes() const { return out_; }

 private:
  // Codes of Huffman begin with their most significant bit.
  void code(std::uint32_t value, int count) {
    for (int i = count; i-- > 0;) bits(value >> i & 1, 1);
  }

  void symbol(std::uint32_t value) {
    if (value < 144) return code(0x30 + value, 8);
    if (value < 256) return code(0x190 + value - 144, 9);
    if (value < 280) return code(value - 256, 7);
    code(0xc0 + value - 280, 8);
  }

  void match(std::uint32_t length, std::uint32_t distance) {
    // Each code stands for 2^extra values from its base on.
    struct Code {
      std::uint32_t code, base;
      int extra;
    };
    Code found{257, 3, 0};
    for (Code row{257, 3, 0}; row.code < 285; ++row.code) {
      row.extra = row.code < 265 ? 0 : static_cast<int>(row.code - 261) / 4;
      if (row.base <= length) found = row;
      row.base += 1u << row.extra;
    }
    if (length == 258) found = {285, 258, 0};
    symbol(found.code);
    bits(length - found.base, found.extra);
    Code far{0, 1, 0};
    for (Code row{0, 1, 0}; row.code < 30; ++row.code) {
      row.extra = row.code < 4 ? 0 : static_cast<int>(row.code - 2) / 2;
      if (row.base <= distance) far = row;
      row.base += 1u << row.extra;
    }
    code(far.code, 5);
    bits(distance - far.base, far.extra);
  }

  std::string out_;
  int used_ = 0;  // bits of the last byte
};

inline std::string deflated(std::string_view text) {
  return DeflateBuilder().fixed(text, true).bytes();
}

}  // namespace mq::test
