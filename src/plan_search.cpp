#include "src/plan_search.hpp"

#include <algorithm>

#include "src/search.hpp"
#include "src/tile_grid.hpp"

namespace mq {
namespace {

// Columns of packed codes that a tile skips must be whole bytes.
constexpr std::int64_t kPackedQuantum = 32;

bool is_flipped(const Step& step, const LogicalTensor& tensor) {
  return !step.transforms.empty() != tensor.transposed;
}

}  // namespace

std::int64_t row_quantum(const Step& step, const LogicalTensor& tensor, std::span<const StoredOutput> outputs) {
  const bool packs_down = std::any_of(outputs.begin(), outputs.end(), [](const auto& o) { return o.packed_down; });
  return packs_down || is_flipped(step, tensor) || tensor.spec ? kPackedQuantum : 1;
}

bool reads_cut_rows(const Step& step, const LogicalTensor& tensor, const BlockLayout& layout,
                    std::span<const StoredOutput> outputs) {
  return is_flipped(step, tensor) || rows_too_long(layout.matrix, row_quantum(step, tensor, outputs));
}

void choose_effort(Step& step, const LogicalTensor& tensor, const DialectRequest& request,
                   std::span<const StoredOutput> outputs, const Recipe& recipe, const Analysis& analysis) {
  const Codec& codec = codec_of(step.spec);
  if (recipe.effort == Effort::Reference && step.quantizes()) {
    require_effort(step.spec, recipe.effort, step.id);
    step.effort = recipe.effort;
  }
  if (!is_search(recipe.effort) || codec.searches == nullptr) return;
  CodecRequest codec_request = request.codec;
  codec_request.search = {.effort = recipe.effort, .objective = recipe.objective};
  codec_request.two_pass = codec_request.two_pass || reads_cut_rows(step, tensor, codec_request.layout, outputs);
  if (!codec.searches(codec_request)) {
    if (gains_by_search(step.spec, codec_request.layout.run)) {
      step.reason += codec_request.two_pass ? ", not searched: its rows are not read whole"
                                            : ", not searched: its scales belong to several rows";
    }
    return;
  }
  step.effort = recipe.effort;
  if (recipe.objective != Objective::Importance) return;
  const auto found = analysis.importance.find(step.id);
  if (found == analysis.importance.end()) {
    throw Error({.code = ErrorCode::Usage,
                 .message = "there is no importance for this tensor",
                 .tensor = step.id,
                 .hint = "keep it with --exclude, or search with another objective"});
  }
  codec_request.search.importance = *found->second;
  require_importance(codec_request.search, codec_request.layout.matrix.cols, step.id);
  step.importance = found->second;
}

}  // namespace mq
