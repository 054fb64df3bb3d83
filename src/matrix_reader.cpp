#include "src/matrix_reader.hpp"

#include <algorithm>

#include "src/float_rows.hpp"

namespace mq {
namespace {

void transpose(const float* in, std::int64_t rows, std::int64_t cols, float* out) {
  constexpr std::int64_t kBlock = 32;  // keeps both sides of a block in cache
  for (std::int64_t r0 = 0; r0 < rows; r0 += kBlock) {
    for (std::int64_t c0 = 0; c0 < cols; c0 += kBlock) {
      const std::int64_t r1 = std::min(r0 + kBlock, rows);
      const std::int64_t c1 = std::min(c0 + kBlock, cols);
      for (std::int64_t c = c0; c < c1; ++c) {
        for (std::int64_t r = r0; r < r1; ++r) out[c * rows + r] = in[r * cols + c];
      }
    }
  }
}

// Without what was swapped where it is stored as its transpose.
Shape stored_shape_of(const LogicalTensor& tensor) {
  Shape shape = tensor.info.shape;
  if (tensor.transposed) std::swap(shape.front(), shape.back());
  return shape;
}

}  // namespace

bool groups_cross_rows(const LogicalTensor& tensor) {
  const auto* const group = tensor.spec ? std::get_if<PerGroup>(&tensor.spec->granularity) : nullptr;
  return group != nullptr && matrix_shape(stored_shape_of(tensor), tensor.leading_dims).cols % group->group_size != 0;
}

MatrixReader::MatrixReader(const Checkpoint& checkpoint, const LogicalTensor& tensor, bool transposed,
                           std::int64_t columns)
    : checkpoint_(checkpoint),
      tensor_(tensor),
      transposed_(transposed != tensor.transposed),
      columns_(columns),
      row_order_(0, 0) {
  const TensorInfo& info = tensor.info;
  stored_ = matrix_shape(stored_shape(), tensor.leading_dims);
  if (tensor.interleaved_heads != 0) row_order_ = {stored_.rows, tensor.interleaved_heads};
  shape_ = transposed_ ? MatrixShape{stored_.cols, stored_.rows} : stored_;
  if (columns != 0) shape_ = {stored_.numel() / columns, columns};
  if (tensor.spec) {
    open_quantized();
    return;
  }
  require_decodable(info);
  if (!is_readable_float(info.dtype)) {
    throw Error({.code = ErrorCode::Usage,
                 .message = "cannot be read as floats",
                 .tensor = info.name,
                 .expected = "a float tensor",
                 .found = std::string(to_string(info.dtype))});
  }
}

Shape MatrixReader::stored_shape() const {
  return stored_shape_of(tensor_);
}

void MatrixReader::read_plain(const Tile& tile, std::span<std::byte> out) const {
  const std::size_t index = tensor_.parts.front().tensor;
  const std::size_t row_bytes = out.size() / static_cast<std::size_t>(std::max<std::int64_t>(tile.rows, 1));
  for_each_stored_rows(tile, tile.cols == stored_.cols, [&](std::int64_t row, std::int64_t at, std::int64_t rows) {
    checkpoint_.read(index, row * stored_.cols + tile.col, rows * tile.cols,
                     out.subspan(static_cast<std::size_t>(at) * row_bytes, static_cast<std::size_t>(rows) * row_bytes));
  });
}

std::span<const std::byte> MatrixReader::read_bytes(const Tile& tile, Scratch& scratch) const {
  const auto bytes = static_cast<std::size_t>(bytes_of(tensor_.info.dtype, tile.rows * tile.cols));
  if (scratch.raw.size() < bytes) scratch.raw.resize(bytes);
  const std::span<std::byte> out = std::span(scratch.raw).first(bytes);
  read_plain(tile, out);
  return out;
}

const float* MatrixReader::values(std::span<const std::byte> stored, Scratch& scratch) const {
  const DType dtype = tensor_.info.dtype;
  const bool aligned = reinterpret_cast<std::uintptr_t>(stored.data()) % alignof(float) == 0;
  if (dtype == DType::Float32 && aligned) return reinterpret_cast<const float*>(stored.data());
  const std::size_t n = stored.size() / static_cast<std::size_t>(bytes_of(dtype, 1));
  if (scratch.values.size() < n) scratch.values.resize(n);
  widen(dtype, stored.data(), static_cast<std::int64_t>(n), scratch.values.data());
  return scratch.values.data();
}

void MatrixReader::read_stored(const Tile& tile, float* out, Scratch& scratch) const {
  if (tensor_.spec) return read_quantized(tile, out, scratch);
  const auto n = static_cast<std::size_t>(tile.rows * tile.cols);
  if (tensor_.info.dtype == DType::Float32) {
    const std::span<std::byte> bytes = std::as_writable_bytes(std::span(out, n));
    read_plain(tile, bytes);
    scratch.stored = bytes;
  } else {
    scratch.stored = read_bytes(tile, scratch);
    widen(tensor_.info.dtype, scratch.stored.data(), static_cast<std::int64_t>(n), out);
  }
}

// Elements [first, first + count) of the flattened tensor: out of the rows that hold them.
void MatrixReader::read_flattened(std::int64_t first, std::int64_t count, float* out, Scratch& scratch) const {
  const std::int64_t cols = stored_.cols;
  const Tile rows{first / cols, (first + count + cols - 1) / cols - first / cols, 0, cols};
  scratch.rows.resize(static_cast<std::size_t>(rows.rows * cols));
  read_stored(rows, scratch.rows.data(), scratch);
  std::copy_n(scratch.rows.data() + (first - rows.row * cols), count, out);
}

void MatrixReader::read(const Tile& tile, float* out, Scratch& scratch) const {
  if (columns_ != 0) {
    return for_each_run(tile, columns_, [&](std::int64_t first, std::int64_t count, std::int64_t at) {
      read_flattened(first, count, out + at, scratch);
    });
  }
  if (!transposed_) return read_stored(tile, out, scratch);
  const Tile stored{.row = tile.col, .rows = tile.cols, .col = tile.row, .cols = tile.rows};
  scratch.values.resize(static_cast<std::size_t>(tile.rows * tile.cols));
  read_stored(stored, scratch.values.data(), scratch);
  transpose(scratch.values.data(), stored.rows, stored.cols, out);
}

}  // namespace mq
