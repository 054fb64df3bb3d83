// How much memory a plan takes at most.
#include <algorithm>
#include <array>
#include <string>

#include "mq/convert.hpp"
#include "mq/estimate.hpp"
#include "src/batch_limits.hpp"
#include "src/block_layout.hpp"
#include "src/metadata.hpp"
#include "src/saturating.hpp"
#include "src/search.hpp"
#include "src/step_tiling.hpp"

namespace mq {
namespace {

// The program, its libraries and the stacks of its threads, as far as they are touched.
constexpr std::int64_t kProgramBytes = std::int64_t{24} << 20;
constexpr std::int64_t kThreadBytes = std::int64_t{1} << 20;
// Steps whose state is held at one time: as much as one batch of the engine takes, and the last to join it.
constexpr std::int64_t kBatchBytes = 2 * kMaxBatchState;
// Of a tensor of the input in the reader, the source, the plan and the report; and of one of the output in the layout
// and the writer, and while its header is made. Without the names.
constexpr std::int64_t kInputTensorBytes = 704;
constexpr std::int64_t kOutputTensorBytes = 320;
// A name is held once and stands in a header that is read or made.
constexpr std::int64_t kNameCopies = 3;
constexpr std::int64_t kTileBytes = 256;  // digest, error and place in the queue
// A search of ggml's blocks holds a piece as it is, in units of its scales, decoded, and its scales, codes and blocks
// twice: less than so many times.
constexpr std::int64_t kSearchCopies = 8;
// The text of a tokenizer and the tree that it is parsed into, measured, by what a name is multiplied with.
constexpr std::size_t kVocabularyCopies = 2;
// Decimal digits of a double, at most, and of a count.
constexpr std::size_t kDoubleText = 24, kCountText = 20;

// The buffers that a thread keeps from tile to tile, each as large as any step has made it.
struct Buffers {
  std::int64_t stored = 0;
  std::int64_t values = 0;
  std::int64_t turned = 0;
  std::int64_t blocks = 0;
  std::int64_t decoded = 0;
  std::int64_t parts = 0;
  std::int64_t searched = 0;

  void grow(const Buffers& other) {
    stored = std::max(stored, other.stored);
    values = std::max(values, other.values);
    turned = std::max(turned, other.turned);
    blocks = std::max(blocks, other.blocks);
    decoded = std::max(decoded, other.decoded);
    parts = std::max(parts, other.parts);
    searched = std::max(searched, other.searched);
  }
  // A vector that grows may have twice the room it needs.
  std::int64_t total() const { return 2 * (stored + values + turned + blocks + decoded + parts + searched); }
};

Buffers buffers_of(const Plan& plan, const Step& step, const StepTiling& tiling) {
  const LogicalTensor& tensor = plan.source.tensors[step.inputs.front()];
  const TileGrid& grid = tiling.grid;
  const std::int64_t numel = std::min(grid.matrix.numel(), grid.tile_rows * grid.tile_cols);
  if (step.action == Step::Action::Copy) return {.stored = numel * tiling.item_bytes};
  const bool direct = !tensor.spec && !tiling.transposed;
  // What is read as it is stored is worked on in bands of a tile.
  const std::int64_t band = direct ? std::min(numel, std::max(kStripNumel, grid.tile_cols)) : numel;
  const auto floats = static_cast<std::int64_t>(sizeof(float));
  const double per_weight = step.bits_per_weight / 8;
  const bool searches_blocks = is_quantized_block(step.spec->element) && is_search(step.effort);
  return {
      .stored = numel * std::max<std::int64_t>(tiling.item_bytes, tensor.spec ? floats : 1),
      .values = band * floats,
      .turned = tiling.transposed ? numel * floats : 0,
      .blocks = tensor.spec ? numel * floats : 0,
      // And without what is not finite, for the encoding and for its errors; and weighed.
      .decoded = !step.quantizes() ? 0 : ((plan.recipe.allow_nan ? 3 : 1) + (step.importance ? 1 : 0)) * band * floats,
      // Codes before they are packed, what they are packed into, and scales.
      .parts = tiling.tiles_at_once *
               (2 * numel + 2 * static_cast<std::int64_t>(per_weight * static_cast<double>(numel))),
      .searched = searches_blocks ? kSearchCopies * kSearchPieceNumel * floats : 0};
}

// What a step holds while it runs, beyond the buffers: its state, and parts of the whole tensor, which no encoding
// makes larger than it.
std::int64_t held_bytes(const Step& step) {
  return saturating_add(step.state_bytes, step.state_bytes);
}

// Of the text that a vocabulary was read from.
std::size_t vocabulary_bytes(const Source& source) {
  const auto file = std::ranges::find(source.assets, "tokenizer.json", &Asset::name);
  return file == source.assets.end() ? 0 : static_cast<std::size_t>(file->size_bytes);
}

std::int64_t name_bytes(const Plan& plan) {
  std::size_t bytes = 0;
  for (const LogicalTensor& tensor : plan.source.tensors) bytes += tensor.info.name.size();
  for (const TensorInfo& tensor : plan.layout.tensors) bytes += tensor.name.size();
  for (const auto& [key, value] : plan.layout.metadata) bytes += key.size() + 64;
  for (const auto& [name, text] : plan.layout.texts) bytes += text.size();
  for (const StoredValue& value : plan.layout.values) bytes += value.key.size() + value.bytes.size();
  if (!plan.layout.values.empty()) bytes += kVocabularyCopies * vocabulary_bytes(plan.source);
  return static_cast<std::int64_t>(bytes);
}

}  // namespace

std::int64_t MemoryBound::at(int threads) const noexcept {
  return saturating_add(saturating_add(engine_bytes, listing_bytes), threads * thread_bytes);
}

MemoryBound memory_bound(const Plan& plan) {
  Buffers buffers;        // of each thread
  std::int64_t held = 0;  // by the step that holds most
  std::int64_t tiles = 0;
  for (const Step& step : plan.steps) {
    if (step.action == Step::Action::Drop) continue;
    const StepTiling tiling = tile_step(plan, step);
    buffers.grow(buffers_of(plan, step, tiling));
    held = std::max(held, held_bytes(step));
    tiles = std::max(tiles, tiling.grid.count());
  }
  return {.engine_bytes = saturating_add(kProgramBytes + kBatchBytes, held),
          .listing_bytes = static_cast<std::int64_t>(plan.source.tensors.size()) * kInputTensorBytes +
                           static_cast<std::int64_t>(plan.layout.tensors.size()) * kOutputTensorBytes +
                           name_bytes(plan) * kNameCopies + (kMaxBatchTiles + tiles) * kTileBytes,
          .thread_bytes = kThreadBytes + buffers.total()};
}

std::int64_t report_bound_bytes(const Plan& plan) {
  if (plan.recipe.task != Recipe::Task::Quantize) return 0;
  // That of a run in which every number had its shortest text, and the digits that it may have more.
  std::size_t bytes = metadata_head(plan, {.numel = 1}).size() + 4 * kDoubleText + kMetadataTail.size();
  const SharedString digest = std::string(plan.recipe.sha256 ? 7 + 64 : 9 + 32, '0');
  for (std::size_t i = 0; i < plan.steps.size(); ++i) {
    StepReport report;
    if (plan.steps[i].action != Step::Action::Drop) report.digest = digest;
    if (plan.steps[i].quantizes()) {
      report.nonfinite.nan = plan.recipe.allow_nan ? 1 : 0;
      bytes += 8 * kDoubleText + 2 * kCountText;  // the errors and their sums
    }
    bytes += metadata_entry(plan, i, report).size();
  }
  return static_cast<std::int64_t>(bytes);
}

}  // namespace mq
