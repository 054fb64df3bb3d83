// Checksums of bytes.
#pragma once

#include "kernels/reference.hpp"

namespace mq::kernels {

template <class Isa>
struct Checksum {
  static std::uint32_t crc32(std::uint32_t crc, const std::uint8_t* bytes, std::size_t n) noexcept {
    if constexpr (requires { Isa::crc32(crc, bytes, n); }) {
      return Isa::crc32(crc, bytes, n);
    } else {
      return Reference<Isa>::crc32(crc, bytes, n);
    }
  }
};

}  // namespace mq::kernels
