// Arithmetic on sizes and offsets that a file supplies: the result, or nothing where it does not fit 64 bits.
#pragma once

#include <cstdint>
#include <optional>

namespace mq::io {

inline std::optional<std::uint64_t> checked_add(std::uint64_t a, std::uint64_t b) noexcept {
  std::uint64_t sum = 0;
  if (__builtin_add_overflow(a, b, &sum)) return std::nullopt;
  return sum;
}

inline std::optional<std::uint64_t> checked_multiply(std::uint64_t a, std::uint64_t b) noexcept {
  std::uint64_t product = 0;
  if (__builtin_mul_overflow(a, b, &product)) return std::nullopt;
  return product;
}

// value rounded up to a multiple of alignment, which is not 0.
inline std::optional<std::uint64_t> checked_align(std::uint64_t value, std::uint64_t alignment) noexcept {
  const std::uint64_t rest = value % alignment;
  return rest == 0 ? value : checked_add(value, alignment - rest);
}

// Whether [offset, offset + count) lies inside [0, size).
inline bool range_fits(std::uint64_t offset, std::uint64_t count, std::uint64_t size) noexcept {
  return offset <= size && count <= size - offset;
}

}  // namespace mq::io
