#include "src/step_run.hpp"

#include <algorithm>

#include "mq/pack.hpp"
#include "src/nonfinite.hpp"
#include "src/pack_down.hpp"
#include "src/plan_steps.hpp"

namespace mq {
namespace {

DigestKind digest_kind(const Plan& plan) {
  return plan.recipe.sha256 ? DigestKind::Sha256 : DigestKind::Xxh3;
}

// Columns of packed codes that a tile skips must be whole bytes.
constexpr std::int64_t kPackedQuantum = 32;

// The matrix of a tensor that is copied: types of less than a byte come in blocks.
MatrixShape copied_matrix(const TensorInfo& tensor, int leading_dims) {
  const DTypeInfo& type = info(tensor.dtype);
  if (type.block_numel > 1) return {tensor.numel() / type.block_numel, 1};
  return matrix_shape(tensor.shape, leading_dims);
}

std::int64_t row_bytes_of(const MatrixShape& matrix, const TensorInfo& tensor) {
  return matrix.rows > 0 ? tensor.size_bytes() / matrix.rows : 0;
}

std::span<std::byte> sized(std::vector<std::byte>& buffer, std::int64_t bytes) {
  if (buffer.size() < static_cast<std::size_t>(bytes)) buffer.resize(static_cast<std::size_t>(bytes));
  return std::span(buffer).first(static_cast<std::size_t>(bytes));
}

float* sized(std::vector<float>& buffer, std::int64_t numel) {
  if (buffer.size() < static_cast<std::size_t>(numel)) buffer.resize(static_cast<std::size_t>(numel));
  return buffer.data();
}

}  // namespace

StepRun::StepRun(const Checkpoint& checkpoint, const Plan& plan, const Step& step, CheckpointWriter& writer)
    : checkpoint_(checkpoint),
      plan_(plan),
      step_(step),
      writer_(writer),
      tensor_(plan.source.tensors[step.inputs.front()]) {
  // A tensor that is not encoded can be seen as any matrix: as the one that the step encodes.
  if (!tensor_.spec) tensor_.leading_dims = step.leading_dims;
  if (step.action == Step::Action::Copy) {
    const MatrixShape matrix = copied_matrix(tensor_.info, step.leading_dims);
    grid_ = make_tile_grid(
        matrix, std::max<std::int64_t>(row_bytes_of(matrix, tensor_.info) / std::max<std::int64_t>(matrix.cols, 1), 1),
        {});
  } else if (step.action == Step::Action::Encode) {
    prepare_encode();
  }
  digests_.resize(static_cast<std::size_t>(grid_.count()));
  errors_.resize(step.quantizes() ? digests_.size() : 0);
  excluded_.resize(request_.allow_nonfinite ? errors_.size() : 0);
}

void StepRun::prepare_encode() {
  transposed_ = !step_.transforms.empty() != tensor_.transposed;
  reader_.emplace(checkpoint_, tensor_, !step_.transforms.empty());
  const Dialect& dialect = dialect_named(step_.dialect);
  const DialectRequest request =
      make_request(dialect, step_.id, encoded_shape(step_, plan_.source), step_.leading_dims, "", step_.spec);
  request_ = request.codec;
  outputs_ = dialect.outputs(request);
  const Codec& codec = codec_of(step_.spec);

  const MatrixShape matrix = reader_->shape();
  const MatrixShape stored = transposed_ ? MatrixShape{matrix.cols, matrix.rows} : matrix;
  const bool packs_down = std::any_of(outputs_.begin(), outputs_.end(), [](const auto& o) { return o.packed_down; });
  std::int64_t quantum = packs_down || transposed_ || tensor_.spec ? kPackedQuantum : 1;
  request_.allow_nonfinite = plan_.recipe.allow_nan;
  request_.two_pass = request_.two_pass || transposed_ || rows_too_long(matrix, quantum);
  const bool parts_of_rows = request_.two_pass || step_.spec.codec == "float_cast";

  if (step_.range && std::holds_alternative<PerTensor>(step_.spec.granularity)) {
    const QParams given = choose_qparams(std::span(&*step_.range, 1), step_.spec);
    state_ = codec.begin(request_, &given);
    observes_ = false;
  } else {
    state_ = codec.begin(request_, nullptr);
    observes_ = codec.observes(request_) || (request_.two_pass && step_.spec.codec != "float_cast");
  }
  parts_ = codec.parts(request_);
  grid_ = make_tile_grid(stored, bytes_of(tensor_.info.dtype, 1),
                         {.row_quantum = quantum, .whole_rows = !parts_of_rows && !observes_});
}

Tile StepRun::seen(const Tile& stored) const noexcept {
  return transposed_ ? Tile{stored.col, stored.cols, stored.row, stored.rows} : stored;
}

std::int64_t StepRun::tile_bytes(std::int64_t index) const noexcept {
  const Tile tile = grid_.tile(index);
  const std::int64_t all = std::max<std::int64_t>(grid_.matrix.numel(), 1);
  return static_cast<std::int64_t>(static_cast<double>(step_.input_bytes) *
                                   (static_cast<double>(tile.rows * tile.cols) / static_cast<double>(all)));
}

void StepRun::take_digests(std::span<const std::byte> bytes, const Tile& stored, std::int64_t index) {
  std::vector<ChunkDigest>& digests = digests_[static_cast<std::size_t>(index)];
  const DigestKind kind = digest_kind(plan_);
  const std::size_t numel = static_cast<std::size_t>(stored.rows * stored.cols);
  if (tensor_.spec || numel == 0) {
    digests.push_back(digest_chunk(kind, bytes));
    return;
  }
  const std::size_t item = bytes.size() / numel;
  const std::size_t row = static_cast<std::size_t>(stored.cols) * item;
  const std::size_t chunk =
      grid_.pieces ? static_cast<std::size_t>(kPieceNumel) * item : static_cast<std::size_t>(grid_.chunk_rows) * row;
  const std::size_t span = grid_.pieces ? row : bytes.size();
  for (std::size_t begin = 0; begin < bytes.size(); begin += span) {
    for (std::size_t at = 0; at < span; at += chunk) {
      digests.push_back(digest_chunk(kind, bytes.subspan(begin + at, std::min(chunk, span - at))));
    }
  }
}

void StepRun::read(const Tile& tile, std::int64_t index, WorkerScratch& scratch, bool digest) {
  const Tile matrix = seen(tile);
  reader_->read(matrix, sized(scratch.values, matrix.rows * matrix.cols), scratch.reader);
  if (digest) take_digests(scratch.reader.stored, tile, index);
}

void StepRun::count(const EncodeCounts& counts) noexcept {
  if (counts.nonfinite != 0) nonfinite_.fetch_add(counts.nonfinite, std::memory_order_relaxed);
  if (counts.overflow != 0) overflow_.fetch_add(counts.overflow, std::memory_order_relaxed);
}

void StepRun::observe(std::int64_t index, WorkerScratch& scratch) {
  const Tile tile = grid_.tile(index);
  read(tile, index, scratch, true);
  count(codec_of(step_.spec).observe(*state_, seen(tile), scratch.values.data()));
}

void StepRun::settle() {
  if (step_.action != Step::Action::Encode) return;
  refuse_bad_values();
  const Codec& codec = codec_of(step_.spec);
  if (observes_) codec.settle(*state_);
  whole_.resize(parts_.size());
  std::vector<std::span<std::byte>> spans;
  for (std::size_t p = 0; p < parts_.size(); ++p) {
    if (!parts_[p].tiled) whole_[p].resize(static_cast<std::size_t>(parts_[p].rows * parts_[p].row_bytes));
    spans.emplace_back(whole_[p]);
  }
  codec.finish(*state_, spans);
  std::vector<std::uint32_t> words;
  for (std::size_t o = 0; o < outputs_.size(); ++o) {
    const StoredOutput& output = outputs_[o];
    if (output.part.empty()) {
      writer_.write(step_.outputs[o], 0, 1, 0, static_cast<std::int64_t>(output.constant.size()) * 8,
                    std::as_bytes(std::span(output.constant)));
      continue;
    }
    const std::size_t p = part_of(output);
    if (!parts_[p].tiled) write_part(o, p, {.rows = parts_[p].rows}, whole_[p], words);
  }
}

void StepRun::run(std::int64_t index, WorkerScratch& scratch) {
  const Tile tile = grid_.tile(index);
  if (step_.action == Step::Action::Copy) {
    copy(tile, index, scratch);
  } else {
    read(tile, index, scratch, !observes_);
    encode(seen(tile), index, scratch);
  }
}

void StepRun::copy(const Tile& tile, std::int64_t index, WorkerScratch& scratch) {
  const TensorInfo& info = tensor_.info;
  const std::int64_t row_bytes = row_bytes_of(grid_.matrix, info);
  const std::int64_t item = row_bytes / grid_.matrix.cols;
  const std::int64_t block = mq::info(info.dtype).block_numel;
  const std::span<std::byte> bytes = sized(scratch.bytes, tile.rows * tile.cols * item);
  checkpoint_.read(tensor_.parts.front().tensor, (tile.row * grid_.matrix.cols + tile.col) * block,
                   tile.rows * tile.cols * block, bytes);
  take_digests(bytes, tile, index);
  writer_.write(step_.outputs.front(), tile.row, tile.rows, tile.col * item, row_bytes, bytes);
}

void StepRun::encode(const Tile& tile, std::int64_t index, WorkerScratch& scratch) {
  const Codec& codec = codec_of(step_.spec);
  scratch.parts.resize(parts_.size());
  std::vector<std::span<std::byte>> spans;
  std::vector<std::span<const std::byte>> filled;
  for (std::size_t p = 0; p < parts_.size(); ++p) {
    const PartInfo& part = parts_[p];
    if (!part.tiled) {
      spans.emplace_back();
      filled.emplace_back(whole_[p]);
      continue;
    }
    const std::int64_t row_bytes = part.name == "codes" ? code_bytes(request_, tile.cols) : part.row_bytes;
    spans.push_back(sized(scratch.parts[p], tile.rows * row_bytes));
    filled.emplace_back(spans.back());
  }
  count(codec.encode(*state_, tile, scratch.values.data(), spans));
  if (step_.quantizes()) {
    float* decoded = sized(scratch.decoded, tile.rows * tile.cols);
    codec.decode(request_, tile, filled, decoded);
    if (request_.allow_nonfinite) {
      excluded_[static_cast<std::size_t>(index)] =
          exclude_nonfinite(scratch.values.data(), decoded, tile.rows * tile.cols);
    }
    errors_[static_cast<std::size_t>(index)] = measure(scratch.values.data(), decoded, tile.rows, tile.cols);
  }
  for (std::size_t o = 0; o < outputs_.size(); ++o) {
    const std::size_t p = part_of(outputs_[o]);
    if (p < parts_.size() && parts_[p].tiled) write_part(o, p, tile, filled[p], scratch.words);
  }
}

std::size_t StepRun::part_of(const StoredOutput& output) const noexcept {
  const auto found =
      std::find_if(parts_.begin(), parts_.end(), [&](const PartInfo& part) { return part.name == output.part; });
  return static_cast<std::size_t>(found - parts_.begin());
}

void StepRun::write_part(std::size_t output, std::size_t part, const Tile& tile, std::span<const std::byte> data,
                         std::vector<std::uint32_t>& words) {
  const std::size_t index = step_.outputs[output];
  const std::int64_t row_bytes = parts_[part].row_bytes;
  if (!outputs_[output].packed_down) {
    const std::int64_t first_byte = parts_[part].name == "codes" ? code_bytes(request_, tile.col) : 0;
    writer_.write(index, tile.row, tile.rows, first_byte, row_bytes, data);
    return;
  }
  const int bits = step_.spec.bits;
  const std::int64_t word_rows = (tile.rows * bits + 31) / 32;
  words.resize(static_cast<std::size_t>(word_rows * row_bytes));
  pack_down({reinterpret_cast<const std::uint8_t*>(data.data()), data.size()}, row_bytes, bits, step_.spec.qmin(),
            words);
  writer_.write(index, tile.row * bits / 32, word_rows, 0, 4 * row_bytes, std::as_bytes(std::span(words)));
}

void StepRun::refuse_bad_values() const {
  if (step_.action != Step::Action::Encode) return;
  // A cast keeps NaN and infinity; a code has no place for them.
  const std::int64_t nonfinite = step_.quantizes() && !request_.allow_nonfinite ? nonfinite_.load() : 0;
  require_encodable({.nonfinite = nonfinite, .overflow = overflow_.load()}, step_.spec, step_.id);
}

StepReport StepRun::report() const {
  StepReport report{.id = step_.id};
  if (step_.action == Step::Action::Drop) return report;
  refuse_bad_values();
  for (const ErrorStats& error : errors_) report.error.add(error);
  for (const NonfiniteCounts& counts : excluded_) report.nonfinite.add(counts);
  std::vector<ChunkDigest> chunks;
  for (const auto& tile : digests_) chunks.insert(chunks.end(), tile.begin(), tile.end());
  report.digest = digest_text(digest_kind(plan_), chunks);
  return report;
}

}  // namespace mq
