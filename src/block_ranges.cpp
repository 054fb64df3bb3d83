#include "src/block_ranges.hpp"

#include <array>
#include <cmath>
#include <limits>

#include "src/active_table.hpp"

namespace mq {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Ranges of adjacent runs over several rows.
struct StripRanges {
  std::array<float, kStripRuns> lo;
  std::array<float, kStripRuns> hi;
  std::int64_t nonfinite = 0;

  void clear(std::int64_t runs) {
    std::fill_n(lo.begin(), runs, kInfinity);
    std::fill_n(hi.begin(), runs, -kInfinity);
  }

  // Runs of one element: a vector of ranges along the row. In a form that compilers turn into vector code.
  void add_elements(const float* x, std::int64_t n) {
    float* const __restrict lowest = lo.data();
    float* const __restrict highest = hi.data();
    std::int32_t bad = 0;
    for (std::int64_t i = 0; i < n; ++i) {
      const bool finite = std::fabs(x[i]) < kInfinity;
      const float low = finite ? x[i] : lowest[i];
      const float high = finite ? x[i] : highest[i];
      lowest[i] = low < lowest[i] ? low : lowest[i];
      highest[i] = high > highest[i] ? high : highest[i];
      bad += finite ? 0 : 1;
    }
    nonfinite += bad;
  }

  void add_runs(const kernels::KernelTable& k, const float* x, const Strip& strip) {
    std::array<kernels::Range, kStripRuns> row;
    k.range(x, static_cast<std::size_t>(strip.runs), static_cast<std::size_t>(strip.run), row.data());
    for (std::size_t i = 0; i < static_cast<std::size_t>(strip.runs); ++i) {
      lo[i] = std::min(lo[i], row[i].lo);
      hi[i] = std::max(hi[i], row[i].hi);
      nonfinite += static_cast<std::int64_t>(row[i].nonfinite);
    }
  }
};

}  // namespace

BlockRanges::BlockRanges(const BlockLayout& layout)
    : layout_(layout), ranges_(static_cast<std::size_t>(layout.blocks()), Range{kInfinity, -kInfinity}) {}

void BlockRanges::merge(std::int64_t block, float lo, float hi) {
  Range& range = ranges_[static_cast<std::size_t>(block)];
  range.lo = std::min(range.lo, lo);
  range.hi = std::max(range.hi, hi);
}

std::int64_t BlockRanges::add(const Tile& tile, const float* x) {
  std::int64_t nonfinite = 0;
  const std::int64_t end = tile.row + tile.rows;
  for (std::int64_t row = tile.row; row < end;) {
    const std::int64_t rows = std::min(layout_.row_block - row % layout_.row_block, end - row);
    nonfinite += add_block_row({row, rows, tile.col, tile.cols}, x + (row - tile.row) * tile.cols);
    row += rows;
  }
  return nonfinite;
}

// The tile's rows share their blocks.
std::int64_t BlockRanges::add_block_row(const Tile& tile, const float* x) {
  if (tile.cols == 0) return 0;
  if (layout_.grid_cols == 1) {
    kernels::Range all{};
    active_table().range(x, 1, static_cast<std::size_t>(tile.rows * tile.cols), &all);
    const std::lock_guard lock(mutex_);
    merge(layout_.block_of(tile.row, tile.col), all.lo, all.hi);
    return static_cast<std::int64_t>(all.nonfinite);
  }
  std::int64_t nonfinite = 0;
  for_each_strip(layout_, {tile.row, 1, tile.col, tile.cols}, false,
                 [&](const Strip& strip) { nonfinite += add_strip(tile, strip, x + strip.offset); });
  return nonfinite;
}

// The strip stands for the same columns of all rows of the tile.
std::int64_t BlockRanges::add_strip(const Tile& tile, const Strip& strip, const float* x) {
  const kernels::KernelTable& k = active_table();
  StripRanges found;
  found.clear(strip.runs);
  for (std::int64_t row = 0; row < tile.rows; ++row) {
    if (strip.run == 1) {
      found.add_elements(x + row * tile.cols, strip.runs);
    } else {
      found.add_runs(k, x + row * tile.cols, strip);
    }
  }
  const std::lock_guard lock(mutex_);
  for_each_block(layout_, tile, strip, [&](std::int64_t first, std::int64_t block, std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i) {
      const auto at = static_cast<std::size_t>(first + i);
      merge(block + i, found.lo[at], found.hi[at]);
    }
  });
  return found.nonfinite;
}

std::vector<Range> BlockRanges::take() {
  for (Range& range : ranges_) {
    // Adding 0 turns -0 into 0.
    range = range.lo > range.hi ? Range{} : Range{range.lo + 0.0f, range.hi + 0.0f};
  }
  return std::move(ranges_);
}

}  // namespace mq
