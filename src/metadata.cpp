// The text of quantization_metadata.json.
#include "src/metadata.hpp"

#include "mq/version.hpp"
#include "src/digest.hpp"
#include "src/json.hpp"
#include "src/recipe.hpp"
#include "src/search.hpp"
#include "src/tile_grid.hpp"

namespace mq {
namespace {

json::Value shape_value(const Shape& shape) {
  json::Array out;
  for (const std::int64_t dim : shape) out.emplace_back(dim);
  return out;
}

json::Value range_value(const Range& range) {
  json::Value out;
  out.set("min", static_cast<double>(range.lo));
  out.set("max", static_cast<double>(range.hi));
  return out;
}

// From which those of several tensors follow.
json::Value sums_value(const ErrorStats& error) {
  json::Value out;
  out.set("error_sq", error.error_sq);
  out.set("x_sq", error.x_sq);
  out.set("y_sq", error.y_sq);
  return out;
}

// All that decides which scales were found.
json::Value search_value(const Plan& plan, const Step& step) {
  json::Value out;
  out.set("effort", to_string(step.effort));
  if (!is_search(step.effort)) return out;
  const bool weighs = step.importance || plan.recipe.objective != Objective::Importance;
  out.set("objective", to_string(weighs ? plan.recipe.objective : Objective::SquaredError));
  if (step.importance) {
    out.set("importance_digest", digest_of(DigestKind::Xxh3, std::as_bytes(std::span(*step.importance))));
  }
  return out;
}

const char* action_name(const Step& step) {
  if (step.action == Step::Action::Drop) return "drop";
  if (step.action == Step::Action::Copy) return "keep";
  return step.quantizes() ? "quantize" : "cast";
}

}  // namespace

json::Value to_json(const ErrorStats& error) {
  json::Value out;
  out.set("sqnr_db", error.sqnr_db());
  out.set("mse", error.mse());
  out.set("cosine", error.cosine());
  out.set("max_error", error.max_error);
  return out;
}

json::Value to_json(const NonfiniteCounts& counts) {
  json::Value out;
  out.set("nan", counts.nan);
  out.set("infinite", counts.infinite);
  return out;
}

json::Value step_value(const Plan& plan, const Step& step, const StepReport& report) {
  const TensorInfo& input = plan.source.tensors[step.inputs.front()].info;
  json::Value out;
  out.set("name", step.id);
  out.set("action", action_name(step));
  out.set("kind", to_string(step.kind));
  out.set("reason", step.reason);
  out.set("dtype", to_string(input.dtype));
  out.set("shape", shape_value(input.shape));
  if (step.action == Step::Action::Encode) out.set("spec", to_string(*step.spec));
  if (step.quantizes()) {
    out.set("scale_dtype", to_string(*step.spec->scale_dtype));
    out.set("search", search_value(plan, step));
    if (step.input_range) out.set("input_range", range_value(*step.input_range));
    out.set("bits_per_weight", step.bits_per_weight);
    json::Value error = to_json(report.error);
    error.set("sums", sums_value(report.error));
    out.set("error", std::move(error));
    if (report.nonfinite.total() > 0) out.set("nonfinite", to_json(report.nonfinite));
  }
  json::Array outputs;
  for (const std::size_t index : step.outputs) outputs.emplace_back(plan.layout.tensors[index].name);
  out.set("stored_as", std::move(outputs));
  if (!report.digest.empty()) out.set("digest", report.digest);
  return out;
}

namespace {

json::Value digest_rule(const Plan& plan) {
  json::Value out;
  out.set("algorithm", plan.recipe.sha256 ? "sha256" : "xxh3-128");
  out.set("chunk_bytes", kChunkBytes);
  out.set("of",
          "the input's stored bytes: the digest of the digests of its chunks, in order; a chunk is the largest power "
          "of two of rows within chunk_bytes, or 65536 elements of a longer row");
  return out;
}

}  // namespace

std::string metadata_head(const Plan& plan, const ErrorStats& total) {
  json::Value out;
  out.set("schema_version", kMetadataSchema);
  out.set("tool", "mono-quant");
  out.set("tool_version", kVersion);
  out.set("recipe", to_json(plan.recipe));
  out.set("digests", digest_rule(plan));
  if (total.numel > 0) out.set("total_error", to_json(total));
  std::string text = json::dump(out);
  text.erase(text.rfind('\n'));
  return text + ",\n  \"tensors\": [";
}

std::string metadata_entry(const Plan& plan, std::size_t index, const StepReport& report) {
  return (index == 0 ? "\n    " : ",\n    ") + json::dump(step_value(plan, plan.steps[index], report), -1);
}

TextPieces metadata_pieces(const Plan& plan, const Report& report) {
  return [&plan, &report](const std::function<void(std::string_view)>& take) {
    take(metadata_head(plan, report.total));
    for (std::size_t i = 0; i < plan.steps.size(); ++i) take(metadata_entry(plan, i, report.steps[i]));
    take(kMetadataTail);
  };
}

std::string quantization_metadata(const Plan& plan, const Report& report) {
  std::string text;
  metadata_pieces(plan, report)([&](std::string_view piece) { text += piece; });
  return text;
}

}  // namespace mq
