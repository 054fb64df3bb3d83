#include <algorithm>
#include <cmath>

#include "mq/error.hpp"
#include "tools/mq-convert/sums.hpp"
#include "tools/mq-convert/table.hpp"
#include "tools/mq-convert/text.hpp"
#include "tools/mq-convert/views.hpp"

namespace mq::tool {
namespace {

constexpr std::size_t kWorstShown = 10;

// Indices of the quantized steps, lowest SQNR first.
std::vector<std::size_t> worst_first(const Result& result) {
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < result.plan.steps.size(); ++i) {
    if (result.plan.steps[i].quantizes()) order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return result.report.steps[a].error.sqnr_db() < result.report.steps[b].error.sqnr_db();
  });
  return order;
}

std::string error_table(const Result& result, bool all) {
  const std::vector<std::size_t> order = worst_first(result);
  if (order.empty()) return {};
  const std::size_t shown = all ? order.size() : std::min(order.size(), kWorstShown);
  Table table({{"tensor"}, {"scheme"}, {"SQNR", true}, {"max error", true}, {"bytes", true}, {"after", true}});
  for (std::size_t i = 0; i < shown; ++i) {
    const Step& step = result.plan.steps[order[i]];
    const ErrorStats& error = result.report.steps[order[i]].error;
    table.add({printable(step.id), to_string(*step.spec), decibels(error.sqnr_db()), small_number(error.max_error),
               human_bytes(step.input_bytes), human_bytes(step.output_bytes)});
  }
  std::string text = '\n' + table.text();
  if (shown < order.size()) text += "(the worst " + std::to_string(shown) + "; --verbose lists all)\n";
  const std::size_t worst = order.front();
  return text + "total: " + decibels(result.report.total.sqnr_db()) + " over " +
         plural(static_cast<std::int64_t>(order.size()), "quantized tensor") + ", the worst " +
         decibels(result.report.steps[worst].error.sqnr_db()) + " (" + printable(result.plan.steps[worst].id) + ")\n";
}

// Of tensors that lost so much that the model may not work.
std::string warnings(const Result& result) {
  const std::vector<std::string>& names = result.report.warnings;
  if (names.empty()) return {};
  std::string text = "warning: below 10 dB, where a tenth of the signal is noise: ";
  for (std::size_t i = 0; i < std::min(names.size(), kWorstShown); ++i)
    text += (i > 0 ? ", " : "") + printable(names[i]);
  if (names.size() > kWorstShown) text += " and " + std::to_string(names.size() - kWorstShown) + " more";
  return text + "; use more bits or smaller groups for them (--rule)\n";
}

std::string nonfinite_line(const Result& result) {
  NonfiniteCounts total;
  std::size_t tensors = 0;
  std::string names;
  for (const StepReport& step : result.report.steps) {
    const NonfiniteCounts& counts = step.nonfinite;
    if (counts.total() == 0) continue;
    total.add(counts);
    if (++tensors > kWorstShown) continue;
    names += (names.empty() ? "" : ", ") + printable(step.id) + " (" + human_count(counts.nan) + " NaN, " +
             human_count(counts.infinite) + " infinite)";
  }
  if (tensors == 0) return {};
  if (tensors > kWorstShown) names += " and " + std::to_string(tensors - kWorstShown) + " more";
  return "warning: " + plural(total.nan, "NaN") + " became 0 and " + human_count(total.infinite) +
         " infinite the outermost code: " + names + '\n';
}

// What was done, in three lines: how much of the model is quantized, as what; sizes; time.
std::string summary(const Result& result) {
  const Plan& plan = result.plan;
  const Sums sums = quantized_sums(plan);
  std::string text;
  if (sums.tensors > 0) {
    text += "quantized: " + human_count(sums.tensors) + " of " +
            plural(static_cast<std::int64_t>(plan.steps.size()), "tensor") + ", " +
            percent(static_cast<double>(sums.input_bytes), static_cast<double>(plan.input_bytes)) + " of the bytes, " +
            fixed(sums.bits_per_weight(), 2) + " bits per weight\n";
  }
  text += "size: " + human_bytes(plan.input_bytes) + " before, " + human_bytes(plan.output_bytes) + " after (" +
          percent(static_cast<double>(plan.output_bytes), static_cast<double>(plan.input_bytes)) + ")\n";
  const double speed = static_cast<double>(plan.input_bytes) / std::max(result.seconds, 1e-9);
  return text + "time: " + duration_text(result.seconds) + ", " + human_bytes(static_cast<std::int64_t>(speed)) +
         "/s of input\n";
}

// What did not have to be done.
std::string saved_work(const Result& result) {
  const Report& report = result.report;
  std::string text;
  if (result.options.resume) {
    for (const std::string& note : report.notes) text += "note: " + printable(note) + '\n';
    text += "resumed: " + plural(report.resumed, "tensor") + " of " + std::to_string(result.plan.steps.size()) +
            " had been written before\n";
  }
  if (!result.options.reuse.empty()) {
    text += "reused: " + plural(report.reused, "quantized tensor") + " of " +
            printable(result.options.reuse.string(), 4096) + '\n';
  }
  return text;
}

std::string loads_in_line(const Plan& plan) {
  if (plan.recipe.task != Recipe::Task::Quantize) return {};
  const bool quantizes =
      std::any_of(plan.steps.begin(), plan.steps.end(), [](const Step& step) { return step.quantizes(); });
  if (!quantizes && plan.recipe.format != "gguf") return "loads in: anything that reads safetensors\n";
  std::string names;
  for (const std::string& name : plan.loads_in) names += (names.empty() ? "" : ", ") + name;
  return "loads in: " + (names.empty() ? std::string("mq only") : names) + '\n';
}

}  // namespace

std::string to_text(const Result& result, const Style& style) {
  std::string text = error_table(result, style.verbose);
  text += warnings(result) + nonfinite_line(result) + saved_work(result) + summary(result);
  text += "wrote: " + printable(result.path.string(), 4096) + ", " + human_bytes(result.report.output_bytes) + " (" +
          human_count(result.report.output_bytes) + " bytes)\n";
  return text + loads_in_line(result.plan);
}

json::Value to_json(const Result& result) {
  json::Array tensors;
  for (const std::size_t i : worst_first(result)) {
    json::Value value;
    value.set("name", result.plan.steps[i].id);
    value.set("spec", to_string(*result.plan.steps[i].spec));
    value.set("error", to_json(result.report.steps[i].error));
    value.set("nonfinite", to_json(result.report.steps[i].nonfinite));
    tensors.push_back(std::move(value));
  }
  json::Value value;
  value.set("path", result.path.string());
  value.set("size_bytes", result.report.output_bytes);
  value.set("seconds", result.seconds);
  value.set("input_bytes_per_second", static_cast<double>(result.plan.input_bytes) / std::max(result.seconds, 1e-9));
  value.set("total", result.report.total.numel > 0 ? to_json(result.report.total) : json::Value());
  value.set("tensors", std::move(tensors));
  value.set("warnings", string_array(result.report.warnings));
  value.set("resumed", result.report.resumed);
  value.set("reused", result.report.reused);
  value.set("notes", string_array(result.report.notes));
  return value;
}

}  // namespace mq::tool
