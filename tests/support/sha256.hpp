// Digests as the oracles of the fixtures hold them.
#pragma once

#include <span>
#include <string>

#include "src/sha256.hpp"

namespace mq::test {

// SHA-256 as 64 lower-case hexadecimal digits.
inline std::string sha256(std::span<const std::byte> bytes) {
  std::string hex;
  for (const std::byte byte : mq::sha256(bytes)) {
    hex += "0123456789abcdef"[std::to_integer<unsigned>(byte >> 4)];
    hex += "0123456789abcdef"[std::to_integer<unsigned>(byte & std::byte{15})];
  }
  return hex;
}

}  // namespace mq::test
