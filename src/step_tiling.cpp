#include "src/step_tiling.hpp"

#include <algorithm>

#include "src/plan_steps.hpp"

namespace mq {
namespace {

// Columns of packed codes that a tile skips must be whole bytes.
constexpr std::int64_t kPackedQuantum = 32;

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
MatrixShape stored_matrix(const LogicalTensor& tensor, const Step& step) {
  Shape shape = tensor.info.shape;
  if (tensor.transposed) std::swap(shape.front(), shape.back());
  return matrix_shape(shape, tensor.spec ? tensor.leading_dims : step.leading_dims);
}

bool is_flipped(const Step& step, const LogicalTensor& tensor) {
  return step.transposes() != tensor.transposed;
}

// Rows of which a tile begins at multiples.
std::int64_t row_quantum(const Step& step, const LogicalTensor& tensor, std::span<const StoredOutput> outputs) {
  const bool packs_down = std::ranges::any_of(outputs, &StoredOutput::packed_down);
  if (!packs_down && !is_flipped(step, tensor) && !tensor.spec) return 1;
  // Rows of a flipped tile are columns of what is encoded, of which block types take whole blocks.
  return std::max<std::int64_t>(kPackedQuantum, info(step.spec->element).block_numel);
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
    return tile_copy(tensor.info, step.leading_dims);
  }
  const QuantSpec& spec = *step.spec;
  const Dialect& dialect = dialect_named(step.dialect);
  DialectRequest request =
      make_request(dialect, step.id, encoded_shape(step, plan.source), step.leading_dims, "", spec);
  StepTiling tiling;
  tiling.outputs = dialect.outputs(request);
  tiling.request = request.codec;
  tiling.transposed = is_flipped(step, tensor);
  tiling.item_bytes = bytes_of(tensor.info.dtype, 1);

  const MatrixShape stored = stored_matrix(tensor, step);
  const MatrixShape matrix = tiling.transposed ? MatrixShape{stored.cols, stored.rows} : stored;
  const std::int64_t quantum = row_quantum(step, tensor, tiling.outputs);
  tiling.request.allow_nonfinite = plan.recipe.allow_nan;
  tiling.request.two_pass = tiling.request.two_pass || reads_cut_rows(step, tensor, matrix, tiling.outputs);
  const bool weighs = step.importance || plan.recipe.objective != Objective::Importance;
  tiling.request.search = {.effort = step.effort,
                           .objective = weighs ? plan.recipe.objective : Objective::SquaredError};
  if (step.importance) tiling.request.search.importance = *step.importance;
  const bool casts = spec.codec == "float_cast";
  tiling.given_range = step.range && std::holds_alternative<PerTensor>(spec.granularity);
  tiling.observes =
      !tiling.given_range && (codec_of(spec).observes(tiling.request) || (tiling.request.two_pass && !casts));
  const bool parts_of_rows = tiling.request.two_pass || casts;
  tiling.grid = make_tile_grid(stored, tiling.item_bytes,
                               {.row_quantum = quantum, .whole_rows = !parts_of_rows && !tiling.observes});
  return tiling;
}

}  // namespace mq
