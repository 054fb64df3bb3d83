// SHA-256 (FIPS 180-4) of bytes in memory.
#pragma once

#include <array>
#include <cstddef>
#include <span>

namespace mq {

std::array<std::byte, 32> sha256(std::span<const std::byte> bytes) noexcept;

}  // namespace mq
