// Where the elements of a kernel fall in an image: pixels gathered into rows, and sums of them.
#pragma once

#include <algorithm>
#include <cmath>
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
    return missing <= 0 ? 0 : std::min(out_width, steps(missing + stride - 1));
  }
  std::int64_t last_inside(std::int64_t kernel) const {
    const std::int64_t room = width - 1 - column(0, kernel);
    return room < 0 ? 0 : std::min(out_width, steps(room) + 1);
  }

 private:
  // Whole strides in so many columns. Divisions would take longer than the pixels of a short row.
  std::int64_t steps(std::int64_t columns) const {
    return geometry.stride[1] == 1 ? columns : columns / geometry.stride[1];
  }
};

// The pixels under a kernel that is inside the image, whose first is at `first`.
template <class T>
T* copy_window(const PixelGrid& grid, const T* first, std::int64_t channels, T* to) {
  const std::int64_t across = grid.geometry.dilation[1], down = grid.geometry.dilation[0] * grid.width;
  for (std::int64_t c = 0; c < channels; ++c, first += grid.height * grid.width) {
    const T* line = first;
    for (std::int64_t ky = 0; ky < grid.kernel_height; ++ky, line += down) {
      const T* pixel = line;
      for (std::int64_t kx = 0; kx < grid.kernel_width; ++kx, pixel += across) *to++ = *pixel;
    }
  }
  return to;
}

// The same of a kernel that is not, whose first pixel would be in row `top` and column `left`.
template <class T>
T* copy_edge(const PixelGrid& grid, const T* planes, std::int64_t channels, std::int64_t top, std::int64_t left,
             T outside, T* to) {
  for (std::int64_t c = 0; c < channels; ++c) {
    for (std::int64_t ky = 0; ky < grid.kernel_height; ++ky) {
      const std::int64_t y = top + ky * grid.geometry.dilation[0];
      const T* const line = grid.has_row(y) ? planes + (c * grid.height + y) * grid.width : nullptr;
      for (std::int64_t kx = 0; kx < grid.kernel_width; ++kx) {
        const std::int64_t x = left + kx * grid.geometry.dilation[1];
        *to++ = line != nullptr && x >= 0 && x < grid.width ? line[x] : outside;
      }
    }
  }
  return to;
}

// For each of the output positions [first, first + count) the pixels it sees, in the order of the weights: channel,
// row, column.
template <class T>
void gather_pixels(const PixelGrid& grid, const T* planes, std::int64_t channels, std::int64_t first,
                   std::int64_t count, T outside, T* rows) {
  for (std::int64_t position = first; position < first + count; ++position) {
    const std::int64_t out_y = position / grid.out_width, out_x = position % grid.out_width;
    const std::int64_t top = grid.row(out_y, 0), left = grid.column(out_x, 0);
    const bool inside = top >= 0 && left >= 0 && grid.row(out_y, grid.kernel_height - 1) < grid.height &&
                        grid.column(out_x, grid.kernel_width - 1) < grid.width;
    rows = inside ? copy_window(grid, planes + top * grid.width + left, channels, rows)
                  : copy_edge(grid, planes, channels, top, left, outside, rows);
  }
}

// Calls add(output column, pixel) along one row of the output for what one element of the kernel sees of a row of the
// image; where that is outside, if pads, with a pixel of 0. Sums of neighbours do not wait for each other, so steps of
// 1 become vectors.
template <bool kPads, class T, class Add>
void for_each_pixel(const PixelGrid& grid, const T* line, std::int64_t kernel_column, Add&& add) {
  const std::int64_t first = grid.first_inside(kernel_column), last = grid.last_inside(kernel_column);
  const std::int64_t stride = grid.geometry.stride[1], shift = grid.column(0, kernel_column);
  for (std::int64_t out = 0; kPads && out < std::min(first, grid.out_width); ++out) add(out, T{});
  if (stride == 1) {
    for (std::int64_t out = first; out < last; ++out) add(out, line[out + shift]);
  } else {
    for (std::int64_t out = first; out < last; ++out) add(out, line[out * stride + shift]);
  }
  for (std::int64_t out = std::max(first, last); kPads && out < grid.out_width; ++out) add(out, T{});
}

// Adds (pixel - zero) * weight over one channel to the sums of a row of the output.
template <class T>
void add_pixels(const PixelGrid& grid, const T* plane, std::int32_t zero, const std::int16_t* weights,
                std::int64_t out_y, std::int32_t* sums) {
  for (std::int64_t ky = 0; ky < grid.kernel_height; ++ky) {
    const std::int64_t y = grid.row(out_y, ky);
    if (!grid.has_row(y)) continue;
    for (std::int64_t kx = 0; kx < grid.kernel_width; ++kx) {
      const std::int16_t w = weights[ky * grid.kernel_width + kx];
      for_each_pixel<false>(grid, plane + y * grid.width, kx, [sums, zero, w](std::int64_t out, T pixel) {
        // Factors of 16 bits: there are instructions for their products.
        sums[out] += static_cast<std::int16_t>(pixel - zero) * w;
      });
    }
  }
}

// The same of floats, in the order and with the roundings of mq/matmul.hpp: padding counts as pixels of 0.
inline void add_pixels(const PixelGrid& grid, const float* plane, const std::int16_t* weights, std::int64_t out_y,
                       float* sums) {
  for (std::int64_t ky = 0; ky < grid.kernel_height; ++ky) {
    const std::int64_t y = grid.row(out_y, ky);
    for (std::int64_t kx = 0; kx < grid.kernel_width; ++kx) {
      const auto w = static_cast<float>(weights[ky * grid.kernel_width + kx]);
      const auto add = [sums, w](std::int64_t out, float pixel) { sums[out] = std::fma(pixel, w, sums[out]); };
      if (grid.has_row(y)) {
        for_each_pixel<true>(grid, plane + y * grid.width, kx, add);
      } else {
        for (std::int64_t out = 0; out < grid.out_width; ++out) add(out, 0.0f);
      }
    }
  }
}

}  // namespace mq::detail
