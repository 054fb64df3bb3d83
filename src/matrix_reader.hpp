// Reads rectangles of a logical tensor's matrix as floats: widens plain tensors, decodes quantized ones, transposes.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "mq/checkpoint.hpp"
#include "mq/source.hpp"
#include "src/block_layout.hpp"
#include "src/dialects/dialect.hpp"
#include "src/part_layout.hpp"
#include "src/row_order.hpp"

namespace mq {

// Buffers of one worker, reused from tile to tile.
struct Scratch {
  std::vector<std::byte> raw;
  std::vector<float> values;
  std::vector<float> blocks;     // values of whole blocks, of which a tile takes a part
  std::vector<float> rows;       // values of whole rows, of which a tile takes a part
  std::vector<std::byte> codes;  // in another form than they are stored in
  // The stored bytes of the last tile read: the values, or all parts that are stored per row, one after the other.
  // Valid until the tile's floats or this scratch are used again.
  std::span<const std::byte> stored;
};

// Whether its groups go on from one row to the next: those of the flattened weight, of which the last may be short.
bool groups_cross_rows(const LogicalTensor& tensor);

class MatrixReader {
 public:
  // transposed: the matrix is the transpose of the tensor's (a [in, out] original seen as [out, in]).
  // columns: if not 0, the matrix is the flattened tensor in rows of so many, which must divide it; not transposed.
  // Reads the parts that belong to the whole tensor (scales that are not per row).
  // Throws: Usage if the tensor is not of a float type, Unsupported for blocks that are not decoded, Io, Corrupt.
  MatrixReader(const Checkpoint& checkpoint, const LogicalTensor& tensor, bool transposed = false,
               std::int64_t columns = 0);

  MatrixShape shape() const noexcept { return shape_; }

  // The tile's values, rows adjacent. Tiles of a packed weight begin at a column that is a multiple of 32.
  // Const and thread-safe: each thread with its own scratch.
  void read(const Tile& tile, float* out, Scratch& scratch) const;

  // Whether a tile's values are its stored bytes, widened: neither decoded nor transposed.
  bool is_direct() const noexcept { return !tensor_.spec && !transposed_ && columns_ == 0; }
  // If so, the two halves of read(): the stored bytes of a tile, and the values of any part of those. Both live in the
  // scratch, or in what it was given, until the same call is made again.
  std::span<const std::byte> read_bytes(const Tile& tile, Scratch& scratch) const;
  const float* values(std::span<const std::byte> stored, Scratch& scratch) const;

  // The parts of a quantized tensor, whole, codes one per byte.
  // Throws: Unsupported if its groups are not runs of columns of a row.
  QuantizedTensor load() const;

  // Of a quantized tensor: the parts of a tile as its encoding has them, in their order, codes in the form asked for;
  // parts that are not tiled whole. Valid until the scratch is used again.
  // Throws: Unsupported if its groups are not runs of columns of a row.
  std::vector<std::span<std::byte>> read_parts(const Tile& tile, CodeForm form, Scratch& scratch) const;

 private:
  struct Part {
    std::size_t tensor = 0;
    PartInfo info;
    PartLayout layout;
    std::vector<std::byte> whole = {};  // of parts that are not tiled
    std::vector<float> scales = {};     // decoded, where they are nested
  };

  Shape stored_shape() const;
  Shape encoded_shape() const;
  void open_quantized();
  void read_column_groups(std::size_t tensor);
  // Throws: Corrupt for numbers that are not ascending columns.
  void require_outlier_columns(const Part& part) const;
  void require_common_zero_point(const StoredPart& part) const;
  void require_runs_of_columns() const;
  void read_stored(const Tile& tile, float* out, Scratch& scratch) const;
  void read_flattened(std::int64_t first, std::int64_t count, float* out, Scratch& scratch) const;
  void read_plain(const Tile& tile, std::span<std::byte> out) const;
  void read_quantized(const Tile& tile, float* out, Scratch& scratch) const;
  void decode(const Tile& tile, float* out, Scratch& scratch) const;
  void decode_reordered(const Tile& tile, float* out, Scratch& scratch) const;
  void decode_run(std::int64_t first, std::int64_t count, float* out, Scratch& scratch) const;
  std::vector<std::span<std::byte>> read_tile(const Tile& tile, Scratch& scratch) const;
  ByteRect part_rect(const Part& part, const Tile& tile) const;
  void read_part(const Part& part, const ByteRect& rect, std::span<std::byte> out) const;
  std::vector<std::byte> in_bytes(std::span<const std::byte> codes, const Tile& tile) const;

  // Reads rows of a stored matrix: read(row in the file, first of the rows read, how many).
  template <class F>
  void for_each_stored_rows(const Tile& tile, bool whole_rows, F&& read) const {
    if (whole_rows && !row_order_.changes()) return read(tile.row, std::int64_t{0}, tile.rows);
    for (std::int64_t r = 0; r < tile.rows; ++r) read(row_order_.target(tile.row + r), r, std::int64_t{1});
  }
  // The runs of a tile in a flattened matrix of so many columns: f(first element, how many, place in the tile).
  template <class F>
  static void for_each_run(const Tile& tile, std::int64_t cols, F&& f) {
    if (tile.cols == cols) return f(tile.row * cols, tile.rows * cols, std::int64_t{0});
    for (std::int64_t r = 0; r < tile.rows; ++r) f((tile.row + r) * cols + tile.col, tile.cols, r * tile.cols);
  }

  const Checkpoint& checkpoint_;
  const LogicalTensor& tensor_;
  bool transposed_;
  std::int64_t columns_;
  RowOrder row_order_;  // of the stored rows
  MatrixShape stored_;  // as the bytes lie in the file
  MatrixShape shape_;   // as seen
  bool flat_ = false;   // groups_cross_rows(): what is encoded has a group to a row
  CodecRequest codec_;
  std::vector<Part> parts_;
  std::vector<std::int32_t> column_order_;  // column_groups: the columns in the order of their groups; else empty
};

}  // namespace mq
