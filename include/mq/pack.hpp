// Packing of codes of 1 to 8 bits into a little-endian bit stream, and back. Pure functions; thread-safe.
//
// Layout: element i of a row occupies bits [i*bits, (i+1)*bits) of the row, least significant bit first, elements
// adjacent; a row is padded with zero bits to whole 32-bit words. 4 bits: byte k = code[2k] | code[2k+1] << 4.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace mq {

// Bytes of a packed row of `numel` codes: whole 32-bit words.
std::int64_t packed_row_bytes(std::int64_t numel, int bits);

// Packs rows of unsigned codes (one per byte; only the low `bits` bits count). codes.size() is rows * row_numel and
// packed.size() rows * packed_row_bytes(row_numel, bits).
// Throws: Usage on sizes that do not agree or bits outside 1..8.
void pack_bits(std::span<const std::uint8_t> codes, std::int64_t row_numel, int bits, std::span<std::uint8_t> packed);
void unpack_bits(std::span<const std::uint8_t> packed, std::int64_t row_numel, int bits, std::span<std::uint8_t> codes);

}  // namespace mq
