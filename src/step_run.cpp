#include "src/step_run.hpp"

#include <algorithm>
#include <cmath>

#include "src/plan_steps.hpp"

namespace mq {

StepRun::StepRun(const Checkpoint& checkpoint, const Plan& plan, const Step& step, CheckpointWriter& writer,
                 bool weigh_errors, std::optional<Range> shared_range)
    : checkpoint_(checkpoint),
      plan_(plan),
      step_(step),
      writer_(writer),
      tensor_(plan.source.tensors[step.inputs.front()]),
      digest_kind_(plan.recipe.sha256 ? DigestKind::Sha256 : DigestKind::Xxh3) {
  // A tensor that is not encoded can be seen as any matrix: as the one that the step encodes.
  if (!tensor_.spec) tensor_.leading_dims = step.leading_dims;
  flattens_ = flattens(step, plan.source);
  if (flattens_ && !tensor_.spec) tensor_.info.shape = encoded_shape(step, plan.source);
  if (step.action != Step::Action::Drop) {
    StepTiling tiling = tile_step(plan, step);
    grid_ = tiling.grid;
    tiles_at_once_ = tiling.tiles_at_once;
    copied_item_bytes_ = tiling.item_bytes;
    if (step.interleaved_heads() != 0) order_ = {tensor_.info.shape.front(), step.interleaved_heads()};
    if (step.action == Step::Action::Encode) prepare_encode(std::move(tiling), shared_range);
  }
  if (weigh_errors && step.importance) {
    for (const float weight : *step.importance) column_factors_.push_back(std::sqrt(weight));
  }
  if (step.quantizes()) choose_path();
  tiles_left_ = grid_.count();
  digests_.resize(static_cast<std::size_t>(grid_.count()));
  errors_.resize(step.quantizes() ? digests_.size() : 0);
  excluded_.resize(request_.allow_nonfinite ? errors_.size() : 0);
}

void StepRun::prepare_encode(StepTiling tiling, std::optional<Range> shared_range) {
  const std::int64_t columns = flattens_ && tensor_.spec ? encoded_shape(step_, plan_.source).back() : 0;
  reader_.emplace(checkpoint_, tensor_, step_.transposes(), columns);
  transposed_ = tiling.transposed;
  observes_ = tiling.observes && !shared_range;
  asked_ = std::move(tiling.request);
  asked_.codec.range = shared_range;
  request_ = asked_.codec;
  outputs_ = std::move(tiling.outputs);
  const Codec& codec = codec_of(*step_.spec);
  parts_ = codec.parts(request_);
  layouts_.reserve(outputs_.size());
  for (const StoredOutput& output : outputs_) {
    const std::size_t part = part_of(output);
    layouts_.emplace_back(output.form, part < parts_.size() ? part_matrix(parts_[part], *step_.spec) : PartMatrix{});
  }
  if (step_.repacks) return;
  std::optional<QParams> given;
  if (tiling.given_range) given = choose_qparams(std::span(&*step_.range, 1), *step_.spec);
  state_ = codec.begin(request_, given ? &*given : nullptr);
}

// What is not finite has no part in errors, and weights change them: both are found out after encoding.
void StepRun::choose_path() {
  const Codec& codec = codec_of(*step_.spec);
  const DType dtype = tensor_.info.dtype;
  // Of the matrix that is encoded, of which rows are columns of a transposed tensor.
  const bool whole_rows = transposed_ ? grid_.tile_rows >= grid_.matrix.rows : grid_.tile_cols >= grid_.matrix.cols;
  measures_ = whole_rows && !request_.allow_nonfinite && column_factors_.empty() && codec.measures != nullptr &&
              codec.measures(request_);
  takes_halves_ = measures_ && codec.encode_halves != nullptr && !codec.searches(request_) && reader_->is_direct() &&
                  (dtype == DType::Float16 || dtype == DType::BFloat16);
}

std::int64_t StepRun::tile_bytes(std::int64_t first, std::int64_t count) const noexcept {
  const Tile tile = grid_.tile(first, count);
  const std::int64_t all = std::max<std::int64_t>(grid_.matrix.numel(), 1);
  return static_cast<std::int64_t>(static_cast<double>(step_.input_bytes) *
                                   (static_cast<double>(tile.rows * tile.cols) / static_cast<double>(all)));
}

void StepRun::settle() {
  if (step_.action != Step::Action::Encode) return;
  refuse_bad_values();
  const Codec& codec = codec_of(*step_.spec);
  if (observes_) codec.settle(*state_);
  whole_.resize(parts_.size());
  std::vector<std::span<std::byte>> spans;
  for (std::size_t p = 0; p < parts_.size(); ++p) {
    if (!parts_[p].tiled) whole_[p].resize(static_cast<std::size_t>(parts_[p].rows * parts_[p].row_bytes));
    spans.emplace_back(whole_[p]);
  }
  if (step_.repacks) {
    Scratch scratch;
    const auto stored = reader_->read_parts({}, request_.form, scratch);
    for (std::size_t p = 0; p < parts_.size(); ++p) {
      if (!parts_[p].tiled) whole_[p].assign(stored[p].begin(), stored[p].end());
    }
  } else {
    codec.finish(*state_, spans);
  }
  for (std::size_t p = 0; p < parts_.size(); ++p) {
    if (is_held(parts_[p])) whole_[p].resize(static_cast<std::size_t>(parts_[p].rows * parts_[p].row_bytes));
  }
  std::vector<std::byte> scratch;
  for (std::size_t o = 0; o < outputs_.size(); ++o) {
    const StoredOutput& output = outputs_[o];
    if (output.constant != nullptr) {
      const std::vector<std::byte> bytes = output.constant(asked_);
      writer_.write(step_.outputs[o], 0, 1, 0, static_cast<std::int64_t>(bytes.size()), bytes);
      continue;
    }
    const std::size_t p = part_of(output);
    if (output.text != nullptr) {
      const std::vector<std::byte> bytes = output.text(asked_, whole_[p]);
      writer_.write(step_.outputs[o], 0, 1, 0, static_cast<std::int64_t>(bytes.size()), bytes);
      continue;
    }
    if (!parts_[p].tiled) write_part(o, p, {.rows = parts_[p].rows}, whole_[p], scratch);
  }
}

void StepRun::refuse_bad_values() const {
  if (step_.action != Step::Action::Encode) return;
  // A cast keeps NaN and infinity; a code has no place for them.
  const std::int64_t nonfinite = step_.quantizes() && !request_.allow_nonfinite ? nonfinite_.load() : 0;
  require_encodable({.nonfinite = nonfinite, .overflow = overflow_.load()}, *step_.spec, step_.id);
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
