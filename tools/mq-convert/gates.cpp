#include "tools/mq-convert/gates.hpp"

#include <algorithm>

#include "tools/mq-convert/text.hpp"
#include "tools/mq-convert/views.hpp"

namespace mq::tool {
namespace {

// Below 10 dB a tenth of a channel's power is noise.
constexpr double kLostDb = 10;
// A tensor whose channels are all this bad is not misleading.
constexpr double kGapDb = 10;

// Not a number misses every limit.
bool below(double db, double limit) {
  return !(db >= limit);
}

Error missed(const TensorComparison& tensor, const char* option, double limit, double db, const std::string& where) {
  return Error({.code = ErrorCode::Mismatch,
                .message = where + "SQNR below the limit",
                .tensor = tensor.name,
                .expected = "at least " + small_number(limit) + " dB (" + option + ")",
                .found = decibels(db)});
}

}  // namespace

bool has_lost_channel(const TensorComparison& tensor) {
  return tensor.worst_channel_db < kLostDb && tensor.error.sqnr_db() - tensor.worst_channel_db > kGapDb;
}

std::vector<Error> missed_limits(const Comparison& comparison, const Options& options) {
  std::vector<Error> errors;
  if (!options.min_sqnr && !options.min_channel_sqnr) return errors;
  for (const TensorComparison& tensor : comparison.tensors) {
    if (options.min_sqnr && below(tensor.error.sqnr_db(), *options.min_sqnr)) {
      errors.push_back(missed(tensor, "--min-sqnr", *options.min_sqnr, tensor.error.sqnr_db(), ""));
    }
    if (options.min_channel_sqnr && below(tensor.worst_channel_db, *options.min_channel_sqnr)) {
      errors.push_back(missed(tensor, "--min-channel-sqnr", *options.min_channel_sqnr, tensor.worst_channel_db,
                              "channel " + std::to_string(tensor.worst_channel) + ": "));
    }
  }
  for (const std::string& name : comparison.missing) {
    errors.push_back(Error({.code = ErrorCode::Mismatch, .message = "missing in QUANTIZED", .tensor = name}));
  }
  for (const std::string& name : comparison.different) {
    errors.push_back(Error({.code = ErrorCode::Mismatch,
                            .message = "cannot be compared",
                            .tensor = name,
                            .expected = "floats of equal shape, or equal integers"}));
  }
  return errors;
}

std::optional<Error> failure_of(const Validation& validation, const Options& options) {
  const auto is_failure = [](const Finding& f) { return f.severity == Finding::Severity::Failure; };
  const auto failures = std::count_if(validation.findings.begin(), validation.findings.end(), is_failure);
  if (failures == 0) return std::nullopt;
  const auto first = std::find_if(validation.findings.begin(), validation.findings.end(), is_failure);
  return Error(
      {.code = ErrorCode::Mismatch,
       .message = failures == 1 ? first->message : plural(failures, "failure") + ", the first: " + first->message,
       .file = options.in.string(),
       .tensor = first->tensor});
}

std::optional<Error> failure_of(const AuditReport& report) {
  const Verdict verdict = report.verdict();
  if (verdict < Verdict::Corrupt) return std::nullopt;
  const bool dangerous = verdict == Verdict::Dangerous;
  return Error({.code = dangerous ? ErrorCode::Dangerous : ErrorCode::Corrupt,
                .message = summary(report),
                .file = report.path.string(),
                .hint = dangerous ? "do not load it in Python; nothing was executed here" : ""});
}

std::optional<Error> failure_of(const SelftestReport& report) {
  const auto differs = [](const SelftestIsa& isa) { return isa.differences != 0; };
  const auto first = std::find_if(report.isas.begin(), report.isas.end(), differs);
  if (first == report.isas.end()) return std::nullopt;
  return Error({.code = ErrorCode::Mismatch,
                .message = "kernels of " + first->name + " do not give the bits of the reference",
                .expected = "no difference in " + human_count(first->kernel_checks + first->product_checks) + " checks",
                .found = human_count(first->differences) + ", the first: " + first->failures.front(),
                .hint = "MQ_FORCE_ISA=reference runs without them"});
}

}  // namespace mq::tool
