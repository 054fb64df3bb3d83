// How much memory a plan takes at most.
#include <algorithm>
#include <array>
#include <string>

#include "mq/convert.hpp"
#include "mq/estimate.hpp"
#include "src/block_layout.hpp"
#include "src/plan_steps.hpp"
#include "src/saturating.hpp"
#include "src/tile_grid.hpp"

namespace mq {
namespace {

// The program, its libraries and the stacks of its threads, as far as they are touched.
constexpr std::int64_t kProgramBytes = std::int64_t{24} << 20;
constexpr std::int64_t kThreadBytes = std::int64_t{1} << 20;
// Steps whose state is held at one time: as much as one batch of the engine takes, and the last to join it.
constexpr std::int64_t kBatchBytes = std::int64_t{16} << 20;
// A tensor in the reader, the source, the plan, the layout and header of the writer, the reports and their text: these,
// and its name wherever it stands.
constexpr std::int64_t kTensorBytes = 8 << 10;
constexpr std::int64_t kNameCopies = 32;
constexpr std::int64_t kTileBytes = 512;  // digest, error and place in the queue
// Of a tile that is not made of whole rows.
constexpr std::int64_t kQuantum = 32;
// Decimal digits of a double, at most, and of a count.
constexpr std::int64_t kDoubleText = 24, kCountText = 20;

// The buffers that a thread keeps from tile to tile, each as large as any step has made it.
struct Buffers {
  std::int64_t stored = 0;
  std::int64_t values = 0;
  std::int64_t turned = 0;
  std::int64_t blocks = 0;
  std::int64_t decoded = 0;
  std::int64_t parts = 0;

  void grow(const Buffers& other) {
    stored = std::max(stored, other.stored);
    values = std::max(values, other.values);
    turned = std::max(turned, other.turned);
    blocks = std::max(blocks, other.blocks);
    decoded = std::max(decoded, other.decoded);
    parts = std::max(parts, other.parts);
  }
  // A vector that grows may have twice the room it needs.
  std::int64_t total() const { return 2 * (stored + values + turned + blocks + decoded + parts); }
};

// Elements of a tile, at most.
std::int64_t tile_numel(const MatrixShape& matrix, std::int64_t element_bytes) {
  const std::int64_t row = rows_too_long(matrix, kQuantum) ? kPieceNumel : matrix.cols;
  return std::min(matrix.numel(), std::max(kChunkBytes / element_bytes, kQuantum * row));
}

Buffers buffers_of(const Plan& plan, const Step& step) {
  const LogicalTensor& tensor = plan.source.tensors[step.inputs.front()];
  if (step.action == Step::Action::Copy) return {.stored = std::min(kChunkBytes, tensor.info.size_bytes())};
  const std::int64_t item = std::max<std::int64_t>(bytes_of(tensor.info.dtype, 1), tensor.spec ? 4 : 1);
  const MatrixShape matrix = matrix_shape(encoded_shape(step, plan.source), step.leading_dims);
  // What is seen as its transpose is cut along the other side.
  const bool turned = !step.transforms.empty() || tensor.transposed;
  const std::int64_t numel = turned ? std::max(tile_numel(matrix, item), tile_numel({matrix.cols, matrix.rows}, item))
                                    : tile_numel(matrix, item);
  const std::int64_t floats = numel * static_cast<std::int64_t>(sizeof(float));
  const double per_weight = step.bits_per_weight / 8;
  return {.stored = numel * item,
          .values = floats,
          .turned = turned ? floats : 0,
          .blocks = tensor.spec ? floats : 0,
          // And without what is not finite, for the encoding and for its errors.
          .decoded = !step.quantizes()       ? 0
                     : plan.recipe.allow_nan ? 3 * floats
                                             : floats,
          // Codes before they are packed, what they are packed into, and scales.
          .parts = 2 * numel + 2 * static_cast<std::int64_t>(per_weight * static_cast<double>(numel))};
}

// What a step holds while it runs, beyond the buffers: its state, and parts of the whole tensor, which no encoding
// makes larger than it.
std::int64_t held_bytes(const Step& step) {
  return saturating_add(step.state_bytes, step.state_bytes);
}

std::int64_t tiles_of(const Step& step) {
  return step.input_bytes / (kChunkBytes / 2) + 1;
}

std::int64_t name_bytes(const Plan& plan) {
  std::size_t bytes = 0;
  for (const LogicalTensor& tensor : plan.source.tensors) bytes += tensor.info.name.size() + tensor.info.file.size();
  for (const TensorInfo& tensor : plan.layout.tensors) bytes += tensor.name.size() + tensor.file.size();
  for (const auto& [key, value] : plan.layout.metadata) bytes += key.size() + 64;
  for (const auto& [name, text] : plan.layout.texts) bytes += text.size();
  return static_cast<std::int64_t>(bytes);
}

}  // namespace

std::int64_t memory_bound_bytes(const Plan& plan, int threads) {
  Buffers buffers;
  std::int64_t held = 0, tiles = 4096;
  for (const Step& step : plan.steps) {
    if (step.action == Step::Action::Drop) continue;
    buffers.grow(buffers_of(plan, step));
    held = std::max(held, held_bytes(step));
    tiles = std::max(tiles, 4096 + tiles_of(step));
  }
  const auto tensors = static_cast<std::int64_t>(plan.source.tensors.size() + plan.layout.tensors.size());
  std::int64_t bound = kProgramBytes + kBatchBytes;
  bound = saturating_add(bound, tensors * kTensorBytes + name_bytes(plan) * kNameCopies + tiles * kTileBytes);
  bound = saturating_add(bound, held);
  return saturating_add(bound, threads * (kThreadBytes + buffers.total()));
}

std::int64_t report_bound_bytes(const Plan& plan) {
  if (plan.recipe.task != Recipe::Task::Quantize) return 0;
  // The report of a run in which every number had its shortest text, and the digits that it may have more.
  Report report;
  std::int64_t digits = 0;
  const std::string digest(plan.recipe.sha256 ? 7 + 64 : 9 + 32, '0');
  for (const Step& step : plan.steps) {
    StepReport& entry = report.steps.emplace_back();
    if (step.action != Step::Action::Drop) entry.digest = digest;
    if (!step.quantizes()) continue;
    entry.nonfinite.nan = plan.recipe.allow_nan ? 1 : 0;
    digits += 8 * kDoubleText + 2 * kCountText;  // the errors and their sums
  }
  report.total.numel = 1;
  return static_cast<std::int64_t>(quantization_metadata(plan, report).size()) + digits + 4 * kDoubleText;
}

}  // namespace mq
