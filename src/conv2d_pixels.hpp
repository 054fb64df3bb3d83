// Where the elements of a kernel fall in an image: pixels gathered into rows, and sums of them.
#pragma once

#include <algorithm>
#include <cstdint>

#include "mq/quantized_conv2d.hpp"

namespace mq::detail {

struct PixelGrid {
  std::int64_t height, width;
  std::int64_t kernel_height, kernel_width;
  std::int64_t out_width;
  const Conv2dGeometry& geometry;

  // The row of the image under a row of the kernel, for a row of the output; perhaps outside.
  std::int64_t row(std::int64_t out, std::int64_t kernel) const {
    return out * geometry.stride[0] - geometry.padding[0] + kernel * geometry.dilation[0];
  }
  bool has_row(std::int64_t y) const { return y >= 0 && y < height; }
  // The same of columns.
  std::int64_t column(std::int64_t out, std::int64_t kernel) const {
    return out * geometry.stride[1] - geometry.padding[1] + kernel * geometry.dilation[1];
  }
  // Columns [first, last) of the output under which the column of the kernel is inside.
  std::int64_t first_inside(std::int64_t kernel) const {
    const std::int64_t missing = -column(0, kernel), stride = geometry.stride[1];
    return missing <= 0 ? 0 : std::min(out_width, (missing + stride - 1) / stride);
  }
  std::int64_t last_inside(std::int64_t kernel) const {
    const std::int64_t room = width - 1 - column(0, kernel);
    return room < 0 ? 0 : std::min(out_width, room / geometry.stride[1] + 1);
  }
};

// For each of the output positions [first, first + count) the pixels it sees, in the order of the weights: channel,
// row, column.
template <class T>
void gather_pixels(const PixelGrid& grid, const T* planes, std::int64_t channels, std::int64_t first,
                   std::int64_t count, T outside, T* rows) {
  for (std::int64_t position = first; position < first + count; ++position) {
    const std::int64_t out_y = position / grid.out_width, out_x = position % grid.out_width;
    for (std::int64_t c = 0; c < channels; ++c) {
      for (std::int64_t ky = 0; ky < grid.kernel_height; ++ky) {
        const std::int64_t y = grid.row(out_y, ky);
        const T* const line = grid.has_row(y) ? planes + (c * grid.height + y) * grid.width : nullptr;
        for (std::int64_t kx = 0; kx < grid.kernel_width; ++kx) {
          const std::int64_t x = grid.column(out_x, kx);
          *rows++ = line != nullptr && x >= 0 && x < grid.width ? line[x] : outside;
        }
      }
    }
  }
}

// Adds (pixel - zero) * weight over one channel to the sums of a row of the output.
template <class T>
void add_pixels(const PixelGrid& grid, const T* plane, std::int32_t zero, const std::int16_t* weights,
                std::int64_t out_y, std::int32_t* sums) {
  for (std::int64_t ky = 0; ky < grid.kernel_height; ++ky) {
    const std::int64_t y = grid.row(out_y, ky);
    if (!grid.has_row(y)) continue;
    const T* const line = plane + y * grid.width;
    for (std::int64_t kx = 0; kx < grid.kernel_width; ++kx) {
      const std::int32_t w = weights[ky * grid.kernel_width + kx];
      const std::int64_t last = grid.last_inside(kx), stride = grid.geometry.stride[1];
      for (std::int64_t out_x = grid.first_inside(kx), x = grid.column(out_x, kx); out_x < last; ++out_x, x += stride) {
        sums[out_x] += (line[x] - zero) * w;
      }
    }
  }
}

}  // namespace mq::detail
