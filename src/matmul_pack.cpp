// From a quantized tensor to packed weights.
#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "kernels/matmul_table.hpp"
#include "src/active_table.hpp"
#include "src/codecs/outliers.hpp"
#include "src/packed_weights.hpp"
#include "src/quantized_rows.hpp"

namespace mq {
namespace {

using detail::PackedHeader;
using detail::PackedImage;
using detail::PackedKind;

constexpr std::int64_t kColumns = kernels::kPanelColumns;
// Shorter runs would be mostly padding.
constexpr std::int64_t kShortestRun = 16;

// Reads codes and parameters of a tensor that has them one per byte and block.
struct Source {
  const QuantizedTensor& tensor;
  const BlockLayout& layout;
  QParams params;
  std::span<const std::byte> codes;
  std::int32_t qmin = 0;  // 0 for fp8

  Source(const QuantizedTensor& from, const BlockLayout& blocks)
      : tensor(from), layout(blocks), params(from.qparams()), codes(from.codes().bytes()) {
    if (from.spec().is_integer()) qmin = from.spec().qmin();
  }

  // The stored byte as it is packed: unsigned from 0 on.
  std::int32_t code(std::int64_t row, std::int64_t col) const {
    const auto byte = static_cast<std::uint8_t>(codes[static_cast<std::size_t>(row * layout.matrix.cols + col)]);
    return (tensor.spec().element == DType::Int8 ? static_cast<std::int8_t>(byte) : byte) - qmin;
  }
  std::size_t block_of(std::int64_t row, std::int64_t col) const {
    return static_cast<std::size_t>(layout.block_of(row, col));
  }
  std::int32_t zero_point(std::size_t block) const {
    return params.zero_points.empty() ? -qmin : params.zero_points[block] - qmin;
  }

  // Whether codes and zero points are such as their encoding makes, so that they fit their packed form.
  bool in_range() const {
    if (!tensor.spec().is_integer()) return true;
    const std::int32_t most = (1 << tensor.spec().bits) - 1;
    for (std::int64_t r = 0; r < layout.matrix.rows; ++r) {
      for (std::int64_t c = 0; c < layout.matrix.cols; ++c) {
        if (code(r, c) < 0 || code(r, c) > most) return false;
      }
    }
    return std::all_of(params.zero_points.begin(), params.zero_points.end(),
                       [&](std::int32_t z) { return z - qmin >= 0 && z - qmin <= 255; });
  }
};

// Columns of outliers, and what the weights have in them: [columns][rows].
struct Columns {
  std::vector<std::int32_t> indices;
  std::vector<float> weights;
};

Columns outliers_of(const QuantizedTensor& tensor, const MatrixShape& matrix) {
  Columns found;
  if (tensor.spec().outliers == 0) return found;
  const auto indices = tensor.find(kOutlierColumns)->as<std::int32_t>();
  if (!are_ascending_columns(indices, matrix.cols)) {
    throw Error({.code = ErrorCode::Usage,
                 .message = "a quantized tensor has outlier columns that do not exist, or out of order",
                 .expected = "ascending numbers below " + std::to_string(matrix.cols)});
  }
  found.indices.assign(indices.begin(), indices.end());
  const auto halves = tensor.find(kOutlierWeight)->as<std::uint16_t>();
  std::vector<float> rows(halves.size());
  active_table().f16_to_f32(halves.data(), halves.size(), rows.data());
  found.weights.resize(rows.size());
  const std::size_t count = indices.size(), n = static_cast<std::size_t>(matrix.rows);
  for (std::size_t i = 0; i < rows.size(); ++i) found.weights[i % count * n + i / count] = rows[i];
  return found;
}

// The codes, which stand for 0 in the columns of outliers.
QuantizedTensor integers_of(const QuantizedTensor& tensor) {
  if (tensor.spec().outliers == 0) return tensor;
  std::vector<QuantizedTensor::Part> parts(tensor.parts().begin(), tensor.parts().end());
  std::erase_if(parts, [](const auto& part) { return part.name == kOutlierColumns || part.name == kOutlierWeight; });
  return {spec_beside_outliers(tensor.spec()), tensor.shape(), std::move(parts)};
}

std::optional<PackedKind> kind_of(const QuantSpec& spec) {
  if (spec.is_integer()) return spec.bits <= 4 ? PackedKind::Int4 : PackedKind::Int8;
  if (spec.codec != "fp8") return std::nullopt;
  if (spec.element == DType::Float8E4M3FN) return PackedKind::E4m3;
  return spec.element == DType::Float8E5M2 ? std::optional(PackedKind::E5m2) : std::nullopt;
}

// Elements of k with one scale; 0 if that does not suit panels.
std::int64_t block_length(const BlockLayout& layout) {
  constexpr auto kMost = static_cast<std::int64_t>(kernels::kMaxBlock);
  const std::int64_t cols = layout.matrix.cols;
  if (layout.run >= cols) return std::min(cols, kMost);
  return layout.run < kShortestRun || layout.run > kMost ? 0 : layout.run;
}

class Packer {
 public:
  Packer(const Source& source, const Columns& outliers, PackedHeader header)
      : source_(source), outliers_(outliers), header_(header), sizes_(header) {
    bytes_ = Buffer(sizes_.total_bytes);
    std::memset(bytes_.data(), 0, bytes_.size());
    std::memcpy(bytes_.data(), &header_, sizeof header_);
  }

  Buffer pack() {
    for (std::int64_t n = 0; n < header_.n; ++n) {
      for (std::size_t b = 0; b < sizes_.blocks; ++b) pack_block(n, static_cast<std::int64_t>(b));
    }
    std::ranges::copy(outliers_.indices, section<std::int32_t>(sizes_.outlier_columns_offset));
    std::ranges::copy(outliers_.weights, section<float>(sizes_.outlier_weights_offset));
    return std::move(bytes_);
  }

 private:
  void pack_block(std::int64_t n, std::int64_t b) {
    const std::int64_t begin = b * header_.block, end = std::min(begin + header_.block, header_.k);
    const std::size_t block = source_.block_of(n, begin);
    const auto panel = static_cast<std::size_t>(n / kColumns), column = static_cast<std::size_t>(n % kColumns);
    const std::size_t at = (panel * sizes_.blocks + static_cast<std::size_t>(b)) * kColumns + column;
    section<float>(sizes_.scale_offset)[at] = source_.params.scales[block];
    const std::int32_t zero = source_.zero_point(block);
    auto* const codes = section<std::uint8_t>(sizeof(PackedHeader)) + panel * sizes_.panel_bytes;
    const std::size_t first = static_cast<std::size_t>(b) * sizes_.block_octets * kernels::kOctet;
    std::int32_t sum = 0;
    for (std::int64_t k = begin; k < end; ++k) {
      const std::int32_t u = source_.code(n, k);
      sum += u - zero;
      put(codes, first + static_cast<std::size_t>(k - begin), column, static_cast<std::uint8_t>(u));
    }
    if (header_.has_zero_points != 0) {
      section<std::uint8_t>(sizes_.zero_point_offset)[at] = static_cast<std::uint8_t>(zero);
    }
    if (header_.kind == PackedKind::Int8 || header_.kind == PackedKind::Int4) {
      section<std::int32_t>(sizes_.column_sums_offset)[at] = sum;
    }
  }

  // k counts padding too.
  void put(std::uint8_t* panel, std::size_t k, std::size_t column, std::uint8_t code) const {
    const std::size_t octet = k / 8, half = k / 4 % 2, lane = column * 4 + k % 4;
    if (header_.kind == PackedKind::Int8) {
      panel[octet * 128 + half * 64 + lane] = code;
    } else if (header_.kind == PackedKind::Int4) {
      std::uint8_t& byte = panel[octet * 64 + lane];
      byte = static_cast<std::uint8_t>(byte | code << (4 * half));
    } else {
      panel[k * kColumns + column] = code;
    }
  }

  template <class T>
  T* section(std::size_t offset) {
    return reinterpret_cast<T*>(bytes_.data() + offset);
  }

  const Source& source_;
  const Columns& outliers_;
  PackedHeader header_;
  detail::PackedSizes sizes_;
  Buffer bytes_;
};

// The header of the packed form, if there is one for the tensor.
std::optional<PackedHeader> header_for(const QuantizedTensor& tensor, const BlockLayout& layout) {
  const std::optional<PackedKind> kind = kind_of(tensor.spec());
  if (!kind || layout.matrix.numel() == 0) return std::nullopt;
  const std::int64_t block = block_length(layout);
  if (block == 0 || !Source(tensor, layout).in_range()) return std::nullopt;
  const bool asymmetric = tensor.spec().mapping == Mapping::Asymmetric;
  PackedHeader header = {};
  header.magic = detail::kPackedMagic;
  header.version = detail::kPackedVersion;
  header.kind = *kind;
  header.n = layout.matrix.rows;
  header.k = layout.matrix.cols;
  header.block = block;
  header.has_zero_points = asymmetric ? 1 : 0;
  if (!asymmetric && tensor.spec().is_integer()) header.common_zero_point = 1u << (tensor.spec().bits - 1);
  return header;
}

}  // namespace

PackedWeights pack_for_matmul(const QuantizedTensor& weights) {
  const BlockLayout layout = QuantizedRows(weights).layout();
  const QuantizedTensor codes = integers_of(weights);
  auto outliers = std::make_shared<const Columns>(outliers_of(weights, layout.matrix));
  if (std::optional<PackedHeader> header = header_for(codes, layout)) {
    header->outliers = outliers->indices.size();
    const Source source(codes, layout);
    const auto bytes = std::make_shared<const Buffer>(Packer(source, *outliers, *header).pack());
    return open_packed_weights(bytes->span(), bytes);
  }
  auto image = std::make_shared<PackedImage>();
  image->header.kind = PackedKind::Kept;
  image->header.n = layout.matrix.rows;
  image->header.k = layout.matrix.cols;
  image->kept = codes;
  image->outliers = {outliers->indices, outliers->weights.data()};
  image->owner = std::move(outliers);
  return PackedWeights(std::move(image));
}

}  // namespace mq
