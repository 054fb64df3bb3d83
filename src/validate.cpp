#include "mq/validate.hpp"

#include <algorithm>
#include <unordered_map>

#include "src/runtime_rules.hpp"
#include "src/validate_report.hpp"
#include "src/validate_structure.hpp"
#include "src/validate_values.hpp"

namespace mq {
namespace {

void add_failure(const Error& error, std::vector<Finding>& findings) {
  ErrorDetails details = error.details();
  const std::string tensor = std::exchange(details.tensor, {});
  details.file.clear();
  findings.push_back({Finding::Severity::Failure, tensor, Error(std::move(details)).what()});
}

// The checkpoint as its config describes it; tensor by tensor if the two contradict each other.
Source describe_or_report(const Checkpoint& checkpoint, std::vector<Finding>& findings, bool& consistent) {
  try {
    consistent = true;
    return describe(checkpoint);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::Corrupt) throw;
    consistent = false;
    add_failure(error, findings);
  }
  return describe(checkpoint, Recognise::Nothing);
}

std::optional<QuantizationReport> report_or_finding(const Checkpoint& checkpoint, std::vector<Finding>& findings) {
  try {
    return read_report(checkpoint);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::Corrupt && error.code() != ErrorCode::Usage) throw;
    findings.push_back({Finding::Severity::Failure, "", error.what()});
  }
  return std::nullopt;
}

// By tensor, in the order of the source; what belongs to no tensor of it goes first.
void sort_findings(const Source& source, std::vector<Finding>& findings) {
  std::unordered_map<std::string_view, std::size_t> order;
  for (std::size_t i = 0; i < source.tensors.size(); ++i) order.emplace(source.tensors[i].info.name, i + 1);
  const auto position = [&](const Finding& finding) {
    const auto it = order.find(finding.tensor);
    return it == order.end() ? 0 : it->second;
  };
  std::stable_sort(findings.begin(), findings.end(),
                   [&](const Finding& a, const Finding& b) { return position(a) < position(b); });
}

}  // namespace

Validation validate(const Checkpoint& checkpoint, Executor& executor, std::string_view runtime) {
  Validation result;
  bool consistent = true;
  const Source source = describe_or_report(checkpoint, result.findings, consistent);
  const std::optional<QuantizationReport> report = report_or_finding(checkpoint, result.findings);
  if (consistent && !runtime.empty()) check_runtime(source, runtime, result.findings);
  if (consistent) {
    check_structure(source, result.findings);
    if (report) check_report(*report, source, result.findings);
  }
  for (const LogicalTensor& tensor : source.tensors) {
    const QuantSpec* limits = nullptr;
    if (report && consistent && tensor.spec) {
      const auto it = report->tensors.find(tensor.info.name);
      if (it != report->tensors.end() && it->second.spec) limits = &*it->second.spec;
    }
    check_values(checkpoint, tensor, limits, executor, result.findings);
    ++result.tensors;
    result.quantized += tensor.spec ? 1 : 0;
  }
  sort_findings(source, result.findings);
  return result;
}

}  // namespace mq
