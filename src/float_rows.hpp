// Floating-point data of any type as float32.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "mq/tensor.hpp"
#include "src/block_layout.hpp"

namespace mq {

// Whether values of this type can be read as floats: a float of whole bytes.
bool is_readable_float(DType dtype) noexcept;

// Converts count elements, which may lie at any address. Exact but for Float64, which is rounded to nearest even and
// becomes infinite beyond float's range.
// Throws: Usage if dtype is not a float of whole bytes.
void widen(DType dtype, const std::byte* from, std::int64_t count, float* to);

// The rows of a borrowed float tensor, band by band; float32 data is not copied.
class FloatRows {
 public:
  // Throws: Usage if the tensor is not of a float type or its bytes are not those of its shape.
  explicit FloatRows(TensorView tensor);

  MatrixShape matrix() const noexcept { return matrix_; }

  // How many rows read() gives at most.
  std::int64_t band_rows() const noexcept { return band_rows_; }
  // Rows [first, first + count), until the next call.
  const float* read(std::int64_t first, std::int64_t count);

  // Calls f(tile, its data) for bands of whole rows that cover the tensor in order.
  template <class F>
  void for_each_band(F&& f) {
    for (std::int64_t row = 0; row < matrix_.rows; row += band_rows_) {
      const Tile tile{row, std::min(band_rows_, matrix_.rows - row), 0, matrix_.cols};
      f(tile, read(tile.row, tile.rows));
    }
  }

 private:
  TensorView tensor_;
  MatrixShape matrix_;
  std::int64_t band_rows_ = 1;
  Buffer scratch_;
};

}  // namespace mq
