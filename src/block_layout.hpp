// The one place that knows granularities: it turns a tensor and a Granularity into a matrix whose rows are cut into
// runs, and a grid of blocks that owns the scales.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "mq/quant_spec.hpp"
#include "mq/tensor.hpp"

namespace mq {

// How a tensor is seen as a matrix of rows x cols: by default [shape[0], product of the rest]; an expert stack
// [experts, out, in] as [experts * out, in]; a scalar as 1 x 1.
struct MatrixShape {
  std::int64_t rows = 1;
  std::int64_t cols = 1;

  bool operator==(const MatrixShape&) const = default;
  std::int64_t numel() const noexcept { return rows * cols; }
};

// The first leading_dims dimensions become the rows.
MatrixShape matrix_shape(std::span<const std::int64_t> shape, int leading_dims = 1);

// A rectangle of the matrix. Its elements are stored row after row, without gaps, wherever a tile's data is passed.
struct Tile {
  std::int64_t row = 0;
  std::int64_t rows = 0;
  std::int64_t col = 0;
  std::int64_t cols = 0;
};

// The block of element (r, c) is (r / row_block) * grid_cols + (c / run) % grid_cols.
// Within a row, blocks change only at multiples of run.
struct BlockLayout {
  MatrixShape matrix;
  std::int64_t row_block = 1;  // rows that share their blocks
  std::int64_t run = 1;        // consecutive elements of a row in one block
  std::int64_t grid_rows = 1;
  std::int64_t grid_cols = 1;

  std::int64_t blocks() const noexcept { return grid_rows * grid_cols; }
  std::int64_t block_of(std::int64_t row, std::int64_t col) const noexcept {
    return (row / row_block) * grid_cols + (col / run) % grid_cols;
  }
  // Whether each block is one run of one row, so that rows can be encoded independently of each other, run by run.
  bool rows_independent() const noexcept { return row_block == 1 && run * grid_cols >= matrix.cols; }
};

// shape is the tensor's and matrix what it is seen as. A channel axis among the dimensions that became rows means the
// rows of the matrix: every slice of a stack has channels of its own.
// Throws: Usage if an axis does not exist, a group size does not divide the row (expected, found and the nearest sizes
// that do), a block is empty.
BlockLayout make_block_layout(std::span<const std::int64_t> shape, const MatrixShape& matrix,
                              const Granularity& granularity);

// Equally long runs of a tile that are adjacent in its data, each inside one block: what one kernel call works on.
struct Strip {
  std::int64_t row = 0;  // of the first element
  std::int64_t col = 0;
  std::int64_t offset = 0;  // of the first element in the tile's data
  std::int64_t runs = 0;
  std::int64_t run = 0;
};

// A strip holds at most kStripRuns runs, and if it holds more than one at most kStripNumel elements: 128 KiB of floats,
// so that what is read twice comes from the L2 cache the second time.
inline constexpr std::int64_t kStripRuns = 1024;
inline constexpr std::int64_t kStripNumel = 32768;

// Visits a tile as strips, f(strip), in the order of its data. Strips end with the row unless across_rows, where they
// may go on in the next one.
template <class F>
void for_each_strip(const BlockLayout& layout, const Tile& tile, bool across_rows, F&& f) {
  if (tile.rows == 0 || tile.cols == 0) return;
  const std::int64_t run = layout.run;
  const std::int64_t most = std::clamp<std::int64_t>(kStripNumel / run, 1, kStripRuns);
  if (across_rows && tile.col % run == 0 && tile.cols % run == 0) {
    const std::int64_t per_row = tile.cols / run;
    for (std::int64_t done = 0; done < tile.rows * per_row; done += most) {
      f(Strip{tile.row + done / per_row, tile.col + done % per_row * run, done * run,
              std::min(most, tile.rows * per_row - done), run});
    }
    return;
  }
  const std::int64_t end = tile.col + tile.cols;
  for (std::int64_t r = tile.row; r < tile.row + tile.rows; ++r) {
    for (std::int64_t c = tile.col; c < end;) {
      // Only the first and the last run of a row can be cut, by the edge of the tile or of the matrix.
      const std::int64_t left = std::min(run - c % run, end - c);
      const std::int64_t runs = left == run ? std::min(most, (end - c) / run) : 1;
      f(Strip{r, c, (r - tile.row) * tile.cols + (c - tile.col), runs, left});
      c += runs * left;
    }
  }
}

// Visits the runs of a strip, as many at a time as have blocks that follow each other: f(index of the first in the
// strip, its block, how many).
template <class F>
void for_each_block(const BlockLayout& layout, const Tile& tile, const Strip& strip, F&& f) {
  std::int64_t row = strip.row, col = strip.col;
  for (std::int64_t done = 0; done < strip.runs;) {
    const std::int64_t in_row = (tile.col + tile.cols - col) / strip.run;
    const std::int64_t before_wrap = layout.grid_cols - (col / layout.run) % layout.grid_cols;
    const std::int64_t count = std::min({strip.runs - done, in_row, before_wrap});
    f(done, layout.block_of(row, col), count);
    done += count;
    col += count * strip.run;
    if (count < in_row) continue;
    ++row;
    col = tile.col;
  }
}

}  // namespace mq
