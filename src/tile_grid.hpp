// How a matrix is cut into tiles: the units of reading, encoding and writing, and of the digests of what is read.
#pragma once

#include <cstdint>

#include "src/block_layout.hpp"

namespace mq {

// A digest covers chunks of a tensor as it is stored: as many whole rows as fit into kChunkBytes (a power of two, at
// least one), or, of rows longer than that, pieces of kPieceNumel elements. Neither depends on what the tensor becomes.
inline constexpr std::int64_t kChunkBytes = 256 << 10;
inline constexpr std::int64_t kPieceNumel = 1 << 16;

struct TileGrid {
  MatrixShape matrix;
  std::int64_t tile_rows = 1;
  std::int64_t tile_cols = 1;   // the whole row, or kPieceNumel
  std::int64_t chunk_rows = 1;  // rows of a digest chunk; tile_rows is a multiple where tiles hold whole short rows
  bool pieces = false;          // whether a digest chunk is a piece of a row

  std::int64_t across() const noexcept { return (matrix.cols + tile_cols - 1) / tile_cols; }
  std::int64_t count() const noexcept {
    return matrix.numel() == 0 ? 0 : (matrix.rows + tile_rows - 1) / tile_rows * across();
  }
  // And the `count - 1` tiles after it: more than one only of whole rows.
  Tile tile(std::int64_t index, std::int64_t count = 1) const noexcept;
};

struct TileNeeds {
  std::int64_t row_quantum = 1;  // tiles begin at multiples of it: a power of two
  bool whole_rows = false;       // a tile may not be part of a row
};

// element_bytes: of the stored type, which decides about chunks.
TileGrid make_tile_grid(const MatrixShape& matrix, std::int64_t element_bytes, const TileNeeds& needs);

// Rows of a tile that are columns of a file: few of them would mean many small reads, and packed codes begin at
// multiples of 32.
std::int64_t rows_for_strips(const MatrixShape& matrix) noexcept;

// Tiles to read a tensor as floats through a MatrixReader. strips: rows of what is read are columns of what is stored.
TileGrid make_reading_grid(const MatrixShape& matrix, bool strips);

// Floats in memory beyond which rows are not held whole, for a quantum of rows.
bool rows_too_long(const MatrixShape& matrix, std::int64_t row_quantum) noexcept;

}  // namespace mq
