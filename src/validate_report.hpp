// quantization_metadata.json of a checkpoint that has one, held against its tensors.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "mq/source.hpp"
#include "mq/validate.hpp"
#include "src/json.hpp"

namespace mq {

// What the report says about one tensor.
struct ReportedTensor {
  std::string action;  // "quantize", "cast", "keep", "drop"
  Shape shape;
  std::optional<QuantSpec> spec;  // of quantized ones
};

struct QuantizationReport {
  std::string file;  // where it was found
  std::map<std::string, ReportedTensor, std::less<>> tensors;
};

// Where the report of a checkpoint is: beside a file, or among the files of a directory. Empty if there is none.
std::optional<std::filesystem::path> report_path(const Checkpoint& checkpoint);

// The report of a checkpoint; empty if there is none.
// Throws: Io, Corrupt (not such a report), Unsupported (a newer schema, with both numbers), Limit.
std::optional<QuantizationReport> read_report(const Checkpoint& checkpoint);

// Throws: as read_report. `source` names the text in errors.
QuantizationReport parse_report(std::string_view text, const std::string& source);

// Tensors that the report names and the checkpoint has not or has otherwise, and the reverse.
void check_report(const QuantizationReport& report, const Source& source, std::vector<Finding>& findings);

}  // namespace mq
