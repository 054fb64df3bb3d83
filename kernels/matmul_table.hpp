// The products of activations and packed weights: one table per instruction set, beside the kernel table, because more
// sets have instructions of their own for them.
//
// y[m][n] = x_scale[m] * total[m][n] + bias[n] (floats: without x_scale), where the blocks of k are added in order:
//   integers   total = fma(float(D), scale[block][n], total),  D = sum over the block of (u - z) * (x - x_zero), exact
//   floats     total = fma(t, scale[block][n], total),         t = fma(x[k], w[k][n], t) in the order of k, from 0
// total starts at +0; then multiplication and addition, each rounded. So results do not depend on the
// instruction set, the rows computed together or the cut into panels.
//
// Layout of weights: panels of 16 columns, zero-padded. In a panel k goes in octets, each block of k padded with zeros
// to whole ones:
//   8 bits   an octet is 128 bytes: k 0..3 of column 0, k 0..3 of column 1, ... 15, then k 4..7 of columns 0..15
//   4 bits   an octet is 64 bytes: the low nibbles are the first half of the above, the high nibbles the second
//   floats   [k][16]
// Scales, zero points and column sums are [panel][block][16]. Packed activations hold a tile of rows: [quad of k][row]
// of 4 bytes, or [k][row] of floats, padded as the weights are.
//
// Kernels are noexcept, never allocate, never thread, accept any alignment, and give the bits of the reference table.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mq::kernels {

inline constexpr std::size_t kPanelColumns = 16;
inline constexpr std::size_t kOctet = 8;
// Sums of a block of at most this many products of values below 256 in magnitude fit 32 bits with a sign.
inline constexpr std::size_t kMaxBlock = 32768;

// What both products have. The blocks are equally long but for the last.
struct ProductShape {
  std::size_t rows;           // of the tile, 1..tile_rows
  std::size_t panels;         // from the first given
  std::size_t octets;         // of k
  std::size_t block_octets;   // of a block
  std::size_t columns;        // of y; at most 16 * panels, more than 16 * (panels - 1)
  const float* scale;         // of the first panel
  std::size_t params_stride;  // elements between the parameters of panels: 16 * blocks
  const float* bias;          // [columns], or null
  float* y;
  std::size_t y_stride;  // elements between rows
  // What the caller reads next, to be brought nearer meanwhile: a line at prefetch + i * prefetch_step for the i-th
  // quad of k (integers) or the i-th k (floats). Any address.
  const void* prefetch;
  std::size_t prefetch_step;  // bytes
};

struct IntegerProduct {
  ProductShape shape;
  const std::uint8_t* codes;  // of the first panel
  std::size_t panel_bytes;    // between panels
  // Null: the sums below bring in the zero point. Else one for each scale.
  const std::uint8_t* zero_point;
  const std::int32_t* column_sums;  // sum of u - z; one for each scale. Read only if x_zero is given.
  const std::int8_t* x;
  // [block][row]: the sum of the block's codes of x if zero_point is given; else -(z - b) times it, with z the zero
  // point of all weights and b code_bias_8 of the table for 8 bits, 0 for 4.
  const std::int32_t* sums;
  const float* x_scale;        // [row]
  const std::int32_t* x_zero;  // [row], or null
};

struct FloatProduct {
  ProductShape shape;
  const float* weights;     // of the first panel
  std::size_t panel_numel;  // between panels
  const float* x;
};

// The same with integer codes, which become floats on the way.
struct CodedProduct {
  ProductShape shape;
  const std::uint8_t* codes;       // of the first panel
  std::size_t panel_bytes;         // between panels
  const std::uint8_t* zero_point;  // null: all zero_point_of_all; else one for each scale
  float zero_point_of_all;
  const float* x;
};

// Rows to pack. Blocks of k are padded with zeros to whole octets.
struct RowsToPack {
  std::size_t rows;
  std::size_t row_stride;  // elements
  std::size_t k;
  std::size_t block;  // elements of k in a block; the last may be shorter
};

struct MatmulTable {
  const char* name;
  std::uint32_t required_features;
  std::size_t tile_rows;     // rows of a tile at most
  std::size_t group_panels;  // panels that are multiplied at a time
  std::int32_t code_bias_8;

  // factor: what the sums are multiplied by.
  void (*pack_codes)(const RowsToPack& what, const std::int8_t* x, std::int32_t factor, std::int8_t* packed,
                     std::int32_t* sums) noexcept;
  void (*pack_floats)(const RowsToPack& what, const float* x, float* packed) noexcept;

  void (*multiply_8)(const IntegerProduct& p) noexcept;
  void (*multiply_4)(const IntegerProduct& p) noexcept;
  void (*multiply_float)(const FloatProduct& p) noexcept;
  // What multiply_float gives for the panels that floats_of_8 and floats_of_4 make.
  void (*multiply_float_8)(const CodedProduct& p) noexcept;
  void (*multiply_float_4)(const CodedProduct& p) noexcept;

  // A panel of 4 bits as one of 8.
  void (*expand_4)(const std::uint8_t* codes, std::size_t octets, std::uint8_t* out) noexcept;
  // A panel as floats u - z, with zero points of its blocks (null: all zero_point_of_all).
  void (*floats_of_8)(const std::uint8_t* codes, std::size_t octets, std::size_t block_octets,
                      const std::uint8_t* zero_point, float zero_point_of_all, float* out) noexcept;
  void (*floats_of_4)(const std::uint8_t* codes, std::size_t octets, std::size_t block_octets,
                      const std::uint8_t* zero_point, float zero_point_of_all, float* out) noexcept;
};

}  // namespace mq::kernels
