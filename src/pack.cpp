#include "mq/pack.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <string>

#include "mq/error.hpp"
#include "src/active_table.hpp"

namespace mq {
namespace {

static_assert(std::endian::native == std::endian::little);

// Times a field: the field in every 8, 16 or 32 bits.
constexpr std::uint64_t kEvery8 = 0x0101010101010101, kEvery16 = 0x0001000100010001, kEvery32 = 0x0000000100000001;

constexpr std::uint64_t low_bits(int bits) {
  return (std::uint64_t{1} << bits) - 1;
}

// Moves 8 codes, one per byte, together into 8 * bits bits: pairs, then pairs of pairs, then halves.
std::uint64_t squeeze(std::uint64_t x, int bits) {
  x &= low_bits(bits) * kEvery8;
  x = (x & low_bits(8) * kEvery16) | ((x >> 8) & low_bits(8) * kEvery16) << bits;
  x = (x & low_bits(16) * kEvery32) | ((x >> 16) & low_bits(16) * kEvery32) << (2 * bits);
  return (x & low_bits(32)) | (x >> 32) << (4 * bits);
}

// The inverse of squeeze; bits of x beyond 8 * bits do not matter.
std::uint64_t spread(std::uint64_t x, int bits) {
  x = (x & low_bits(4 * bits)) | ((x >> (4 * bits)) & low_bits(4 * bits)) << 32;
  x = (x & low_bits(2 * bits) * kEvery32) | ((x >> (2 * bits)) & low_bits(2 * bits) * kEvery32) << 16;
  return (x & low_bits(bits) * kEvery16) | ((x >> bits) & low_bits(bits) * kEvery16) << 8;
}

// One row. Eight codes become `bits` bytes; a whole 8-byte store where the row has room, its excess overwritten next.
void pack_row(const std::uint8_t* codes, std::int64_t n, int bits, std::uint8_t* out, std::int64_t out_bytes) {
  std::int64_t at = 0;
  for (; n >= 8; n -= 8, codes += 8, at += bits) {
    std::uint64_t word = 0;
    std::memcpy(&word, codes, 8);
    word = squeeze(word, bits);
    if (out_bytes - at >= 8) {
      std::memcpy(out + at, &word, 8);
    } else {
      std::memcpy(out + at, &word, static_cast<std::size_t>(bits));
    }
  }
  std::uint64_t rest = 0;
  if (n > 0) std::memcpy(&rest, codes, static_cast<std::size_t>(n));
  rest = squeeze(rest, bits);
  for (; at < out_bytes; ++at, rest >>= 8) out[at] = static_cast<std::uint8_t>(rest);
}

void unpack_row(const std::uint8_t* packed, std::int64_t packed_bytes, std::int64_t n, int bits, std::uint8_t* codes) {
  std::int64_t at = 0;
  for (; n >= 8 && packed_bytes - at >= 8; n -= 8, codes += 8, at += bits) {
    std::uint64_t word = 0;
    std::memcpy(&word, packed + at, 8);
    word = spread(word, bits);
    std::memcpy(codes, &word, 8);
  }
  for (; n > 0; n -= 8, codes += 8, at += bits) {
    std::uint64_t word = 0;
    std::memcpy(&word, packed + at, static_cast<std::size_t>(std::min<std::int64_t>(8, packed_bytes - at)));
    word = spread(word, bits);
    std::memcpy(codes, &word, static_cast<std::size_t>(std::min<std::int64_t>(8, n)));
  }
}

void copy(std::span<const std::uint8_t> from, std::span<std::uint8_t> to) {
  if (!from.empty()) std::memcpy(to.data(), from.data(), from.size());
}

// Checks the sizes and returns the number of rows.
std::int64_t checked_rows(std::size_t codes, std::int64_t row_numel, int bits, std::size_t packed) {
  const std::int64_t row_bytes = packed_row_bytes(row_numel, bits);
  const auto rows = row_numel == 0 ? 0 : static_cast<std::int64_t>(codes) / row_numel;
  if (static_cast<std::size_t>(rows * row_numel) == codes && static_cast<std::size_t>(rows * row_bytes) == packed) {
    return rows;
  }
  throw Error({.code = ErrorCode::Usage,
               .message = "sizes of codes and packed bytes do not agree",
               .expected = "whole rows of " + std::to_string(row_numel) + " codes in " + std::to_string(row_bytes) +
                           " bytes each",
               .found = std::to_string(codes) + " codes and " + std::to_string(packed) + " bytes"});
}

}  // namespace

std::int64_t packed_row_bytes(std::int64_t numel, int bits) {
  if (bits < 1 || bits > 8) {
    throw Error({.code = ErrorCode::Usage,
                 .message = "codes cannot be packed",
                 .expected = "1 to 8 bits",
                 .found = std::to_string(bits)});
  }
  if (numel < 0) throw Error(ErrorCode::Usage, "a packed row cannot have " + std::to_string(numel) + " codes");
  return numel / 32 * bits * 4 + (numel % 32 * bits + 31) / 32 * 4;
}

void pack_bits(std::span<const std::uint8_t> codes, std::int64_t row_numel, int bits, std::span<std::uint8_t> packed) {
  const std::int64_t rows = checked_rows(codes.size(), row_numel, bits, packed.size());
  const std::int64_t row_bytes = packed_row_bytes(row_numel, bits);
  if (bits == 4 && row_numel % 8 == 0) return active_table().pack_4(codes.data(), codes.size(), packed.data());
  if (bits == 8 && row_numel % 4 == 0) return copy(codes, packed);
  for (std::int64_t r = 0; r < rows; ++r) {
    pack_row(codes.data() + r * row_numel, row_numel, bits, packed.data() + r * row_bytes, row_bytes);
  }
}

void unpack_bits(std::span<const std::uint8_t> packed, std::int64_t row_numel, int bits,
                 std::span<std::uint8_t> codes) {
  const std::int64_t rows = checked_rows(codes.size(), row_numel, bits, packed.size());
  const std::int64_t row_bytes = packed_row_bytes(row_numel, bits);
  if (bits == 4 && row_numel % 8 == 0) return active_table().unpack_4(packed.data(), codes.size(), codes.data());
  if (bits == 8 && row_numel % 4 == 0) return copy(packed, codes);
  for (std::int64_t r = 0; r < rows; ++r) {
    unpack_row(packed.data() + r * row_bytes, row_bytes, row_numel, bits, codes.data() + r * row_numel);
  }
}

}  // namespace mq
