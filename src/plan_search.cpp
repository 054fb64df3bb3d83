#include "src/plan_search.hpp"

#include <memory>
#include <utility>

#include "src/gguf/architecture.hpp"
#include "src/search.hpp"
#include "src/step_tiling.hpp"

namespace mq {
namespace {

using Importance = std::shared_ptr<const std::vector<float>>;

// Statistics of llama.cpp have its names.
Importance find_importance(const Analysis& analysis, const Step& step) {
  for (const std::string& name : {step.id.str(), step.output_name.str(), gguf::gguf_name(step.id)}) {
    if (const auto found = analysis.importance.find(name); found != analysis.importance.end()) return found->second;
  }
  return nullptr;
}

// Statistics of a stack may tell its experts apart; in a search all have the mean.
Importance mean_of_experts(const Importance& given, const DialectRequest& request) {
  const auto cols = static_cast<std::size_t>(request.codec.layout.matrix.cols);
  const std::size_t experts = request.leading_dims > 1 ? static_cast<std::size_t>(request.shape.front()) : 1;
  if (experts == 1 || given->size() != experts * cols) return given;
  std::vector<float> mean(cols);
  for (std::size_t i = 0; i < given->size(); ++i) mean[i % cols] += (*given)[i] / static_cast<float>(experts);
  return std::make_shared<const std::vector<float>>(std::move(mean));
}

}  // namespace

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
  const Importance found = find_importance(analysis, step);
  if (found == nullptr) {
    // llama.cpp collects none of embedding and head, which its mixes encode too.
    const bool outside = step.kind == TensorKind::Embedding || step.kind == TensorKind::Head;
    if (outside && !recipe.mix.empty()) return ", without importance: there is none";
    throw Error({.code = ErrorCode::Usage,
                 .message = "there is no importance for this tensor",
                 .tensor = step.id,
                 .hint = "keep it with --exclude, or search with another objective"});
  }
  step.importance = mean_of_experts(found, request);
  codec_request.search.importance = *step.importance;
  require_importance(codec_request.search, codec_request.layout.matrix.cols, step.id);
  return nullptr;
}

}  // namespace mq
