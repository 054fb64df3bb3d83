#include "mq/error.hpp"
#include "tools/mq-convert/text.hpp"
#include "tools/mq-convert/views.hpp"

namespace mq::tool {

std::string to_text(const Validation& validation, const Style&) {
  std::string text;
  for (const Finding& finding : validation.findings) {
    text += finding.severity == Finding::Severity::Failure ? "failure: " : "warning: ";
    if (!finding.tensor.empty()) text += printable(finding.tensor) + ": ";
    text += printable(finding.message, 1000) + '\n';
  }
  return text + (validation.ok() ? "ok: " : "not ok: ") + plural(validation.tensors, "tensor") + " checked, " +
         human_count(validation.quantized) + " of them quantized\n";
}

json::Value to_json(const Validation& validation) {
  json::Array findings;
  for (const Finding& finding : validation.findings) {
    json::Value value;
    value.set("severity", finding.severity == Finding::Severity::Failure ? "failure" : "warning");
    value.set("tensor", finding.tensor.empty() ? json::Value() : json::Value(finding.tensor));
    value.set("message", finding.message);
    findings.push_back(std::move(value));
  }
  json::Value value;
  value.set("tensors", validation.tensors);
  value.set("quantized", validation.quantized);
  value.set("findings", std::move(findings));
  return value;
}

}  // namespace mq::tool
