// Zero points packed down the rows: in column c of a [rows, cols] byte matrix element r takes bits
// [r*bits, (r+1)*bits) of a bit stream cut into 32-bit words; word w of column c is at [w, c] of the result.
#pragma once

#include <cstdint>
#include <span>

namespace mq {

// Packs rows [0, rows) of `values` (value - offset, low `bits` bits). packed holds ceil(rows*bits/32) * cols words.
// Bands of a taller matrix may be packed one by one where each starts at a multiple of 32 rows.
void pack_down(std::span<const std::uint8_t> values, std::int64_t cols, int bits, std::int32_t offset,
               std::span<std::uint32_t> packed);

// The inverse for rows [row, row + rows) of the matrix: packed holds the words of all columns from word row*bits/32 on.
void unpack_down(std::span<const std::uint32_t> packed, std::int64_t row, std::int64_t cols, int bits,
                 std::int32_t offset, std::span<std::uint8_t> values);

}  // namespace mq
