// What happens to one tile: read, digest, observe or encode, measure, write.
#include <algorithm>

#include "mq/pack.hpp"
#include "src/nonfinite.hpp"
#include "src/step_run.hpp"

namespace mq {
namespace {

constexpr std::int64_t kMaxHeldBytes = 4 << 20;

std::span<std::byte> sized(std::vector<std::byte>& buffer, std::int64_t bytes) {
  if (buffer.size() < static_cast<std::size_t>(bytes)) buffer.resize(static_cast<std::size_t>(bytes));
  return std::span(buffer).first(static_cast<std::size_t>(bytes));
}

float* sized(std::vector<float>& buffer, std::int64_t numel) {
  if (buffer.size() < static_cast<std::size_t>(numel)) buffer.resize(static_cast<std::size_t>(numel));
  return buffer.data();
}

// Multiplies the columns of y in place, and of x into the buffer, by the factors of all columns of the matrix.
const float* multiply_columns(const float* x, float* y, const Tile& tile, std::span<const float> factors,
                              std::vector<float>& buffer) {
  float* out = sized(buffer, tile.rows * tile.cols);
  const float* const factor = factors.data() + tile.col;
  for (std::int64_t r = 0; r < tile.rows; ++r, x += tile.cols, y += tile.cols, out += tile.cols) {
    for (std::int64_t c = 0; c < tile.cols; ++c) {
      out[c] = x[c] * factor[c];
      y[c] *= factor[c];
    }
  }
  return buffer.data();
}

}  // namespace

Tile StepRun::seen(const Tile& stored) const noexcept {
  return transposed_ ? Tile{stored.col, stored.cols, stored.row, stored.rows} : stored;
}

void StepRun::take_digests(std::span<const std::byte> bytes, const Tile& stored, std::int64_t index) {
  std::vector<ChunkDigest>& digests = digests_[static_cast<std::size_t>(index)];
  const std::size_t numel = static_cast<std::size_t>(stored.rows * stored.cols);
  if (tensor_.spec || numel == 0) {
    digests.push_back(digest_chunk(digest_kind_, bytes));
    return;
  }
  const std::size_t item = bytes.size() / numel;
  const std::size_t row = static_cast<std::size_t>(stored.cols) * item;
  const std::size_t chunk =
      grid_.pieces ? static_cast<std::size_t>(kPieceNumel) * item : static_cast<std::size_t>(grid_.chunk_rows) * row;
  const std::size_t span = grid_.pieces ? row : bytes.size();
  for (std::size_t begin = 0; begin < bytes.size(); begin += span) {
    for (std::size_t at = 0; at < span; at += chunk) {
      digests.push_back(digest_chunk(digest_kind_, bytes.subspan(begin + at, std::min(chunk, span - at))));
    }
  }
}

template <class F>
void StepRun::for_each_band(const Tile& tile, std::int64_t index, WorkerScratch& scratch, bool digest, F&& f) {
  const Tile matrix = seen(tile);
  if (!reader_->is_direct()) {
    reader_->read(matrix, sized(scratch.values, matrix.rows * matrix.cols), scratch.reader);
    if (digest) take_digests(scratch.reader.stored, tile, index);
    return f(matrix, scratch.values.data());
  }
  const std::span<const std::byte> stored = reader_->read_bytes(matrix, scratch.reader);
  if (digest) take_digests(stored, tile, index);
  const std::size_t row_bytes = stored.size() / static_cast<std::size_t>(matrix.rows);
  const std::int64_t band_rows = std::max<std::int64_t>(kStripNumel / matrix.cols, 1);
  for (std::int64_t row = 0; row < matrix.rows; row += band_rows) {
    const Tile band{matrix.row + row, std::min(band_rows, matrix.rows - row), matrix.col, matrix.cols};
    const auto first = static_cast<std::size_t>(row) * row_bytes;
    f(band, reader_->values(stored.subspan(first, static_cast<std::size_t>(band.rows) * row_bytes), scratch.reader));
  }
}

void StepRun::count(const EncodeCounts& counts) noexcept {
  if (counts.nonfinite != 0) nonfinite_.fetch_add(counts.nonfinite, std::memory_order_relaxed);
  if (counts.overflow != 0) overflow_.fetch_add(counts.overflow, std::memory_order_relaxed);
}

void StepRun::observe(std::int64_t index, WorkerScratch& scratch) {
  for_each_band(grid_.tile(index), index, scratch, true,
                [&](const Tile& band, const float* x) { count(codec_of(*step_.spec).observe(*state_, band, x)); });
}

void StepRun::run(std::int64_t first, std::int64_t count, WorkerScratch& scratch) {
  if (step_.action == Step::Action::Encode) return encode(first, count, scratch);
  for (std::int64_t index = first; index < first + count; ++index) copy(grid_.tile(index), index, scratch);
}

void StepRun::copy(const Tile& tile, std::int64_t index, WorkerScratch& scratch) {
  const TensorInfo& info = tensor_.info;
  const std::int64_t item = copied_item_bytes_;
  const std::int64_t block = mq::info(info.dtype).block_numel;
  const std::span<std::byte> bytes = sized(scratch.bytes, tile.rows * tile.cols * item);
  checkpoint_.read(tensor_.parts.front().tensor, (tile.row * grid_.matrix.cols + tile.col) * block,
                   tile.rows * tile.cols * block, bytes);
  take_digests(bytes, tile, index);
  write_rows(step_.outputs.front(), tile.row, tile.rows, tile.col * item, grid_.matrix.cols * item, bytes);
}

void StepRun::encode(std::int64_t first, std::int64_t count, WorkerScratch& scratch) {
  const Tile whole = seen(grid_.tile(first, count));
  scratch.parts.resize(parts_.size());
  scratch.spans.assign(parts_.size(), {});
  for (std::size_t p = 0; p < parts_.size(); ++p) {
    if (!parts_[p].tiled) continue;
    const std::int64_t bytes = whole.rows * tile_row_bytes(parts_[p], whole);
    scratch.spans[p] = is_held(parts_[p])
                           ? std::span(whole_[p]).subspan(static_cast<std::size_t>(whole.row * parts_[p].row_bytes),
                                                          static_cast<std::size_t>(bytes))
                           : sized(scratch.parts[p], bytes);
  }
  for (std::int64_t index = first; index < first + count; ++index) encode_tile(index, whole, scratch);
  for (std::size_t o = 0; o < outputs_.size(); ++o) {
    const std::size_t p = part_of(outputs_[o]);
    if (p == parts_.size() || !parts_[p].tiled || is_held(parts_[p])) continue;
    write_part(o, p, whole, scratch.spans[p], scratch.stored);
  }
  if (tiles_left_.fetch_sub(count) == count) write_held(scratch.stored);
}

void StepRun::encode_tile(std::int64_t index, const Tile& whole, WorkerScratch& scratch) {
  const Tile stored = grid_.tile(index), tile = seen(stored);
  ErrorStats error;
  NonfiniteCounts excluded;
  if (step_.repacks) {
    repack(tile, index, spans_of(tile, whole, scratch), scratch);
  } else if (takes_halves_) {
    encode_halves(tile, index, spans_of(tile, whole, scratch), scratch, error);
  } else {
    for_each_band(stored, index, scratch, !observes_, [&](const Tile& band, const float* x) {
      encode_band(band, x, spans_of(band, whole, scratch), scratch, error, excluded);
    });
  }
  if (step_.quantizes()) errors_[static_cast<std::size_t>(index)] = error;
  if (request_.allow_nonfinite && step_.quantizes()) excluded_[static_cast<std::size_t>(index)] = excluded;
}

std::vector<std::span<std::byte>> StepRun::spans_of(const Tile& band, const Tile& whole,
                                                    const WorkerScratch& scratch) const {
  std::vector<std::span<std::byte>> spans(parts_.size());
  for (std::size_t p = 0; p < parts_.size(); ++p) {
    if (!parts_[p].tiled) continue;
    const auto row_bytes = static_cast<std::size_t>(tile_row_bytes(parts_[p], whole));
    spans[p] = scratch.spans[p].subspan(static_cast<std::size_t>(band.row - whole.row) * row_bytes,
                                        static_cast<std::size_t>(band.rows) * row_bytes);
  }
  return spans;
}

void StepRun::encode_halves(const Tile& tile, std::int64_t index, PartSpans spans, WorkerScratch& scratch,
                            ErrorStats& error) {
  const std::span<const std::byte> stored = reader_->read_bytes(tile, scratch.reader);
  if (!observes_) take_digests(stored, tile, index);
  const kernels::Halves x{reinterpret_cast<const std::uint16_t*>(stored.data()), tensor_.info.dtype == DType::BFloat16};
  count(codec_of(*step_.spec).encode_halves(*state_, tile, x, spans, error));
}

void StepRun::repack(const Tile& tile, std::int64_t index, PartSpans spans, WorkerScratch& scratch) {
  const std::vector<std::span<std::byte>> parts = reader_->read_parts(tile, request_.form, scratch.reader);
  take_digests(scratch.reader.stored, tile, index);
  for (std::size_t p = 0; p < parts_.size(); ++p) {
    if (parts_[p].tiled) std::ranges::copy(parts[p], spans[p].begin());
  }
}

void StepRun::encode_band(const Tile& band, const float* x, PartSpans spans, WorkerScratch& scratch, ErrorStats& error,
                          NonfiniteCounts& excluded) {
  const Codec& codec = codec_of(*step_.spec);
  count(codec.encode(*state_, band, x, spans, measures_ ? &error : nullptr));
  if (measures_ || !step_.quantizes()) return;

  std::vector<std::span<const std::byte>> filled(spans.begin(), spans.end());
  for (std::size_t p = 0; p < parts_.size(); ++p) {
    if (!parts_[p].tiled) filled[p] = whole_[p];
  }
  float* const decoded = sized(scratch.decoded, band.rows * band.cols);
  codec.decode(request_, band, filled, decoded);
  if (request_.allow_nonfinite) {
    x = exclude_nonfinite(x, decoded, band.rows * band.cols, scratch.finite, excluded);
  }
  if (!column_factors_.empty()) x = multiply_columns(x, decoded, band, column_factors_, scratch.weighed);
  for (std::int64_t r = 0; r < band.rows; ++r) {
    error.add(measure(x + r * band.cols, decoded + r * band.cols, 1, band.cols));
  }
}

// What a small part would cost in small writes is more than the memory to hold it: a thread that writes lets no other
// write to that file.
bool StepRun::is_held(const PartInfo& part) const noexcept {
  return part.tiled && part.name != "codes" && part.rows * part.row_bytes <= kMaxHeldBytes;
}

std::int64_t StepRun::held_bytes() const noexcept {
  std::int64_t bytes = step_.state_bytes;
  for (const PartInfo& part : parts_) bytes += is_held(part) ? part.rows * part.row_bytes : 0;
  return bytes;
}

void StepRun::write_held(std::vector<std::byte>& scratch) {
  for (std::size_t o = 0; o < outputs_.size(); ++o) {
    const std::size_t p = part_of(outputs_[o]);
    if (p < parts_.size() && is_held(parts_[p])) write_part(o, p, {.rows = parts_[p].rows}, whole_[p], scratch);
  }
}

std::int64_t StepRun::tile_row_bytes(const PartInfo& part, const Tile& tile) const {
  return part.name == "codes" ? code_bytes(request_, tile.cols) : part.row_bytes;
}

std::size_t StepRun::part_of(const StoredOutput& output) const noexcept {
  const auto found =
      std::find_if(parts_.begin(), parts_.end(), [&](const PartInfo& part) { return part.name == output.part; });
  return static_cast<std::size_t>(found - parts_.begin());
}

void StepRun::write_rows(std::size_t index, std::int64_t first_row, std::int64_t rows, std::int64_t first_byte,
                         std::int64_t row_bytes, std::span<const std::byte> data) {
  if (!order_.changes()) return writer_.write(index, first_row, rows, first_byte, row_bytes, data);
  const std::size_t bytes = data.size() / static_cast<std::size_t>(rows);
  for (std::int64_t r = 0; r < rows; ++r) {
    writer_.write(index, order_.target(first_row + r), 1, first_byte, row_bytes,
                  data.subspan(static_cast<std::size_t>(r) * bytes, bytes));
  }
}

void StepRun::write_part(std::size_t output, std::size_t part, const Tile& tile, std::span<const std::byte> data,
                         std::vector<std::byte>& scratch) {
  const PartLayout& layout = layouts_[output];
  const bool codes = parts_[part].name == "codes";
  const ByteRect rect{tile.row, tile.rows, codes ? code_bytes(request_, tile.col) : 0,
                      codes && tile.cols > 0 ? code_bytes(request_, tile.cols) : parts_[part].row_bytes};
  const ByteRect at = layout.stored(rect);
  write_rows(step_.outputs[output], at.row, at.rows, at.byte, layout.stored_row_bytes(),
             layout.to_stored(rect, data, scratch));
}

}  // namespace mq
