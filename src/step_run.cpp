#include "src/step_run.hpp"

#include <algorithm>

#include "src/plan_search.hpp"
#include "src/plan_steps.hpp"

namespace mq {
namespace {

// The matrix of a tensor that is copied: types of less than a byte come in blocks.
MatrixShape copied_matrix(const TensorInfo& tensor, int leading_dims) {
  const DTypeInfo& type = info(tensor.dtype);
  if (type.block_numel > 1) return {tensor.numel() / type.block_numel, 1};
  return matrix_shape(tensor.shape, leading_dims);
}

}  // namespace

StepRun::StepRun(const Checkpoint& checkpoint, const Plan& plan, const Step& step, CheckpointWriter& writer)
    : checkpoint_(checkpoint),
      plan_(plan),
      step_(step),
      writer_(writer),
      tensor_(plan.source.tensors[step.inputs.front()]),
      digest_kind_(plan.recipe.sha256 ? DigestKind::Sha256 : DigestKind::Xxh3) {
  // A tensor that is not encoded can be seen as any matrix: as the one that the step encodes.
  if (!tensor_.spec) tensor_.leading_dims = step.leading_dims;
  if (step.action == Step::Action::Copy) {
    const MatrixShape matrix = copied_matrix(tensor_.info, step.leading_dims);
    copied_item_bytes_ = matrix.numel() == 0 ? 1 : tensor_.info.size_bytes() / matrix.numel();
    grid_ = make_tile_grid(matrix, copied_item_bytes_, {});
  } else if (step.action == Step::Action::Encode) {
    prepare_encode();
  }
  tiles_left_ = grid_.count();
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
  request_.allow_nonfinite = plan_.recipe.allow_nan;
  request_.two_pass = request_.two_pass || reads_cut_rows(step_, tensor_, request_.layout, outputs_);
  request_.search = {.effort = step_.effort, .objective = plan_.recipe.objective};
  if (step_.importance) request_.search.importance = *step_.importance;
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
  grid_ = make_tile_grid(
      stored, bytes_of(tensor_.info.dtype, 1),
      {.row_quantum = row_quantum(step_, tensor_, outputs_), .whole_rows = !parts_of_rows && !observes_});
}

std::int64_t StepRun::tile_bytes(std::int64_t index) const noexcept {
  const Tile tile = grid_.tile(index);
  const std::int64_t all = std::max<std::int64_t>(grid_.matrix.numel(), 1);
  return static_cast<std::int64_t>(static_cast<double>(step_.input_bytes) *
                                   (static_cast<double>(tile.rows * tile.cols) / static_cast<double>(all)));
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
  for (std::size_t p = 0; p < parts_.size(); ++p) {
    if (is_held(parts_[p])) whole_[p].resize(static_cast<std::size_t>(parts_[p].rows * parts_[p].row_bytes));
  }
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
  report.digest = digest_text(digest_kind_, chunks);
  return report;
}

}  // namespace mq
