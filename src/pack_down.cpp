#include "src/pack_down.hpp"

#include <algorithm>

namespace mq {

void pack_down(std::span<const std::uint8_t> values, std::int64_t cols, int bits, std::int32_t offset,
               std::span<std::uint32_t> packed) {
  std::fill(packed.begin(), packed.end(), 0u);
  const std::int64_t rows = static_cast<std::int64_t>(values.size()) / cols;
  const std::uint32_t mask = (1u << bits) - 1;
  for (std::int64_t r = 0; r < rows; ++r) {
    const std::int64_t word = r * bits / 32;
    const int shift = static_cast<int>(r * bits % 32);
    for (std::int64_t c = 0; c < cols; ++c) {
      const std::uint32_t code =
          (values[static_cast<std::size_t>(r * cols + c)] - static_cast<std::uint32_t>(offset)) & mask;
      const std::size_t at = static_cast<std::size_t>(word * cols + c);
      packed[at] |= code << shift;
      if (shift + bits > 32) packed[at + static_cast<std::size_t>(cols)] |= code >> (32 - shift);
    }
  }
}

void unpack_down(std::span<const std::uint32_t> packed, std::int64_t row, std::int64_t cols, int bits,
                 std::int32_t offset, std::span<std::uint8_t> values) {
  const std::int64_t rows = static_cast<std::int64_t>(values.size()) / cols;
  const std::int64_t first_bit = row * bits % 32;
  const std::uint32_t mask = (1u << bits) - 1;
  for (std::int64_t r = 0; r < rows; ++r) {
    const std::int64_t bit = first_bit + r * bits;
    const int shift = static_cast<int>(bit % 32);
    for (std::int64_t c = 0; c < cols; ++c) {
      const std::size_t at = static_cast<std::size_t>(bit / 32 * cols + c);
      std::uint64_t window = packed[at];
      if (shift + bits > 32) window |= std::uint64_t{packed[at + static_cast<std::size_t>(cols)]} << 32;
      const auto code = static_cast<std::uint32_t>(window >> shift) & mask;
      values[static_cast<std::size_t>(r * cols + c)] =
          static_cast<std::uint8_t>(code + static_cast<std::uint32_t>(offset));
    }
  }
}

}  // namespace mq
