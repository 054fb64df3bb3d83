#include "tools/mq-convert/finished.hpp"

#include <algorithm>
#include <map>
#include <string>

#include "formats/io/file.hpp"
#include "src/json.hpp"
#include "src/metadata.hpp"
#include "src/null_writer.hpp"
#include "src/recipe.hpp"

namespace mq::tool {
namespace {

// Null if there is none that can be read.
json::Value read_report(const std::filesystem::path& output) {
  const std::filesystem::path path = io::is_folder(output)
                                         ? output / kReportName
                                         : std::filesystem::path(output.string() + "." + std::string(kReportName));
  try {
    return json::parse(io::read_text(path, Limits().header_bytes), path.string());
  } catch (const Error&) {
    return nullptr;
  }
}

bool has_planned_tensors(const Conversion& conversion) {
  using Kind = std::pair<DType, Shape>;
  std::map<std::string_view, Kind> planned;
  for (const TensorInfo& tensor : conversion.plan.layout.tensors) planned[tensor.name] = {tensor.dtype, tensor.shape};
  try {
    const std::unique_ptr<Checkpoint> output = open_checkpoint(conversion.target.path);
    return output->tensors().size() == planned.size() &&
           std::ranges::all_of(output->tensors(), [&](const TensorInfo& tensor) {
             const auto found = planned.find(tensor.name);
             return found != planned.end() && found->second == Kind(tensor.dtype, tensor.shape);
           });
  } catch (const Error&) {
    return false;
  }
}

// The digests of all inputs, as the report of the plan has them.
Report digest_inputs(const Conversion& conversion, Executor& executor, const ConvertOptions& watch) {
  Plan plan = conversion.plan;
  const auto is_quantized = [](const LogicalTensor& tensor) { return tensor.spec.has_value(); };
  if (std::ranges::none_of(plan.source.tensors, is_quantized)) {
    // Copying reads and digests, and spares the arithmetic.
    Recipe copy = plan.recipe;
    copy.task = Recipe::Task::Copy;
    copy.format = "safetensors";  // any will do: nothing is written
    plan = make_plan(conversion.plan.source, copy);
    for (std::size_t i = 0; i < plan.steps.size(); ++i) {
      const Step& step = conversion.plan.steps[i];
      // Rows decide what is digested together, and encodings may have rows of their own.
      plan.steps[i].leading_dims = step.leading_dims;
      plan.steps[i].spec = step.spec;
      if (step.action == Step::Action::Drop) plan.steps[i].action = step.action;
    }
  }
  NullWriter nowhere;
  return convert(*conversion.input, plan, nowhere, executor, {.progress = watch.progress});
}

json::Value without(const json::Value& value, std::initializer_list<std::string_view> keys) {
  json::Object kept;
  for (const auto& [key, member] : *value.as_object()) {
    if (std::ranges::find(keys, key) == keys.end()) kept.emplace_back(key, member);
  }
  return kept;
}

// A report but for what follows from the rest: null if it is none.
json::Value identity_of(const json::Value& report) {
  const json::Value* tensors = report.find("tensors");
  if (tensors == nullptr || tensors->as_array() == nullptr) return nullptr;
  json::Array identities;
  for (const json::Value& tensor : *tensors->as_array()) {
    if (tensor.as_object() == nullptr) return nullptr;
    identities.push_back(without(tensor, {"error", "nonfinite"}));
  }
  json::Value identity = without(report, {"total_error", "tensors"});
  identity.set("tensors", std::move(identities));
  return identity;
}

}  // namespace

bool is_finished(const Conversion& conversion, Executor& executor, const ConvertOptions& watch) {
  const json::Value report = identity_of(read_report(conversion.target.path));
  const json::Value* recipe = report.find("recipe");
  // What is cheap comes before the input is read.
  if (recipe == nullptr || *recipe != to_json(conversion.plan.recipe) || !has_planned_tensors(conversion)) return false;
  const Report digests = digest_inputs(conversion, executor, watch);
  return report == identity_of(json::parse(quantization_metadata(conversion.plan, digests), "the report of this run"));
}

}  // namespace mq::tool
