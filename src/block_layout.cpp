#include "src/block_layout.hpp"

#include <string>

namespace mq {
namespace {

std::int64_t ceil_div(std::int64_t a, std::int64_t b) {
  return a / b + (a % b != 0);
}

// "64 or 96": the divisors of cols nearest to size on either side, looked for within a bounded distance.
std::string nearest_group_sizes(std::int64_t cols, std::int64_t size) {
  constexpr std::int64_t kReach = 65536;
  std::string text;
  for (std::int64_t d = std::min(size, cols); d > 0 && size - d < kReach; --d) {
    if (cols % d != 0) continue;
    text = std::to_string(d);
    break;
  }
  for (std::int64_t d = size + 1; d <= cols && d - size < kReach; ++d) {
    if (cols % d != 0) continue;
    text += (text.empty() ? "" : " or ") + std::to_string(d);
    break;
  }
  return text;
}

struct LayoutMaker {
  std::span<const std::int64_t> shape;
  MatrixShape matrix;

  BlockLayout operator()(const PerTensor&) const {
    return {.matrix = matrix, .row_block = at_least_one(matrix.rows), .run = at_least_one(matrix.cols)};
  }

  BlockLayout operator()(const PerChannel& channel) const {
    const auto rank = static_cast<int>(shape.size());
    if (channel.axis < 0 || channel.axis >= rank) {
      throw Error({.code = ErrorCode::Usage,
                   .message = "the channel axis does not exist",
                   .expected = "an axis below " + std::to_string(rank) + " for shape " + to_string(shape),
                   .found = "axis " + std::to_string(channel.axis)});
    }
    if (channel.axis < row_dims() || matrix.numel() == 0) {
      return {.matrix = matrix, .run = at_least_one(matrix.cols), .grid_rows = matrix.rows};
    }
    std::int64_t inner = 1;
    for (int d = rank - 1; d > channel.axis; --d) inner *= shape[static_cast<std::size_t>(d)];
    return {.matrix = matrix,
            .row_block = matrix.rows,
            .run = inner,
            .grid_cols = shape[static_cast<std::size_t>(channel.axis)]};
  }

  // How many dimensions became the rows; dimensions of 1 that could be either count as columns.
  int row_dims() const {
    std::int64_t rows = 1;
    int dims = 0;
    while (dims < static_cast<int>(shape.size()) && (dims == 0 || rows < matrix.rows)) {
      rows *= shape[static_cast<std::size_t>(dims++)];
    }
    return dims;
  }

  BlockLayout operator()(const PerGroup& group) const {
    require_positive(group.group_size, "the group size");
    if (matrix.cols % group.group_size != 0) {
      throw Error({.code = ErrorCode::Usage,
                   .message = "the group size does not divide the row",
                   .expected = "a divisor of " + std::to_string(matrix.cols) + " (shape " + to_string(shape) + ")",
                   .found = std::to_string(group.group_size),
                   .hint = "nearest: " + nearest_group_sizes(matrix.cols, group.group_size)});
    }
    return {.matrix = matrix,
            .run = group.group_size,
            .grid_rows = matrix.rows,
            .grid_cols = matrix.cols / group.group_size};
  }

  BlockLayout operator()(const PerBlock& block) const {
    require_positive(block.rows, "the number of rows of a block");
    require_positive(block.cols, "the number of columns of a block");
    return {.matrix = matrix,
            .row_block = std::min(block.rows, at_least_one(matrix.rows)),
            .run = std::min(block.cols, at_least_one(matrix.cols)),
            .grid_rows = ceil_div(matrix.rows, block.rows),
            .grid_cols = ceil_div(matrix.cols, block.cols)};
  }

  static std::int64_t at_least_one(std::int64_t n) { return n > 0 ? n : 1; }

  static void require_positive(std::int64_t n, const char* what) {
    if (n > 0) return;
    throw Error({.code = ErrorCode::Usage,
                 .message = std::string(what) + " is not positive",
                 .expected = "at least 1",
                 .found = std::to_string(n)});
  }
};

}  // namespace

MatrixShape matrix_shape(std::span<const std::int64_t> shape, int leading_dims) {
  numel(shape);  // refuses negative and overlong shapes
  MatrixShape matrix;
  for (std::size_t d = 0; d < shape.size(); ++d) {
    (static_cast<int>(d) < leading_dims ? matrix.rows : matrix.cols) *= shape[d];
  }
  return matrix;
}

BlockLayout make_block_layout(std::span<const std::int64_t> shape, const MatrixShape& matrix,
                              const Granularity& granularity) {
  return std::visit(LayoutMaker{shape, matrix}, granularity);
}

}  // namespace mq
