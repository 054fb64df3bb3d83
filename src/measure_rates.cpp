#include "mq/convert.hpp"
#include "src/null_writer.hpp"
#include "src/plan_budget.hpp"

namespace mq {
namespace {

// Leaves the steps that a budget decides about, and adds up what the others write.
std::int64_t take_other_bytes(Plan& plan) {
  std::int64_t other = 0;
  plan.input_bytes = 0;
  std::erase_if(plan.steps, [&](const Step& step) {
    if (!step.by_scheme) other += step.output_bytes;
    if (step.by_scheme && step.quantizes()) plan.input_bytes += step.input_bytes;
    return !step.by_scheme;
  });
  return other;
}

double weight_of(const Step& step, const Recipe& recipe, const Analysis& analysis) {
  if (!recipe.weigh_tensors) return 1;
  const auto found = analysis.sensitivity.find(step.id.str());
  if (found != analysis.sensitivity.end()) return found->second;
  throw Error({.code = ErrorCode::Usage,
               .message = "there is no sensitivity for this tensor",
               .tensor = step.id,
               .hint = "give it a --rule, or keep it with --exclude"});
}

}  // namespace

std::vector<Recipe> measuring_recipes(const Recipe& recipe) {
  std::vector<Recipe> all;
  for (const QuantSpec& candidate : candidates_of(recipe)) {
    Recipe one = recipe;
    one.budget.reset();
    one.scheme = candidate;
    if (one.if_indivisible == IfIndivisible::Error) one.if_indivisible = IfIndivisible::Keep;
    all.push_back(std::move(one));
  }
  return all;
}

Rates measure_rates(const Checkpoint& checkpoint, const Source& source, const Recipe& recipe, const Analysis& analysis,
                    Executor& executor, const std::function<bool(const Progress&)>& progress) {
  Rates rates;
  std::map<std::string, std::int64_t> kept_bytes;  // of tensors that no candidate has fitted yet
  for (const Recipe& one : measuring_recipes(recipe)) {
    Plan plan = make_plan(source, one, analysis);
    rates.other_bytes = take_other_bytes(plan);
    for (const Step& step : plan.steps) {
      if (rates.tensors[step.id.str()].empty()) kept_bytes[step.id.str()] = step.output_bytes;
    }
    std::erase_if(plan.steps, [](const Step& step) { return !step.quantizes(); });
    std::vector<double> weights;
    for (const Step& step : plan.steps) weights.push_back(weight_of(step, recipe, analysis));
    NullWriter writer;
    const Report report = convert(checkpoint, plan, writer, executor, {.progress = progress, .weigh_errors = true});
    for (std::size_t i = 0; i < plan.steps.size(); ++i) {
      const Step& step = plan.steps[i];
      const ErrorStats& error = report.steps[i].error;
      const double weight = weights[i];
      kept_bytes.erase(step.id.str());
      rates.tensors[step.id.str()].push_back({.spec = one.scheme,
                                              .bytes = step.output_bytes,
                                              .error = weight * error.error_sq,
                                              .power = weight * error.x_sq});
    }
  }
  for (const auto& [name, bytes] : kept_bytes) rates.other_bytes += bytes;
  return rates;
}

}  // namespace mq
