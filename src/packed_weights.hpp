// The bytes of packed weights and what they say.
//
// Layout, little-endian, each section at a multiple of 64:
//   header       64 bytes: PackedHeader
//   codes        panels of 16 rows of the weights as kernels/matmul_table.hpp has them; fp8: [k][16] bytes
//   scale        float  [panel][block][16]
//   zero_point   uint8  [panel][block][16], if the header says so
//   column_sums  int32  [panel][block][16]: sum of u - z over the block; integers only
//   outlier_columns  int32 [outliers], ascending: columns of the weights whose codes stand for 0
//   outlier_weights  float [outliers][n]
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "mq/matmul.hpp"

namespace mq::detail {

enum class PackedKind : std::uint32_t { Int8 = 0, Int4 = 1, E4m3 = 2, E5m2 = 3, Kept = 4 };

struct PackedHeader {
  std::array<char, 8> magic;
  std::uint32_t version;
  PackedKind kind;
  std::int64_t n;
  std::int64_t k;
  std::int64_t block;             // elements of k; the last block may be shorter
  std::uint32_t has_zero_points;  // else all are common_zero_point
  std::uint32_t common_zero_point;
  std::uint64_t outliers;
  std::uint64_t unused;
};
static_assert(sizeof(PackedHeader) == 64);

inline constexpr std::array<char, 8> kPackedMagic = {'M', 'Q', 'P', 'A', 'N', 'E', 'L', 'S'};
inline constexpr std::uint32_t kPackedVersion = 1;

// Sizes that follow from a header whose n, k and block are positive and below 2^31.
struct PackedSizes {
  std::size_t panels, blocks, block_octets, octets;
  std::size_t panel_bytes;  // of codes
  std::size_t params;       // elements of scale
  std::size_t scale_offset, zero_point_offset, column_sums_offset, outlier_columns_offset, outlier_weights_offset;
  std::size_t total_bytes;

  PackedSizes() = default;
  explicit PackedSizes(const PackedHeader& header);
};

// Columns of the weights that are multiplied as floats, apart from the rest.
struct Outliers {
  std::span<const std::int32_t> columns;
  const float* weights = nullptr;  // [columns][n]
};

// Weights ready for use. Kept ones have no bytes but the tensor itself.
struct PackedImage {
  PackedHeader header = {};
  PackedSizes sizes = {};
  std::span<const std::byte> bytes;
  std::shared_ptr<const void> owner;
  std::optional<QuantizedTensor> kept;
  Outliers outliers;

  bool is_integer() const { return header.kind == PackedKind::Int8 || header.kind == PackedKind::Int4; }
  const std::uint8_t* codes() const { return section<std::uint8_t>(sizeof(PackedHeader)); }
  const float* scale() const { return section<float>(sizes.scale_offset); }
  const std::uint8_t* zero_point() const {
    return header.has_zero_points != 0 ? section<std::uint8_t>(sizes.zero_point_offset) : nullptr;
  }
  const std::int32_t* column_sums() const { return section<std::int32_t>(sizes.column_sums_offset); }

 private:
  template <class T>
  const T* section(std::size_t offset) const {
    return reinterpret_cast<const T*>(bytes.data() + offset);
  }
};

}  // namespace mq::detail
