#include "src/plan_gguf.hpp"

#include <algorithm>
#include <map>
#include <string>

#include "formats/gguf_value.hpp"
#include "src/codecs/codec.hpp"
#include "src/dialects/gguf.hpp"
#include "src/float_rows.hpp"
#include "src/gguf/mix.hpp"
#include "src/plan_steps.hpp"
#include "src/pool.hpp"

namespace mq {
namespace {

constexpr const char* kFileType = "general.file_type";
constexpr const char* kQuantizationVersion = "general.quantization_version";
constexpr std::uint32_t kGgmlQuantizationVersion = 2;

// Of the type that most weights have.
std::uint32_t file_type(const Plan& plan) {
  if (!plan.recipe.mix.empty()) return gguf::file_type_of_mix(plan.recipe.mix);
  std::map<DType, std::int64_t> weights;
  for (const TensorInfo& tensor : plan.layout.tensors) {
    if (tensor.shape.size() >= 2) weights[tensor.dtype] += tensor.numel();
  }
  const auto most = std::ranges::max_element(weights, {}, [](const auto& row) { return row.second; });
  return most == weights.end() ? 0 : gguf::file_type_of(most->first);
}

bool is_type_value(std::string_view key) {
  return key == kFileType || key == kQuantizationVersion;
}

}  // namespace

bool writes_gguf(const Recipe& recipe) {
  return recipe.format == kGgufDialect.name;
}

const GgufModel* require_gguf_model(const Source& source, const Recipe& recipe, const Analysis& analysis) {
  if (!writes_gguf(recipe)) {
    const bool quantizes = recipe.task == Recipe::Task::Quantize;
    if (!quantizes || (recipe.mix.empty() && recipe.dialect != kGgufDialect.name)) return nullptr;
    throw Error({.code = ErrorCode::Usage,
                 .message = recipe.mix.empty() ? "the dialect gguf is that of GGUF files"
                                               : "the mix " + printable(recipe.mix) + " is one of types of GGUF files",
                 .expected = "format gguf",
                 .found = recipe.format});
  }
  if (analysis.gguf && analysis.gguf->tensors.size() == source.tensors.size()) return analysis.gguf.get();
  throw Error({.code = ErrorCode::Usage,
               .message = "a GGUF file needs to know what the model is",
               .expected = "Analysis::gguf as gguf_model() makes it of the same source"});
}

void apply_mix(const Source& source, const Recipe& recipe, const GgufModel& model, std::vector<Decision>& decisions) {
  if (recipe.mix.empty()) return;
  if (recipe.budget) throw Error(ErrorCode::Usage, "a mix and a budget exclude each other");
  if (!recipe.include.empty()) {
    throw Error({.code = ErrorCode::Usage,
                 .message = "a mix has a type for every tensor",
                 .expected = "no --include",
                 .found = recipe.include.front(),
                 .hint = "--rule gives tensors a type of their own"});
  }
  std::vector<gguf::MixInput> inputs;
  inputs.reserve(decisions.size());
  for (std::size_t i = 0; i < decisions.size(); ++i) {
    inputs.push_back({model.tensors[i].name, source.tensors[i].info.shape});
  }
  std::vector<gguf::MixChoice> choices = gguf::choose_mix(recipe.mix, model, inputs);
  Pool<SharedString> reasons;
  Pool<Shared<QuantSpec>> specs;
  for (std::size_t i = 0; i < decisions.size(); ++i) {
    const TensorInfo& info = source.tensors[i].info;
    const bool is_float = source.tensors[i].spec || is_readable_float(info.dtype);
    if (!decisions[i].by_default || !is_float || info.numel() < recipe.min_numel) {
      if (decisions[i].by_default) decisions[i].spec.reset();
      continue;
    }
    decisions[i].reason = reasons.share(choices[i].reason);
    decisions[i].spec.reset();
    if (!choices[i].dtype) continue;
    const std::optional<QuantSpec> blocks = block_spec(*choices[i].dtype);
    decisions[i].spec = specs.share(blocks ? *blocks : cast_spec(*choices[i].dtype));
  }
}

void apply_gguf(const Source& source, const GgufModel& model, std::vector<Step>& steps) {
  Pool<SharedString> reasons;
  const auto because = [&](Step& step, std::string_view why) {
    step.reason = reasons.share(step.reason + ", " + std::string(why));
  };
  for (Step& step : steps) {
    const std::size_t input = step.inputs.front();
    const GgufTensor& tensor = model.tensors[input];
    if (step.action == Step::Action::Drop) continue;
    if (!tensor.left_out.empty()) {
      step = Step{.id = step.id,
                  .inputs = step.inputs,
                  .action = Step::Action::Drop,
                  .kind = step.kind,
                  .reason = tensor.left_out};
      continue;
    }
    if (tensor.name != step.id) step.output_name = tensor.name;
    if (tensor.heads != 0) {
      step.transforms.push_back({Transform::Kind::InterleaveHalves, tensor.heads});
      because(step, "rows interleaved by head");
    }
    const LogicalTensor& original = source.tensors[input];
    const bool is_float = original.spec || is_readable_float(original.info.dtype);
    const bool is_vector = original.info.shape.size() < 2 && is_float && !model.architecture.empty();
    const DType now = step.action == Step::Action::Encode ? step.spec->element : original.info.dtype;
    if (!is_vector || now == DType::Float32) continue;
    step.action = Step::Action::Encode;
    step.spec = cast_spec(DType::Float32);
    step.dialect = "plain";
    because(step, "as float32, which llama.cpp computes with");
  }
}

void add_constants(Plan& plan, const GgufModel& model) {
  for (const auto& [name, values] : model.constants) {
    plan.constants.push_back({plan.layout.tensors.size(), values});
    plan.layout.tensors.push_back(
        {.name = name, .dtype = DType::Float32, .shape = {static_cast<std::int64_t>(values.size())}});
    plan.output_bytes += plan.layout.tensors.back().size_bytes();
    plan.notes.push_back(name + ": from the model's configuration");
  }
}

void add_gguf_values(Plan& plan, const GgufModel& model) {
  // A copy has the types that its source has.
  const bool same_types = plan.recipe.task == Recipe::Task::Copy && plan.source.format == kGgufDialect.name;
  for (const StoredValue& value : model.values) {
    if (same_types || !is_type_value(value.key)) plan.layout.values.push_back(value);
  }
  if (!same_types) {
    const auto is_block = [](const TensorInfo& tensor) { return is_quantized_block(tensor.dtype); };
    if (std::ranges::any_of(plan.layout.tensors, is_block)) {
      plan.layout.values.push_back(formats::gguf_value(kQuantizationVersion, kGgmlQuantizationVersion));
    }
    plan.layout.values.push_back(formats::gguf_value(kFileType, file_type(plan)));
  }
  for (const auto& [key, value] : plan.source.metadata) {
    // Of a GGUF file all are kept; the others say nothing of the model.
    if (plan.source.format == kGgufDialect.name || key == "format" || key == "quantization_config") continue;
    plan.left_out.push_back({.what = "metadata " + printable(key)});
  }
  for (const std::string& note : model.notes) plan.notes.push_back(note);
  if (!model.own_names.empty()) plan.notes.push_back("tensors keep their names: " + model.own_names);
  plan.loads_in = model.architecture.empty() || !model.own_names.empty()
                      ? std::vector<std::string>()
                      : std::vector<std::string>{"llama.cpp", "transformers"};
}

}  // namespace mq
