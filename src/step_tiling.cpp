#include "src/step_tiling.hpp"

#include <algorithm>

#include "src/plan_steps.hpp"

namespace mq {
namespace {

// Columns of packed codes that a tile skips must be whole bytes.
constexpr std::int64_t kPackedQuantum = 32;
// Rows of scales that are stored in tiles.
constexpr std::int64_t kTileQuantum = 128;
// Codes are written so much at a time if few tiles make it: small writes cost the system more, and a thread that writes
// lets no other write to that file.
constexpr std::int64_t kWrittenBytes = 256 << 10, kMaxTilesAtOnce = 4;

// The matrix of a tensor that is copied: types of less than a byte come in blocks.
MatrixShape copied_matrix(const TensorInfo& tensor, int leading_dims) {
  const DTypeInfo& type = info(tensor.dtype);
  if (type.block_numel > 1) return {tensor.numel() / type.block_numel, 1};
  return matrix_shape(tensor.shape, leading_dims);
}

StepTiling tile_copy(const TensorInfo& tensor, int leading_dims) {
  const MatrixShape matrix = copied_matrix(tensor, leading_dims);
  StepTiling tiling;
  tiling.item_bytes = matrix.numel() == 0 ? 1 : tensor.size_bytes() / matrix.numel();
  tiling.grid = make_tile_grid(matrix, tiling.item_bytes, {});
  return tiling;
}

// The tensor as its bytes lie. One that is not encoded can be seen as any matrix: as the one that the step encodes.
MatrixShape stored_matrix(const LogicalTensor& tensor, const Step& step, const Source& source) {
  Shape shape = flattens(step, source) ? encoded_shape(step, source) : tensor.info.shape;
  if (tensor.transposed) std::swap(shape.front(), shape.back());
  return matrix_shape(shape, tensor.spec ? tensor.leading_dims : step.leading_dims);
}

std::int64_t tiles_at_once(const StepTiling& tiling) {
  if (tiling.transposed || tiling.grid.across() > 1) return 1;
  const std::int64_t bytes = tiling.grid.tile_rows * code_bytes(tiling.request.codec, tiling.grid.tile_cols);
  return std::clamp<std::int64_t>(kWrittenBytes / bytes, 1, kMaxTilesAtOnce);
}

bool is_flipped(const Step& step, const LogicalTensor& tensor) {
  return step.transposes() != tensor.transposed;
}

// Rows of which a tile begins at multiples.
std::int64_t row_quantum(const Step& step, const LogicalTensor& tensor, std::span<const StoredOutput> outputs) {
  const auto any_packed = [&](PartForm::Packing packing) {
    return std::ranges::any_of(outputs, [&](const StoredOutput& output) { return output.form.packing == packing; });
  };
  if (any_packed(PartForm::Packing::Tiles)) return kTileQuantum;
  const bool packs_down = any_packed(PartForm::Packing::Down);
  if (!packs_down && !is_flipped(step, tensor) && !tensor.spec) return 1;
  // Rows of a flipped tile are columns of what is encoded, of which block types take whole blocks.
  return std::max<std::int64_t>(kPackedQuantum, info(step.spec->element).block_numel);
}

// Rows of a tile whose input or output is stored as the transpose: few rows would mean many small reads or writes.
std::int64_t strip_rows(const LogicalTensor& tensor, std::span<const StoredOutput> outputs, const MatrixShape& matrix) {
  const bool strips = stores_strips(tensor) ||
                      std::ranges::any_of(outputs, [](const StoredOutput& output) { return output.form.transposed; });
  return strips ? rows_for_strips(matrix) : 1;
}

}  // namespace

bool reads_cut_rows(const Step& step, const LogicalTensor& tensor, const MatrixShape& matrix,
                    std::span<const StoredOutput> outputs) {
  return is_flipped(step, tensor) || rows_too_long(matrix, row_quantum(step, tensor, outputs));
}

StepTiling tile_step(const Plan& plan, const Step& step) {
  const LogicalTensor& tensor = plan.source.tensors[step.inputs.front()];
  if (step.action == Step::Action::Copy) {
    if (step.interleaved_heads() != 0 && info(tensor.info.dtype).block_numel > 1) {
      throw Error(ErrorCode::Internal, "blocks are copied in the order in which they lie");
    }
    TensorInfo seen = tensor.info;
    if (flattens(step, plan.source)) seen.shape = encoded_shape(step, plan.source);
    return tile_copy(seen, step.leading_dims);
  }
  const QuantSpec& spec = *step.spec;
  const Dialect& dialect = dialect_named(step.dialect);
  DialectRequest request =
      make_request(dialect, step.id, encoded_shape(step, plan.source), step.leading_dims, "", spec, tensor.info.dtype);
  request.input_range = step.input_range;
  if (flattens(step, plan.source)) request.weight_shape = tensor.info.shape;
  StepTiling tiling;
  tiling.outputs = dialect.outputs(request);
  tiling.request = std::move(request);
  CodecRequest& codec = tiling.request.codec;
  tiling.transposed = is_flipped(step, tensor);
  tiling.item_bytes = bytes_of(tensor.info.dtype, 1);

  const MatrixShape stored = stored_matrix(tensor, step, plan.source);
  const MatrixShape matrix = tiling.transposed ? MatrixShape{stored.cols, stored.rows} : stored;
  const std::int64_t quantum = row_quantum(step, tensor, tiling.outputs);
  if (step.repacks) {
    tiling.grid = make_tile_grid(
        stored, tiling.item_bytes,
        {.row_quantum = std::max(quantum, strip_rows(tensor, tiling.outputs, matrix)), .whole_rows = true});
    return tiling;
  }
  codec.allow_nonfinite = plan.recipe.allow_nan;
  codec.two_pass = codec.two_pass || reads_cut_rows(step, tensor, matrix, tiling.outputs);
  const bool weighs = step.importance || plan.recipe.objective != Objective::Importance;
  codec.search = {.effort = step.effort, .objective = weighs ? plan.recipe.objective : Objective::SquaredError};
  if (step.importance) codec.search.importance = *step.importance;
  const bool casts = spec.codec == "float_cast";
  tiling.given_range = step.range && std::holds_alternative<PerTensor>(spec.granularity);
  tiling.observes = !tiling.given_range && (codec_of(spec).observes(codec) || (codec.two_pass && !casts));
  const bool parts_of_rows = codec.two_pass || casts;
  const std::int64_t rows = tiling.transposed ? 1 : strip_rows(tensor, tiling.outputs, matrix);
  tiling.grid =
      make_tile_grid(stored, tiling.item_bytes,
                     {.row_quantum = std::max(quantum, rows), .whole_rows = !parts_of_rows && !tiling.observes});
  tiling.tiles_at_once = tiles_at_once(tiling);
  return tiling;
}

}  // namespace mq
