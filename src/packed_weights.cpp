#include "src/packed_weights.hpp"

#include <bit>
#include <cstring>
#include <limits>
#include <string>
#include <utility>

#include "kernels/matmul_table.hpp"
#include "src/codecs/outliers.hpp"

namespace mq {
namespace detail {
namespace {

static_assert(std::endian::native == std::endian::little);

std::size_t aligned(std::size_t offset) {
  return (offset + 63) / 64 * 64;
}

}  // namespace

PackedSizes::PackedSizes(const PackedHeader& header) {
  const auto n = static_cast<std::size_t>(header.n), k = static_cast<std::size_t>(header.k);
  const auto block = static_cast<std::size_t>(header.block);
  constexpr std::size_t kOctet = kernels::kOctet, kColumns = kernels::kPanelColumns;
  panels = (n + kColumns - 1) / kColumns;
  blocks = (k + block - 1) / block;
  block_octets = (block + kOctet - 1) / kOctet;
  octets = (blocks - 1) * block_octets + (k - (blocks - 1) * block + kOctet - 1) / kOctet;
  panel_bytes = octets * kOctet * kColumns / (header.kind == PackedKind::Int4 ? 2 : 1);
  params = panels * blocks * kColumns;
  const bool is_integer = header.kind == PackedKind::Int8 || header.kind == PackedKind::Int4;
  scale_offset = aligned(sizeof(PackedHeader) + panels * panel_bytes);
  zero_point_offset = aligned(scale_offset + params * sizeof(float));
  column_sums_offset = aligned(zero_point_offset + (header.has_zero_points != 0 ? params : 0));
  outlier_columns_offset = aligned(column_sums_offset + (is_integer ? params * sizeof(std::int32_t) : 0));
  const auto outliers = static_cast<std::size_t>(header.outliers);
  outlier_weights_offset = aligned(outlier_columns_offset + outliers * sizeof(std::int32_t));
  total_bytes = aligned(outlier_weights_offset + outliers * n * sizeof(float));
}

}  // namespace detail

namespace {

using detail::PackedHeader;
using detail::PackedKind;

[[noreturn]] void corrupt(std::string message, std::string expected, std::string found) {
  throw Error({.code = ErrorCode::Corrupt,
               .message = "packed weights: " + std::move(message),
               .expected = std::move(expected),
               .found = std::move(found)});
}

void require_size(std::string_view name, std::int64_t value) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
  if (value >= 1 && value <= kMost) return;
  corrupt(std::string(name) + " is out of range", "1 to " + std::to_string(kMost), std::to_string(value));
}

void require_header(const PackedHeader& header) {
  if (header.magic != detail::kPackedMagic) corrupt("they do not begin as such", "MQPANELS", "other bytes");
  if (header.version != detail::kPackedVersion) {
    throw Error({.code = ErrorCode::Unsupported,
                 .message = "packed weights of another version",
                 .expected = std::to_string(detail::kPackedVersion),
                 .found = std::to_string(header.version),
                 .hint = "pack them again with pack_for_matmul"});
  }
  if (header.kind >= PackedKind::Kept) {
    corrupt("unknown kind", "0 to 3", std::to_string(static_cast<std::uint32_t>(header.kind)));
  }
  require_size("n", header.n);
  require_size("k", header.k);
  require_size("block", header.block);
  constexpr std::int64_t kMostWeights = std::int64_t{1} << 44;
  if (header.n * header.k > kMostWeights) {
    corrupt("n times k is out of range", "at most " + std::to_string(kMostWeights),
            std::to_string(header.n * header.k));
  }
  const bool is_float = header.kind == PackedKind::E4m3 || header.kind == PackedKind::E5m2;
  if (header.has_zero_points > (is_float ? 0u : 1u) || header.common_zero_point > 255) {
    corrupt("zero points that do not exist", "0 to 255", std::to_string(header.common_zero_point));
  }
  if (header.block > header.k || header.block > static_cast<std::int64_t>(kernels::kMaxBlock)) {
    corrupt("the block is too long", "at most " + std::to_string(kernels::kMaxBlock) + " and k",
            std::to_string(header.block));
  }
  if (header.outliers >= (is_float ? 1u : static_cast<std::uint64_t>(header.k))) {
    corrupt("too many outlier columns", is_float ? "none" : "fewer than " + std::to_string(header.k),
            std::to_string(header.outliers));
  }
}

detail::Outliers outliers_in(std::span<const std::byte> bytes, const detail::PackedSizes& sizes,
                             const PackedHeader& header) {
  const auto* const columns = reinterpret_cast<const std::int32_t*>(bytes.data() + sizes.outlier_columns_offset);
  const detail::Outliers outliers = {{columns, static_cast<std::size_t>(header.outliers)},
                                     reinterpret_cast<const float*>(bytes.data() + sizes.outlier_weights_offset)};
  if (!are_ascending_columns(outliers.columns, header.k)) {
    corrupt("outlier columns", "ascending numbers below " + std::to_string(header.k), "others");
  }
  return outliers;
}

}  // namespace

std::int64_t PackedWeights::n() const noexcept {
  return image_->header.n;
}
std::int64_t PackedWeights::k() const noexcept {
  return image_->header.k;
}
std::span<const std::byte> PackedWeights::bytes() const noexcept {
  return image_->bytes;
}

PackedWeights open_packed_weights(std::span<const std::byte> bytes, std::shared_ptr<const void> owner) {
  if (reinterpret_cast<std::uintptr_t>(bytes.data()) % 64 != 0) {
    throw Error(ErrorCode::Usage, "packed weights must begin at a multiple of 64");
  }
  auto image = std::make_shared<detail::PackedImage>();
  if (bytes.size() < sizeof(PackedHeader)) {
    corrupt("too short", "at least 64 bytes", std::to_string(bytes.size()) + " bytes");
  }
  std::memcpy(&image->header, bytes.data(), sizeof(PackedHeader));
  require_header(image->header);
  image->sizes = detail::PackedSizes(image->header);
  if (bytes.size() != image->sizes.total_bytes) {
    corrupt("of another size than they say", std::to_string(image->sizes.total_bytes) + " bytes",
            std::to_string(bytes.size()) + " bytes");
  }
  image->outliers = outliers_in(bytes, image->sizes, image->header);
  image->bytes = bytes;
  image->owner = std::move(owner);
  return PackedWeights(std::move(image));
}

}  // namespace mq
