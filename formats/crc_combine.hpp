// Joins the CRC-32 of neighbouring pieces of data, so that pieces may be summed apart and in any order. Thread-safe.
#pragma once

#include <cstdint>

namespace mq::formats {

// The CRC-32 of A followed by B, from the CRC-32 of A, that of B and the length of B. Takes O(log length) steps.
// Source: appending n zero bits to a message multiplies its remainder by x^n modulo the zip polynomial.
std::uint32_t crc32_combine(std::uint32_t crc_a, std::uint32_t crc_b, std::uint64_t bytes_b) noexcept;

// The CRC-32 of so many zeros.
std::uint32_t crc32_of_zeros(std::uint64_t bytes) noexcept;

// What a piece of `bytes` bytes adds to the CRC-32 of data in which bytes_after follow it: the CRC-32 of the data is
// that of as many zeros, exclusive or the shares of pieces that make it up, in whatever order they come.
std::uint32_t crc32_share(std::uint32_t crc, std::uint64_t bytes, std::uint64_t bytes_after) noexcept;

}  // namespace mq::formats
