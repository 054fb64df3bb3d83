#include "src/plan_search.hpp"

#include "src/search.hpp"
#include "src/step_tiling.hpp"

namespace mq {

const char* choose_effort(Step& step, const LogicalTensor& tensor, const DialectRequest& request,
                          std::span<const StoredOutput> outputs, const Recipe& recipe, const Analysis& analysis) {
  const Codec& codec = codec_of(*step.spec);
  if (recipe.effort == Effort::Reference && step.quantizes()) {
    require_effort(*step.spec, recipe.effort, step.id);
    step.effort = recipe.effort;
  }
  if (!is_search(recipe.effort) || codec.searches == nullptr) return nullptr;
  CodecRequest codec_request = request.codec;
  codec_request.search = {.effort = recipe.effort, .objective = recipe.objective};
  codec_request.two_pass = codec_request.two_pass || reads_cut_rows(step, tensor, codec_request.layout.matrix, outputs);
  if (!codec.searches(codec_request)) {
    if (!gains_by_search(*step.spec, codec_request.layout.run)) return nullptr;
    return codec_request.two_pass ? ", not searched: its rows are not read whole"
                                  : ", not searched: its scales belong to several rows";
  }
  step.effort = recipe.effort;
  if (recipe.objective != Objective::Importance) return nullptr;
  if (!request.weight_shape.empty()) return ", without importance: its groups are of no columns";
  auto found = analysis.importance.find(step.id.str());
  // Statistics of llama.cpp have its names, and none of embedding and head, which its mixes encode too.
  if (found == analysis.importance.end()) found = analysis.importance.find(step.output_name.str());
  if (found == analysis.importance.end()) {
    const bool outside = step.kind == TensorKind::Embedding || step.kind == TensorKind::Head;
    if (outside && !recipe.mix.empty()) return ", without importance: there is none";
    throw Error({.code = ErrorCode::Usage,
                 .message = "there is no importance for this tensor",
                 .tensor = step.id,
                 .hint = "keep it with --exclude, or search with another objective"});
  }
  codec_request.search.importance = *found->second;
  require_importance(codec_request.search, codec_request.layout.matrix.cols, step.id);
  step.importance = found->second;
  return nullptr;
}

}  // namespace mq
