#include "src/matrix_reader.hpp"

#include <algorithm>
#include <cstring>

#include "mq/pack.hpp"
#include "src/float_rows.hpp"
#include "src/narrow_part.hpp"
#include "src/pack_down.hpp"

namespace mq {
namespace {

// A part's elements per byte position: parts are read through Checkpoint::read, which counts elements.
std::int64_t elements(const TensorInfo& tensor, std::int64_t bytes) {
  const DTypeInfo& type = info(tensor.dtype);
  return bytes / type.block_bytes * type.block_numel;
}

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

}  // namespace

MatrixReader::MatrixReader(const Checkpoint& checkpoint, const LogicalTensor& tensor, bool transposed)
    : checkpoint_(checkpoint), tensor_(tensor), transposed_(transposed != tensor.transposed), order_(0, 0) {
  const TensorInfo& info = tensor.info;
  stored_ = matrix_shape(stored_shape(), tensor.leading_dims);
  if (tensor.interleaved_heads != 0) order_ = {stored_.rows, tensor.interleaved_heads};
  shape_ = transposed_ ? MatrixShape{stored_.cols, stored_.rows} : stored_;
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
  Shape shape = tensor_.info.shape;
  if (tensor_.transposed) std::swap(shape.front(), shape.back());
  return shape;
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
  codec_ = {.spec = spec,
            .layout = make_block_layout(stored_shape(), stored_, spec.granularity),
            .form = codes && codes->packed ? CodeForm::Packed : CodeForm::Bytes};
  for (const PartInfo& info : codec_of(spec).parts(codec_)) {
    const StoredPart* stored = find(info.name);
    if (!stored) throw Error(ErrorCode::Internal, "a logical tensor lacks its part " + std::string(info.name));
    Part part{.tensor = stored->tensor, .info = info, .packed_down = info.name != "codes" && stored->packed};
    if (!info.tiled) {
      part.whole.resize(static_cast<std::size_t>(info.rows * info.row_bytes));
      read_part_rows(part, 0, info.rows, part.whole);
    }
    parts_.push_back(std::move(part));
  }
}

void MatrixReader::read_part_rows(const Part& part, std::int64_t row, std::int64_t rows,
                                  std::span<std::byte> out) const {
  const TensorInfo& stored = checkpoint_.tensors()[part.tensor];
  if (part.info.name != "codes" && stored.dtype != part.info.dtype && !part.packed_down) {
    const std::int64_t per_row = part.info.row_bytes / info(part.info.dtype).block_bytes;
    std::vector<std::byte> wide(static_cast<std::size_t>(bytes_of(stored.dtype, rows * per_row)));
    checkpoint_.read(part.tensor, row * per_row, rows * per_row, wide);
    return narrow_part(stored.dtype, wide, part.info.dtype, out, stored.name);
  }
  if (!part.packed_down) {
    checkpoint_.read(part.tensor, elements(stored, row * part.info.row_bytes),
                     elements(stored, rows * part.info.row_bytes), out);
    return;
  }
  const int bits = codec_.spec.bits;
  const std::int64_t cols = part.info.row_bytes;  // one byte per zero point
  const std::int64_t first_word = row * bits / 32;
  const std::int64_t words = ((row + rows) * bits + 31) / 32 - first_word;
  std::vector<std::uint32_t> packed(static_cast<std::size_t>(words * cols));
  checkpoint_.read(part.tensor, first_word * cols, words * cols, std::as_writable_bytes(std::span(packed)));
  unpack_down(packed, row, cols, bits, codec_.spec.qmin(), {reinterpret_cast<std::uint8_t*>(out.data()), out.size()});
}

template <class F>
void MatrixReader::for_each_stored_rows(const Tile& tile, bool whole_rows, F&& read) const {
  if (whole_rows && !order_.changes()) return read(tile.row, std::int64_t{0}, tile.rows);
  for (std::int64_t r = 0; r < tile.rows; ++r) read(order_.target(tile.row + r), r, std::int64_t{1});
}

void MatrixReader::read_codes(const Part& part, const Tile& tile, std::span<std::byte> out) const {
  const TensorInfo& stored = checkpoint_.tensors()[part.tensor];
  const bool whole = tile.cols == stored_.cols;
  const std::int64_t first = whole ? 0 : code_bytes(codec_, tile.col);
  const std::int64_t count = whole ? part.info.row_bytes : code_bytes(codec_, tile.cols);
  for_each_stored_rows(tile, whole, [&](std::int64_t row, std::int64_t at, std::int64_t rows) {
    checkpoint_.read(part.tensor, elements(stored, row * part.info.row_bytes + first), elements(stored, rows * count),
                     out.subspan(static_cast<std::size_t>(at * count), static_cast<std::size_t>(rows * count)));
  });
}

std::size_t MatrixReader::part_bytes(const Part& part, const Tile& tile) const {
  const std::int64_t row = part.info.name == "codes" ? code_bytes(codec_, tile.cols) : part.info.row_bytes;
  return static_cast<std::size_t>(tile.rows * row);
}

void MatrixReader::read_quantized(const Tile& tile, float* out, Scratch& scratch) const {
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

void MatrixReader::decode(const Tile& tile, float* out, Scratch& scratch) const {
  std::size_t total = 0;
  for (const Part& part : parts_) total += part.info.tiled ? part_bytes(part, tile) : 0;
  scratch.raw.resize(total);
  std::vector<std::span<const std::byte>> spans;
  std::size_t at = 0;
  for (const Part& part : parts_) {
    if (!part.info.tiled) {
      spans.emplace_back(part.whole);
      continue;
    }
    const std::span<std::byte> bytes = std::span(scratch.raw).subspan(at, part_bytes(part, tile));
    at += bytes.size();
    if (part.info.name == "codes") {
      read_codes(part, tile, bytes);
    } else {
      read_part_rows(part, tile.row, tile.rows, bytes);
    }
    spans.emplace_back(bytes);
  }
  scratch.stored = scratch.raw;
  codec_of(codec_.spec).decode(codec_, tile, spans, out);
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

void MatrixReader::read(const Tile& tile, float* out, Scratch& scratch) const {
  if (!transposed_) return read_stored(tile, out, scratch);
  const Tile stored{.row = tile.col, .rows = tile.cols, .col = tile.row, .cols = tile.rows};
  scratch.values.resize(static_cast<std::size_t>(tile.rows * tile.cols));
  read_stored(stored, scratch.values.data(), scratch);
  transpose(scratch.values.data(), stored.rows, stored.cols, out);
}

QuantizedTensor MatrixReader::load() const {
  std::vector<QuantizedTensor::Part> parts;
  for (const Part& part : parts_) {
    std::vector<std::byte> stored = part.whole;
    if (part.info.tiled) {
      stored.resize(static_cast<std::size_t>(part.info.rows * part.info.row_bytes));
      read_part_rows(part, 0, part.info.rows, stored);
    }
    Shape shape{codec_.layout.grid_rows, codec_.layout.grid_cols};
    DType dtype = part.info.dtype;
    if (part.info.name == "codes") {
      shape = stored_shape();
      dtype = codec_.spec.element;
      if (codec_.form == CodeForm::Packed) stored = unpacked(stored);
    }
    Buffer bytes(stored.size());
    if (!stored.empty()) std::memcpy(bytes.data(), stored.data(), stored.size());
    parts.push_back({std::string(part.info.name), Tensor(dtype, std::move(shape), std::move(bytes))});
  }
  return QuantizedTensor(codec_.spec, stored_shape(), std::move(parts));
}

std::vector<std::byte> MatrixReader::unpacked(std::span<const std::byte> packed) const {
  std::vector<std::byte> codes(static_cast<std::size_t>(stored_.numel()));
  const auto bytes = [](auto span) {
    using Byte =
        std::conditional_t<std::is_const_v<typename decltype(span)::element_type>, const std::uint8_t, std::uint8_t>;
    return std::span<Byte>(reinterpret_cast<Byte*>(span.data()), span.size());
  };
  unpack_bits(bytes(packed), stored_.cols, codec_.spec.bits, bytes(std::span(codes)));
  for (std::byte& code : codes) code = static_cast<std::byte>(std::to_integer<int>(code) + codec_.spec.qmin());
  return codes;
}

}  // namespace mq
