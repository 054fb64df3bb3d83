#include <algorithm>
#include <map>
#include <span>
#include <tuple>

#include "formats/format.hpp"
#include "formats/zip_format.hpp"
#include "mq/error.hpp"
#include "src/recipe.hpp"
#include "src/saturating.hpp"
#include "src/stored_spec.hpp"
#include "tools/mq-convert/sums.hpp"
#include "tools/mq-convert/table.hpp"
#include "tools/mq-convert/text.hpp"
#include "tools/mq-convert/views.hpp"

namespace mq::tool {
namespace {

constexpr std::size_t kLeftOutShown = 12;

const LogicalTensor& source_of(const Plan& plan, const Step& step) {
  return plan.source.tensors[step.inputs.front()];
}

std::string stored_as(const LogicalTensor& tensor) {
  return tensor.spec ? stored_spec_text(*tensor.spec) : std::string(to_string(tensor.info.dtype));
}

// Nothing for what stays as it is.
std::string becomes(const Step& step) {
  if (step.action == Step::Action::Drop) return "-";
  if (step.action == Step::Action::Copy) return "";
  if (!step.quantizes()) return std::string(to_string(step.spec->element));
  std::string text = to_string(*step.spec);
  const bool own_scales = is_quantized_block(step.spec->element);
  if (step.spec->scale_dtype && !own_scales)
    text += ", scales " + std::string(info(*step.spec->scale_dtype).short_name);
  return text;
}

bool is_kept_unknown(const Plan& plan, const Step& step) {
  return plan.recipe.task == Recipe::Task::Quantize && step.kind == TensorKind::Unknown && !step.quantizes() &&
         step.action != Step::Action::Drop;
}

std::string one_line_each(const Plan& plan) {
  Table table({{"tensor"}, {"shape"}, {"from"}, {"becomes"}, {"bytes", true}, {"after", true}, {"why"}});
  for (const Step& step : plan.steps) {
    const LogicalTensor& tensor = source_of(plan, step);
    table.add({printable(step.id), to_string(tensor.info.shape), stored_as(tensor), becomes(step),
               human_bytes(step.input_bytes), human_bytes(step.output_bytes), printable(step.reason)});
  }
  return table.text();
}

std::string summed_up(const Plan& plan) {
  struct Group {
    std::vector<std::string> key;
    Sums sums;
  };
  std::vector<Group> groups;  // in the order of their first tensor
  std::map<std::vector<std::string>, std::size_t> index;
  for (const Step& step : plan.steps) {
    // Reasons that name a tensor's own share or size would make a group of each tensor.
    const std::string why = is_kept_unknown(plan, step)           ? "unknown: kept"
                            : step.reason.starts_with("tied to ") ? "not written: tied to another tensor"
                                                                  : printable(step.reason);
    std::vector<std::string> key = {stored_as(source_of(plan, step)), becomes(step), why};
    const auto [it, fresh] = index.emplace(key, groups.size());
    if (fresh) groups.push_back({std::move(key), {}});
    groups[it->second].sums.add(plan, step);
  }
  std::stable_sort(groups.begin(), groups.end(),
                   [](const Group& a, const Group& b) { return a.sums.input_bytes > b.sums.input_bytes; });
  Table table({{"tensors", true}, {"from"}, {"becomes"}, {"bytes", true}, {"after", true}, {"why"}});
  for (const Group& group : groups) {
    table.add({human_count(group.sums.tensors), group.key[0], group.key[1], human_bytes(group.sums.input_bytes),
               human_bytes(group.sums.output_bytes), group.key[2]});
  }
  return table.text() + "(--verbose lists every tensor)\n";
}

std::string unknown_line(const Plan& plan) {
  Sums sums;
  std::string names;
  for (const Step& step : plan.steps) {
    if (!is_kept_unknown(plan, step)) continue;
    sums.add(plan, step);
    if (sums.tensors <= 3) names += (names.empty() ? "" : ", ") + printable(step.id);
  }
  if (sums.tensors == 0) return {};
  if (sums.tensors > 3) names += ", ...";
  return "unknown: " + plural(sums.tensors, "tensor") + " of no known kind, kept, " +
         percent(static_cast<double>(sums.input_bytes), static_cast<double>(plan.input_bytes)) + " of all bytes (" +
         names + "); --include or --rule quantizes them\n";
}

std::string size_line(const Plan& plan, std::int64_t file_bytes) {
  const Sums sums = quantized_sums(plan);
  const bool reports = plan.recipe.task == Recipe::Task::Quantize;
  std::string text = "output: " + human_bytes(plan.output_bytes) + " of tensors, " +
                     percent(static_cast<double>(plan.output_bytes), static_cast<double>(plan.input_bytes)) +
                     " of the input's " + human_bytes(plan.input_bytes);
  if (sums.tensors > 0) text += "; " + fixed(sums.bits_per_weight(), 2) + " bits per quantized weight";
  return text + "\nfiles: " + human_count(file_bytes) + " bytes" +
         (reports ? " and quantization_metadata.json, the report of the run" : "") + '\n';
}

std::string left_out_text(const LeftOut& part) {
  std::string text = printable(part.what);
  if (part.tensors > 0) text += ", " + plural(part.tensors, "tensor");
  if (part.size_bytes > 0) text += ", " + human_bytes(part.size_bytes);
  return text;
}

json::Value step_json(const Plan& plan, const Step& step) {
  constexpr const char* kActions[] = {"copy", "encode", "drop"};
  const LogicalTensor& tensor = source_of(plan, step);
  json::Value value;
  value.set("name", step.id);
  value.set("shape", shape_array(tensor.info.shape));
  value.set("kind", to_string(step.kind));
  value.set("reason", step.reason);
  value.set("action", step.quantizes() ? "quantize" : kActions[static_cast<int>(step.action)]);
  value.set("from", stored_as(tensor));
  if (step.quantizes()) {
    value.set("to", to_string(*step.spec));
    value.set("effort", to_string(step.effort));
    value.set("scale_dtype", step.spec->scale_dtype ? json::Value(to_string(*step.spec->scale_dtype)) : json::Value());
    value.set("bits_per_weight", step.bits_per_weight);
  } else if (step.action != Step::Action::Drop) {
    value.set("to", step.action == Step::Action::Copy ? stored_as(tensor) : becomes(step));
  }
  json::Array outputs;
  for (const std::size_t output : step.outputs) outputs.emplace_back(plan.layout.tensors[output].name);
  value.set("stored_as", std::move(outputs));
  value.set("input_bytes", step.input_bytes);
  value.set("output_bytes", step.output_bytes);
  return value;
}

std::int64_t tensor_bytes(const Checkpoint& checkpoint) {
  std::int64_t bytes = 0;
  for (const TensorInfo& tensor : checkpoint.tensors()) bytes = saturating_add(bytes, tensor.size_bytes());
  return bytes;
}

std::string_view title_of(std::string_view format) {
  for (const formats::Format* known : formats::all_formats()) {
    if (known->name == format) return known->title;
  }
  for (const formats::ZipFormat* known : formats::zip_formats()) {
    if (known->name == format) return known->title;
  }
  return format;
}

}  // namespace

std::string left_out_line(std::span<const LeftOut> left_out) {
  if (left_out.empty()) return {};
  std::string text;
  for (const LeftOut& part : left_out.first(std::min(left_out.size(), kLeftOutShown))) {
    text += (text.empty() ? "left out: " : "; ") + left_out_text(part);
  }
  if (left_out.size() > kLeftOutShown) text += "; and " + std::to_string(left_out.size() - kLeftOutShown) + " more";
  return text + '\n';
}

json::Value to_json(std::span<const LeftOut> left_out) {
  json::Array array;
  for (const LeftOut& part : left_out) {
    json::Value value;
    value.set("what", part.what);
    value.set("tensors", part.tensors);
    value.set("size_bytes", part.size_bytes);
    array.push_back(std::move(value));
  }
  return array;
}

json::Value string_array(const std::vector<std::string>& strings) {
  return json::Array(strings.begin(), strings.end());
}

json::Value shape_array(const Shape& shape) {
  return json::Array(shape.begin(), shape.end());
}

std::string to_text(const InputSummary& input, const Style&) {
  return "input: " + printable(input.checkpoint.path().string(), 4096) + " (" +
         std::string(title_of(input.checkpoint.format())) + "), " +
         plural(static_cast<std::int64_t>(input.checkpoint.tensors().size()), "tensor") + ", " +
         human_bytes(tensor_bytes(input.checkpoint)) + '\n';
}

json::Value to_json(const InputSummary& input) {
  json::Value value;
  value.set("path", input.checkpoint.path().string());
  value.set("format", input.checkpoint.format());
  value.set("tensors", static_cast<std::int64_t>(input.checkpoint.tensors().size()));
  value.set("tensor_bytes", tensor_bytes(input.checkpoint));
  return value;
}

std::string to_text(const PlanView& view, const Style& style) {
  const Plan& plan = view.plan;
  std::string text = left_out_line(plan.left_out) + '\n';
  text += style.verbose || plan.steps.size() <= kLongTable ? one_line_each(plan) : summed_up(plan);
  text += '\n' + unknown_line(plan);
  for (const std::string& note : plan.notes) text += "note: " + printable(note, 1000) + '\n';
  return text + size_line(plan, view.file_bytes);
}

json::Value to_json(const PlanView& view) {
  const Plan& plan = view.plan;
  const Sums sums = quantized_sums(plan);
  json::Array steps;
  for (const Step& step : plan.steps) steps.push_back(step_json(plan, step));
  json::Value quantized;
  quantized.set("tensors", sums.tensors);
  quantized.set("input_bytes", sums.input_bytes);
  quantized.set("output_bytes", sums.output_bytes);
  quantized.set("bits_per_weight", sums.bits_per_weight());
  json::Value value;
  value.set("recipe", to_json(plan.recipe));
  value.set("steps", std::move(steps));
  value.set("notes", string_array(plan.notes));
  value.set("left_out", to_json(plan.left_out));
  value.set("loads_in", string_array(plan.loads_in));
  value.set("quantized", std::move(quantized));
  value.set("input_bytes", plan.input_bytes);
  value.set("output_bytes", plan.output_bytes);
  value.set("file_bytes", view.file_bytes);
  return value;
}

}  // namespace mq::tool
