#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "src/block_layout.hpp"
#include "tests/numerics/random.hpp"
#include "tests/support/errors.hpp"

using namespace mq;
using mq::test::code_of;
using mq::test::message_of;

namespace {

BlockLayout layout_of(const Shape& shape, const Granularity& granularity, int leading_dims = 1) {
  return make_block_layout(shape, matrix_shape(shape, leading_dims), granularity);
}

// The block of each element, in row-major order.
std::vector<std::int64_t> blocks_of(const Shape& shape, const Granularity& granularity) {
  const BlockLayout layout = layout_of(shape, granularity);
  std::vector<std::int64_t> blocks;
  for (std::int64_t i = 0; i < layout.matrix.numel(); ++i) {
    blocks.push_back(layout.block_of(i / layout.matrix.cols, i % layout.matrix.cols));
  }
  return blocks;
}

}  // namespace

TEST_CASE("layout: a tensor is a matrix of its first dimensions by the rest") {
  CHECK(matrix_shape(Shape{}) == MatrixShape{1, 1});
  CHECK(matrix_shape(Shape{5}) == MatrixShape{5, 1});
  CHECK(matrix_shape(Shape{2, 3, 4}) == MatrixShape{2, 12});
  CHECK(matrix_shape(Shape{2, 3, 4}, 2) == MatrixShape{6, 4});
  CHECK(matrix_shape(Shape{0, 3}) == MatrixShape{0, 3});
  CHECK(code_of([] { matrix_shape(Shape{2, -1}); }) == ErrorCode::Corrupt);
  CHECK(code_of([] { matrix_shape(Shape{1LL << 40, 1LL << 40}); }) == ErrorCode::Limit);
}

TEST_CASE("layout: channels of any axis") {
  for (int axis = 0; axis < 4; ++axis) {
    const Shape shape{3, 2, 4, 5};
    std::vector<std::int64_t> expected;
    for (std::int64_t a = 0; a < 3; ++a) {
      for (std::int64_t b = 0; b < 2; ++b) {
        for (std::int64_t c = 0; c < 4; ++c) {
          for (std::int64_t d = 0; d < 5; ++d)
            expected.push_back(std::array{a, b, c, d}[static_cast<std::size_t>(axis)]);
        }
      }
    }
    CHECK(blocks_of(shape, PerChannel{axis}) == expected);
    CHECK(layout_of(shape, PerChannel{axis}).blocks() == shape[static_cast<std::size_t>(axis)]);
  }
  CHECK(code_of([] { layout_of({3, 2}, PerChannel{2}); }) == ErrorCode::Usage);
  CHECK(code_of([] { layout_of({3, 2}, PerChannel{-1}); }) == ErrorCode::Usage);
}

TEST_CASE("layout: dimensions of 1 keep their meaning") {
  CHECK(layout_of({8, 1, 3}, PerChannel{0}).blocks() == 8);
  CHECK(layout_of({8, 1, 3}, PerChannel{1}).blocks() == 1);
  CHECK(layout_of({1, 1, 3}, PerChannel{2}).blocks() == 3);
  CHECK(layout_of({1, 6}, PerChannel{0}).blocks() == 1);
}

TEST_CASE("layout: rows are independent only where each block is one run of one row") {
  CHECK(layout_of({4, 6}, PerChannel{0}).rows_independent());
  CHECK(layout_of({4, 6}, PerGroup{3}).rows_independent());
  CHECK(layout_of({4, 6}, PerBlock{1, 4}).rows_independent());
  CHECK(layout_of({1, 6}, PerTensor{}).rows_independent());
  CHECK_FALSE(layout_of({4, 6}, PerTensor{}).rows_independent());
  CHECK_FALSE(layout_of({4, 6}, PerChannel{1}).rows_independent());
  CHECK_FALSE(layout_of({4, 6}, PerBlock{2, 6}).rows_independent());
  // The channels of the last axis come again and again along the only row.
  CHECK_FALSE(layout_of({1, 2, 3}, PerChannel{2}).rows_independent());
}

TEST_CASE("layout: an expert stack has channels for each expert") {
  const BlockLayout layout = layout_of({2, 3, 8}, PerChannel{0}, 2);
  CHECK(layout.matrix == MatrixShape{6, 8});
  CHECK(layout.blocks() == 6);
  CHECK(layout_of({2, 3, 8}, PerChannel{1}, 2).blocks() == 6);
  CHECK(layout_of({2, 3, 8}, PerChannel{2}, 2).blocks() == 8);
  CHECK(layout_of({2, 3, 8}, PerGroup{4}, 2).blocks() == 12);
}

TEST_CASE("layout: groups divide the row") {
  CHECK(blocks_of({2, 4}, PerGroup{2}) == std::vector<std::int64_t>{0, 0, 1, 1, 2, 2, 3, 3});
  CHECK(layout_of({2, 3, 4}, PerGroup{6}).blocks() == 4);
  const std::string message = message_of([] { layout_of({2, 96}, PerGroup{40}); });
  CHECK(message.find("divisor of 96") != std::string::npos);
  CHECK(message.find("found 40") != std::string::npos);
  CHECK(message.find("nearest: 32 or 48") != std::string::npos);
  CHECK(message_of([] { layout_of({2, 96}, PerGroup{128}); }).find("nearest: 96") != std::string::npos);
  CHECK(code_of([] { layout_of({2, 96}, PerGroup{0}); }) == ErrorCode::Usage);
  CHECK(code_of([] { layout_of({2, (1LL << 61) - 1}, PerGroup{1LL << 60}); }) == ErrorCode::Usage);
}

TEST_CASE("layout: blocks at the edges are partial") {
  const BlockLayout layout = layout_of({5, 7}, PerBlock{2, 3});
  CHECK(layout.grid_rows == 3);
  CHECK(layout.grid_cols == 3);
  CHECK(layout.block_of(4, 6) == 8);
  CHECK(layout.block_of(3, 2) == 3);
  CHECK(layout_of({5, 7}, PerBlock{128, 128}).blocks() == 1);
  CHECK(code_of([] { layout_of({5, 7}, PerBlock{0, 3}); }) == ErrorCode::Usage);
}

TEST_CASE("layout: strips cover any tile once, in order, within their limits, and know their blocks") {
  mq::test::Random random(9);
  const Shape shapes[] = {{5, 96}, {3, 4, 24}, {2, 40000}, {1500, 3}, {7, 2, 3, 11}};
  const Granularity granularities[] = {PerTensor{}, PerChannel{0}, PerChannel{1},
                                       PerGroup{1}, PerGroup{8},   PerBlock{2, 9}};
  for (const Shape& shape : shapes) {
    for (const Granularity& granularity : granularities) {
      const auto* group = std::get_if<PerGroup>(&granularity);
      if (group != nullptr && matrix_shape(shape).cols % group->group_size != 0) continue;
      const BlockLayout layout = layout_of(shape, granularity);
      for (int round = 0; round < 20; ++round) {
        Tile tile{random.below(layout.matrix.rows), 0, random.below(layout.matrix.cols), 0};
        if (round < 2) tile = {};
        tile.rows = round < 2 ? layout.matrix.rows : 1 + random.below(layout.matrix.rows - tile.row);
        tile.cols = round < 2 ? layout.matrix.cols : 1 + random.below(layout.matrix.cols - tile.col);
        std::int64_t next = 0;
        bool good = true;
        for_each_strip(layout, tile, round % 2 == 0, [&](const Strip& strip) {
          good &= strip.offset == next && strip.runs >= 1 && strip.runs <= kStripRuns;
          good &= strip.runs == 1 || strip.runs * strip.run <= kStripNumel;
          good &= strip.offset == (strip.row - tile.row) * tile.cols + strip.col - tile.col;
          std::int64_t seen = 0;
          for_each_block(layout, tile, strip, [&](std::int64_t first, std::int64_t block, std::int64_t count) {
            good &= first == seen && count >= 1;
            seen += count;
            for (std::int64_t run = 0; run < count; ++run, next += strip.run) {
              for (const std::int64_t at : {next, next + strip.run - 1}) {
                good &= block + run == layout.block_of(tile.row + at / tile.cols, tile.col + at % tile.cols);
              }
            }
          });
          good &= seen == strip.runs;
        });
        CHECK(good);
        CHECK(next == tile.rows * tile.cols);
      }
    }
  }
}
