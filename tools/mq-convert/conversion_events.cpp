#include "tools/mq-convert/conversion_events.hpp"

#include "mq/version.hpp"
#include "tools/mq-convert/args.hpp"
#include "tools/mq-convert/sums.hpp"

namespace mq::tool {

json::Value start_event(const Options& options) {
  json::Value fields;
  fields.set("command", to_string(options.verb));
  fields.set("version", kVersion);
  fields.set("input", options.in.string());
  fields.set("output", options.out.empty() ? json::Value() : json::Value(options.out.string()));
  return fields;
}

json::Value plan_event(const Conversion& conversion) {
  const Plan& plan = conversion.plan;
  const Sums sums = quantized_sums(plan);
  json::Value fields;
  fields.set("tensors", static_cast<std::int64_t>(plan.steps.size()));
  fields.set("quantized", sums.tensors);
  fields.set("input_bytes", plan.input_bytes);
  fields.set("output_bytes", plan.output_bytes);
  fields.set("file_bytes", conversion.cost.file_bytes);
  fields.set("bits_per_weight", sums.bits_per_weight());
  fields.set("memory_bound_bytes", conversion.cost.memory_bytes());
  return fields;
}

void log_result(EventLog& log, const Result& result) {
  for (const std::string& name : result.report.warnings) log.warning(name + ": below 10 dB");
  for (const StepReport& step : result.report.steps) {
    if (step.nonfinite.total() > 0) {
      log.warning(step.id + ": " + std::to_string(step.nonfinite.total()) + " values are NaN or infinite");
    }
  }
  json::Value fields;
  fields.set("output", result.path.string());
  fields.set("output_bytes", result.report.output_bytes);
  fields.set("sqnr_db", result.report.total.numel > 0 ? json::Value(result.report.total.sqnr_db()) : json::Value());
  fields.set("exit_code", 0);
  log.emit("done", fields);
}

}  // namespace mq::tool
