#include "tests/numerics/encode.hpp"

#include <cstring>

#include "mq/pack.hpp"

namespace mq::test {
namespace {

// The bytes of a tile inside a row of a part.
struct Columns {
  std::size_t first = 0;
  std::size_t count = 0;
};

Columns columns_of(const CodecRequest& request, const PartInfo& part, const Tile& tile) {
  if (part.name != "codes") return {0, static_cast<std::size_t>(part.row_bytes)};
  if (request.form == CodeForm::Packed) {
    const int bits = request.spec.bits;
    return {static_cast<std::size_t>(packed_row_bytes(tile.col, bits)),
            static_cast<std::size_t>(packed_row_bytes(tile.cols, bits))};
  }
  return {static_cast<std::size_t>(bytes_of(part.dtype, tile.col)),
          static_cast<std::size_t>(bytes_of(part.dtype, tile.cols))};
}

std::vector<float> rectangle(const MatrixShape& matrix, std::span<const float> x, const Tile& tile) {
  std::vector<float> values;
  for (std::int64_t r = tile.row; r < tile.row + tile.rows; ++r) {
    const float* first = x.data() + r * matrix.cols + tile.col;
    values.insert(values.end(), first, first + tile.cols);
  }
  return values;
}

// Copies the rows of a tile between a whole part and the tile's own bytes.
template <class Copy>
void for_each_row(const PartInfo& part, const Columns& columns, const Tile& tile, Copy&& copy) {
  for (std::int64_t r = 0; r < tile.rows; ++r) {
    copy(static_cast<std::size_t>((tile.row + r) * part.row_bytes) + columns.first,
         static_cast<std::size_t>(r) * columns.count);
  }
}

}  // namespace

CodecRequest request_for(const std::string& spec, const Shape& shape, CodeForm form, bool two_pass) {
  const QuantSpec parsed = parse_spec(spec);
  return {.spec = parsed,
          .layout = make_block_layout(shape, matrix_shape(shape), parsed.granularity),
          .form = form,
          .two_pass = two_pass};
}

std::vector<Tile> whole(const BlockLayout& layout) {
  return {{0, layout.matrix.rows, 0, layout.matrix.cols}};
}

std::vector<Tile> cut(const BlockLayout& layout, std::int64_t rows, std::int64_t cols) {
  std::vector<Tile> tiles;
  for (std::int64_t r = 0; r < layout.matrix.rows; r += rows) {
    for (std::int64_t c = 0; c < layout.matrix.cols; c += cols) {
      tiles.push_back({r, std::min(rows, layout.matrix.rows - r), c, std::min(cols, layout.matrix.cols - c)});
    }
  }
  return tiles;
}

Encoded encode(const CodecRequest& request, std::span<const float> x, std::span<const Tile> tiles, const QParams* given,
               std::byte fill, ErrorStats* error) {
  const Codec& codec = codec_of(request.spec);
  const std::vector<PartInfo> infos = codec.parts(request);
  Encoded encoded;
  for (const PartInfo& part : infos) {
    encoded.parts.emplace_back(static_cast<std::size_t>(part.rows * part.row_bytes), fill);
  }
  const auto state = codec.begin(request, given);
  if (given == nullptr && codec.observes(request)) {
    for (const Tile& tile : tiles) {
      encoded.counts.add(codec.observe(*state, tile, rectangle(request.layout.matrix, x, tile).data()));
    }
    codec.settle(*state);
  }
  for (const Tile& tile : tiles) {
    std::vector<std::vector<std::byte>> own(infos.size());
    std::vector<std::span<std::byte>> spans(infos.size());
    for (std::size_t i = 0; i < infos.size(); ++i) {
      if (!infos[i].tiled) continue;
      own[i].assign(static_cast<std::size_t>(tile.rows) * columns_of(request, infos[i], tile).count, fill);
      spans[i] = own[i];
    }
    encoded.counts.add(codec.encode(*state, tile, rectangle(request.layout.matrix, x, tile).data(), spans, error));
    for (std::size_t i = 0; i < infos.size(); ++i) {
      if (!infos[i].tiled) continue;
      const Columns columns = columns_of(request, infos[i], tile);
      for_each_row(infos[i], columns, tile, [&](std::size_t at, std::size_t from) {
        if (columns.count != 0) std::memcpy(encoded.parts[i].data() + at, own[i].data() + from, columns.count);
      });
    }
  }
  std::vector<std::span<std::byte>> spans(infos.size());
  for (std::size_t i = 0; i < infos.size(); ++i) {
    if (!infos[i].tiled) spans[i] = encoded.parts[i];
  }
  codec.finish(*state, spans);
  return encoded;
}

std::vector<float> decode(const CodecRequest& request, const Encoded& encoded, std::span<const Tile> tiles) {
  const Codec& codec = codec_of(request.spec);
  const std::vector<PartInfo> infos = codec.parts(request);
  const MatrixShape matrix = request.layout.matrix;
  std::vector<float> y(static_cast<std::size_t>(matrix.numel()));
  for (const Tile& tile : tiles) {
    std::vector<std::vector<std::byte>> own(infos.size());
    std::vector<std::span<const std::byte>> spans(infos.size());
    for (std::size_t i = 0; i < infos.size(); ++i) {
      spans[i] = encoded.parts[i];
      if (!infos[i].tiled) continue;
      const Columns columns = columns_of(request, infos[i], tile);
      own[i].resize(static_cast<std::size_t>(tile.rows) * columns.count);
      for_each_row(infos[i], columns, tile, [&](std::size_t at, std::size_t to) {
        if (columns.count != 0) std::memcpy(own[i].data() + to, encoded.parts[i].data() + at, columns.count);
      });
      spans[i] = own[i];
    }
    std::vector<float> values(static_cast<std::size_t>(tile.rows * tile.cols));
    codec.decode(request, tile, spans, values.data());
    for (std::int64_t r = 0; r < tile.rows; ++r) {
      std::copy_n(values.data() + r * tile.cols, tile.cols, y.data() + (tile.row + r) * matrix.cols + tile.col);
    }
  }
  return y;
}

}  // namespace mq::test
