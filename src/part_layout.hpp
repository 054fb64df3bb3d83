// A part of a quantized tensor as its bytes lie in a stored tensor (PartForm), and back, tile by tile.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "mq/source.hpp"
#include "src/codecs/codec.hpp"

namespace mq {

// A part as an encoding has it: a matrix of bytes (PartInfo), of elements of item_bytes each and of a type; `bits` of a
// code or zero point that is packed, and the value that is stored as 0.
struct PartMatrix {
  DType dtype = DType::UInt8;
  std::int64_t rows = 0;
  std::int64_t row_bytes = 0;
  std::int64_t item_bytes = 1;
  int bits = 8;
  std::int32_t least = 0;
};

PartMatrix part_matrix(const PartInfo& part, const QuantSpec& spec);

// A rectangle of the part, or of the stored tensor seen as a matrix of bytes.
struct ByteRect {
  std::int64_t row = 0;
  std::int64_t rows = 0;
  std::int64_t byte = 0;
  std::int64_t bytes = 0;
};

class PartLayout {
 public:
  PartLayout(const PartForm& form, const PartMatrix& part);

  // Whether stored bytes are the part's own, in the same order.
  bool is_direct() const noexcept { return direct_; }
  // Bytes of a row of the stored matrix, and its rows.
  std::int64_t stored_row_bytes() const noexcept { return stored_row_bytes_; }
  std::int64_t stored_rows() const noexcept { return stored_rows_; }
  // Where a rectangle of the part lies. Rows of parts that are packed down begin anywhere to be read, and at a multiple
  // of 32 to be written, those in tiles at one of 128; packed codes begin and end with a word, or the row.
  ByteRect stored(const ByteRect& part) const noexcept;

  // The bytes to store for a rectangle of the part, given row after row, and the reverse. The result lives in `out`, or
  // is the argument itself.
  std::span<const std::byte> to_stored(const ByteRect& part, std::span<const std::byte> bytes,
                                       std::vector<std::byte>& out) const;
  void from_stored(const ByteRect& part, std::span<std::byte> stored, std::span<std::byte> out) const;

 private:
  std::int64_t words_before(std::int64_t row) const noexcept { return row * part_.bits / 32; }
  std::int64_t words_until(std::int64_t row) const noexcept { return (row * part_.bits + 31) / 32; }
  std::int32_t stored_zero() const noexcept;
  std::size_t tiled_place(const ByteRect& part, std::size_t i) const noexcept;

  PartForm form_;
  PartMatrix part_;
  bool direct_ = false;
  std::int64_t item_ = 1;  // bytes of what is transposed as one
  std::int64_t stored_rows_ = 0;
  std::int64_t stored_row_bytes_ = 0;
};

}  // namespace mq
