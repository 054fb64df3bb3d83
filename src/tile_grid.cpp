#include "src/tile_grid.hpp"

#include <algorithm>
#include <bit>

namespace mq {
namespace {

constexpr std::int64_t kMaxTileFloats = 2 << 20;
constexpr std::int64_t kFlippedTileFloats = 1 << 20;

}  // namespace

Tile TileGrid::tile(std::int64_t index, std::int64_t count) const noexcept {
  const std::int64_t row = index / across() * tile_rows;
  const std::int64_t col = index % across() * tile_cols;
  return {row, std::min(count * tile_rows, matrix.rows - row), col, std::min(tile_cols, matrix.cols - col)};
}

TileGrid make_tile_grid(const MatrixShape& matrix, std::int64_t element_bytes, const TileNeeds& needs) {
  TileGrid grid{.matrix = matrix, .tile_cols = std::max<std::int64_t>(matrix.cols, 1)};
  const std::int64_t fitting = kChunkBytes / element_bytes / grid.tile_cols;
  grid.pieces = fitting == 0;
  if (!grid.pieces) grid.chunk_rows = static_cast<std::int64_t>(std::bit_floor(static_cast<std::uint64_t>(fitting)));
  grid.tile_rows = std::max(grid.chunk_rows, needs.row_quantum);
  if (grid.pieces && !needs.whole_rows) grid.tile_cols = kPieceNumel;
  return grid;
}

std::int64_t rows_for_strips(const MatrixShape& matrix) noexcept {
  const std::int64_t fitting = kFlippedTileFloats / std::max<std::int64_t>(matrix.cols, 1);
  return std::clamp<std::int64_t>(static_cast<std::int64_t>(std::bit_floor(static_cast<std::uint64_t>(fitting))), 32,
                                  1024);
}

TileGrid make_reading_grid(const MatrixShape& matrix, bool strips) {
  return make_tile_grid(matrix, sizeof(float), {.row_quantum = strips ? rows_for_strips(matrix) : 1});
}

bool rows_too_long(const MatrixShape& matrix, std::int64_t row_quantum) noexcept {
  return matrix.cols > kMaxTileFloats / row_quantum;
}

}  // namespace mq
