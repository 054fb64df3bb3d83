// The half of MatrixReader that knows encodings: how the parts of a quantized tensor are found, read and decoded.
#include <algorithm>
#include <cstring>

#include "mq/pack.hpp"
#include "src/codecs/outliers.hpp"
#include "src/column_groups.hpp"
#include "src/dialects/bitsandbytes.hpp"
#include "src/matrix_reader.hpp"
#include "src/narrow_part.hpp"

namespace mq {
namespace {

// A part's elements per byte position: parts are read through Checkpoint::read, which counts elements.
std::int64_t elements(const TensorInfo& tensor, std::int64_t bytes) {
  const DTypeInfo& type = info(tensor.dtype);
  return bytes / type.block_bytes * type.block_numel;
}

}  // namespace

// The shape of what is encoded.
Shape MatrixReader::encoded_shape() const {
  if (!flat_) return stored_shape();
  const std::int64_t size = std::get<PerGroup>(tensor_.spec->granularity).group_size;
  return {stored_.numel() / size + (stored_.numel() % size != 0 ? 1 : 0), size};
}

void MatrixReader::open_quantized() {
  const QuantSpec& spec = *tensor_.spec;
  const auto find = [&](std::string_view name) -> const StoredPart* {
    for (const StoredPart& part : tensor_.parts) {
      if (part.part == name) return &part;
    }
    return nullptr;
  };
  const StoredPart* codes = find("codes");
  const StoredPart* scale = find("scale");
  const bool packed = codes && codes->form.packing == PartForm::Packing::Along;
  flat_ = groups_cross_rows(tensor_);
  const Shape encoded = encoded_shape();
  codec_ = {.spec = spec,
            .layout = make_block_layout(encoded, flat_ ? matrix_shape(encoded) : stored_, spec.granularity),
            .form = packed ? CodeForm::Packed : CodeForm::Bytes};
  // Decoded on the way, with the levels that the file has.
  if (scale && scale->form.value == PartForm::Value::Nested) codec_.spec.double_quant = false;
  for (const PartInfo& info : codec_of(spec).parts(codec_)) {
    const StoredPart* stored = find(info.name);
    if (!stored) throw Error(ErrorCode::Internal, "a logical tensor lacks its part " + std::string(info.name));
    parts_.push_back(
        {.tensor = stored->tensor, .info = info, .layout = PartLayout(stored->form, part_matrix(info, spec))});
    Part& part = parts_.back();
    if (stored->form.value == PartForm::Value::Nested) {
      part.scales = bitsandbytes::read_nested_scales(checkpoint_, tensor_);
    }
    if (info.tiled) continue;
    part.whole.resize(static_cast<std::size_t>(info.rows * info.row_bytes));
    read_part(part, {0, info.rows, 0, info.row_bytes}, part.whole);
    if (info.name == kOutlierColumns) require_outlier_columns(part);
  }
  if (const StoredPart* groups = find("column_groups")) read_column_groups(groups->tensor);
  if (const StoredPart* zero_point = find("common_zero_point")) require_common_zero_point(*zero_point);
}

void MatrixReader::require_outlier_columns(const Part& part) const {
  std::vector<std::int32_t> columns(part.whole.size() / sizeof(std::int32_t));
  std::memcpy(columns.data(), part.whole.data(), part.whole.size());
  if (are_ascending_columns(columns, codec_.layout.matrix.cols)) return;
  throw Error({.code = ErrorCode::Corrupt,
               .message = "outlier columns that the weight does not have, or out of order",
               .file = checkpoint_.path().string(),
               .tensor = checkpoint_.tensors()[part.tensor].name,
               .expected = "ascending numbers from 0 to " + std::to_string(codec_.layout.matrix.cols - 1),
               .found = std::to_string(columns.front()) + " … " + std::to_string(columns.back())});
}

// Layouts whose symmetric weights have zero points too: all must be the one that the codes have.
void MatrixReader::require_common_zero_point(const StoredPart& part) const {
  const BlockLayout& layout = codec_.layout;
  QuantSpec spec = codec_.spec;
  const PartInfo info{"zero_point", spec.element, layout.grid_rows, layout.grid_cols};
  const Part zero_points{.tensor = part.tensor, .info = info, .layout = PartLayout(part.form, part_matrix(info, spec))};
  std::vector<std::byte> stored(static_cast<std::size_t>(info.rows * info.row_bytes));
  read_part(zero_points, {0, info.rows, 0, info.row_bytes}, stored);
  const int expected = spec.qmin() + (1 << (spec.bits - 1));
  const auto wrong = std::ranges::find_if(
      stored, [&](std::byte value) { return value != static_cast<std::byte>(static_cast<std::uint8_t>(expected)); });
  if (wrong == stored.end()) return;
  throw Error({.code = ErrorCode::Corrupt,
               .message = "zero points against a configuration that says symmetric",
               .file = checkpoint_.path().string(),
               .tensor = checkpoint_.tensors()[part.tensor].name,
               .expected = std::to_string(expected - spec.qmin()) + " everywhere",
               .found = std::to_string(static_cast<std::uint8_t>(std::to_integer<int>(*wrong) - spec.qmin()))});
}

void MatrixReader::read_column_groups(std::size_t tensor) {
  const TensorInfo& stored = checkpoint_.tensors()[tensor];
  std::vector<std::int32_t> groups(static_cast<std::size_t>(stored_.cols));
  checkpoint_.read(tensor, 0, stored_.cols, std::as_writable_bytes(std::span(groups)));
  column_order_ = columns_by_group(groups, codec_.layout.run, stored.name);
}

void MatrixReader::require_runs_of_columns() const {
  if (flat_) {
    throw Error({.code = ErrorCode::Unsupported,
                 .message = "the groups of this weight go on from one row to the next: its codes make sense only with "
                            "them",
                 .file = checkpoint_.path().string(),
                 .tensor = tensor_.info.name,
                 .hint = "its values can be read: dequantize, or quantize them again"});
  }
  if (column_order_.empty()) return;
  throw Error({.code = ErrorCode::Unsupported,
               .message = "the groups of this weight are not runs of columns (act-order): its codes make sense only "
                          "with them",
               .file = checkpoint_.path().string(),
               .tensor = tensor_.info.name,
               .hint = "its values can be read: dequantize, or quantize them again"});
}

void MatrixReader::read_part(const Part& part, const ByteRect& rect, std::span<std::byte> out) const {
  const TensorInfo& stored = checkpoint_.tensors()[part.tensor];
  if (!part.scales.empty()) {
    const auto first = static_cast<std::size_t>(rect.row * part.info.row_bytes);
    std::ranges::copy(std::as_bytes(std::span(part.scales)).subspan(first, out.size()), out.begin());
    return;
  }
  if (stored.dtype == DType::Float64 || stored.dtype == DType::Int64) {
    const std::int64_t per_row = part.info.row_bytes / info(part.info.dtype).block_bytes;
    std::vector<std::byte> wide(static_cast<std::size_t>(bytes_of(stored.dtype, rect.rows * per_row)));
    checkpoint_.read(part.tensor, rect.row * per_row, rect.rows * per_row, wide);
    return narrow_part(stored.dtype, wide, part.info.dtype, out, stored.name);
  }
  const ByteRect from = part.layout.stored(rect);
  const std::int64_t row_bytes = part.layout.stored_row_bytes();
  std::vector<std::byte> bytes;
  std::span<std::byte> to = out;
  if (!part.layout.is_direct()) {
    bytes.resize(static_cast<std::size_t>(from.rows * from.bytes));
    to = bytes;
  }
  const bool whole = from.bytes == row_bytes;
  const std::int64_t reads = whole ? 1 : from.rows;
  std::int64_t each = whole ? from.rows * from.bytes : from.bytes;
  // The last group may be short; what is missing is decoded as zeros, and dropped.
  if (flat_) each = std::min(each, stored.size_bytes() - from.row * row_bytes);
  for (std::int64_t r = 0; r < reads; ++r) {
    checkpoint_.read(part.tensor, elements(stored, (from.row + r) * row_bytes + from.byte), elements(stored, each),
                     to.subspan(static_cast<std::size_t>(r * each), static_cast<std::size_t>(each)));
  }
  if (!part.layout.is_direct()) part.layout.from_stored(rect, bytes, out);
}

ByteRect MatrixReader::part_rect(const Part& part, const Tile& tile) const {
  if (part.info.name != "codes") return {tile.row, tile.rows, 0, part.info.row_bytes};
  if (tile.cols == codec_.layout.matrix.cols) return {tile.row, tile.rows, 0, part.info.row_bytes};
  return {tile.row, tile.rows, code_bytes(codec_, tile.col), code_bytes(codec_, tile.cols)};
}

// Elements [first, first + count) of the flattened weight.
void MatrixReader::decode_run(std::int64_t first, std::int64_t count, float* out, Scratch& scratch) const {
  const std::int64_t size = codec_.layout.matrix.cols;
  const Tile groups{first / size, (first + count + size - 1) / size - first / size, 0, size};
  scratch.blocks.resize(static_cast<std::size_t>(groups.rows * size));
  decode(groups, scratch.blocks.data(), scratch);
  std::copy_n(scratch.blocks.data() + (first - groups.row * size), count, out);
}

void MatrixReader::read_quantized(const Tile& tile, float* out, Scratch& scratch) const {
  if (flat_) {
    return for_each_run(tile, stored_.cols, [&](std::int64_t first, std::int64_t count, std::int64_t at) {
      decode_run(first, count, out + at, scratch);
    });
  }
  const std::int64_t block = info(codec_.spec.element).block_numel;
  if (tile.col % block == 0 && tile.cols % block == 0) return decode(tile, out, scratch);
  // The blocks that the tile cuts, whole; rows are whole blocks, so that these lie inside the matrix.
  Tile whole = tile;
  whole.col -= tile.col % block;
  whole.cols = (tile.col + tile.cols + block - 1) / block * block - whole.col;
  scratch.blocks.resize(static_cast<std::size_t>(whole.rows * whole.cols));
  decode(whole, scratch.blocks.data(), scratch);
  for (std::int64_t r = 0; r < tile.rows; ++r) {
    std::copy_n(scratch.blocks.data() + r * whole.cols + (tile.col - whole.col), tile.cols, out + r * tile.cols);
  }
}

std::vector<std::span<std::byte>> MatrixReader::read_tile(const Tile& tile, Scratch& scratch) const {
  std::size_t total = 0;
  const auto size = [&](const Part& part) {
    const ByteRect rect = part_rect(part, tile);
    return static_cast<std::size_t>(rect.rows * rect.bytes);
  };
  for (const Part& part : parts_) total += part.info.tiled ? size(part) : 0;
  scratch.raw.resize(total);
  scratch.stored = scratch.raw;
  std::vector<std::span<std::byte>> spans;
  std::size_t at = 0;
  for (const Part& part : parts_) {
    if (!part.info.tiled) {
      // Decoders take what they do not change.
      spans.emplace_back(const_cast<std::byte*>(part.whole.data()), part.whole.size());
      continue;
    }
    spans.push_back(std::span(scratch.raw).subspan(at, size(part)));
    at += spans.back().size();
    const ByteRect rect = part_rect(part, tile);
    for_each_stored_rows(tile, true, [&](std::int64_t row, std::int64_t first, std::int64_t rows) {
      const auto bytes = [&](std::int64_t n) { return static_cast<std::size_t>(n * rect.bytes); };
      read_part(part, {row, rows, rect.byte, rect.bytes}, spans.back().subspan(bytes(first), bytes(rows)));
    });
  }
  return spans;
}

void MatrixReader::decode(const Tile& tile, float* out, Scratch& scratch) const {
  if (!column_order_.empty()) return decode_reordered(tile, out, scratch);
  const std::vector<std::span<std::byte>> spans = read_tile(tile, scratch);
  const std::vector<std::span<const std::byte>> parts(spans.begin(), spans.end());
  codec_of(codec_.spec).decode(codec_, tile, parts, out);
}

// The codes of whole rows are put together group by group, decoded, and the values put back.
void MatrixReader::decode_reordered(const Tile& tile, float* out, Scratch& scratch) const {
  const Tile rows{tile.row, tile.rows, 0, stored_.cols};
  const std::vector<std::span<std::byte>> spans = read_tile(rows, scratch);
  const std::vector<std::byte> codes = in_bytes(spans.front(), rows);
  std::vector<std::byte> grouped(codes.size());
  const auto cols = static_cast<std::size_t>(stored_.cols);
  for (std::size_t at = 0; at < codes.size(); at += cols) {
    for (std::size_t c = 0; c < cols; ++c) grouped[at + c] = codes[at + static_cast<std::size_t>(column_order_[c])];
  }
  std::vector<std::span<const std::byte>> parts(spans.begin(), spans.end());
  parts.front() = grouped;
  CodecRequest loose = codec_;
  loose.form = CodeForm::Bytes;
  std::vector<float> values(codes.size());
  codec_of(codec_.spec).decode(loose, rows, parts, values.data());
  for (std::size_t r = 0; r < static_cast<std::size_t>(tile.rows); ++r) {
    for (std::size_t c = 0; c < cols; ++c) {
      const std::int64_t col = column_order_[c] - tile.col;
      if (col >= 0 && col < tile.cols) out[static_cast<std::int64_t>(r) * tile.cols + col] = values[r * cols + c];
    }
  }
}

std::vector<std::span<std::byte>> MatrixReader::read_parts(const Tile& tile, CodeForm form, Scratch& scratch) const {
  require_runs_of_columns();
  std::vector<std::span<std::byte>> spans = read_tile(tile, scratch);
  if (form == codec_.form) return spans;
  if (form == CodeForm::Bytes) {
    scratch.codes = in_bytes(spans.front(), tile);
  } else {
    const auto offset = static_cast<std::uint8_t>(codec_.spec.qmin());
    std::vector<std::uint8_t> codes(spans.front().size());
    std::transform(spans.front().begin(), spans.front().end(), codes.begin(), [&](std::byte code) {
      return static_cast<std::uint8_t>(std::to_integer<std::uint8_t>(code) - offset);
    });
    scratch.codes.resize(static_cast<std::size_t>(tile.rows * packed_row_bytes(tile.cols, codec_.spec.bits)));
    pack_bits(codes, tile.cols, codec_.spec.bits,
              {reinterpret_cast<std::uint8_t*>(scratch.codes.data()), scratch.codes.size()});
  }
  spans.front() = scratch.codes;
  return spans;
}

QuantizedTensor MatrixReader::load() const {
  require_runs_of_columns();
  std::vector<QuantizedTensor::Part> parts;
  for (const Part& part : parts_) {
    std::vector<std::byte> stored = part.whole;
    if (part.info.tiled) {
      stored.resize(static_cast<std::size_t>(part.info.rows * part.info.row_bytes));
      read_part(part, {0, part.info.rows, 0, part.info.row_bytes}, stored);
    }
    const std::int64_t items = part.info.row_bytes / info(part.info.dtype).block_bytes;
    Shape shape{part.info.rows, items};
    DType dtype = part.info.dtype;
    if (part.info.name == "codes") {
      shape = stored_shape();
      dtype = codec_.spec.element;
      stored = in_bytes(stored, {0, stored_.rows, 0, stored_.cols});
    }
    Buffer bytes(stored.size());
    if (!stored.empty()) std::memcpy(bytes.data(), stored.data(), stored.size());
    parts.push_back({std::string(part.info.name), Tensor(dtype, std::move(shape), std::move(bytes))});
  }
  return QuantizedTensor(codec_.spec, stored_shape(), std::move(parts));
}

// The codes of a tile one per byte.
std::vector<std::byte> MatrixReader::in_bytes(std::span<const std::byte> codes, const Tile& tile) const {
  if (codec_.form == CodeForm::Bytes) return {codes.begin(), codes.end()};
  std::vector<std::byte> loose(static_cast<std::size_t>(tile.rows * tile.cols));
  unpack_bits({reinterpret_cast<const std::uint8_t*>(codes.data()), codes.size()}, tile.cols, codec_.spec.bits,
              {reinterpret_cast<std::uint8_t*>(loose.data()), loose.size()});
  for (std::byte& code : loose) code = static_cast<std::byte>(std::to_integer<int>(code) + codec_.spec.qmin());
  return loose;
}

}  // namespace mq
