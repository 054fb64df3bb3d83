#include "src/validate_report.hpp"

#include <set>

#include "formats/io/file.hpp"
#include "mq/version.hpp"
#include "src/dialects/torch_quantized.hpp"
#include "src/metadata.hpp"
#include "src/stored_spec.hpp"

namespace mq {
namespace {

[[noreturn]] void malformed(const std::string& source, std::string message, std::string expected) {
  throw Error(
      {.code = ErrorCode::Corrupt, .message = std::move(message), .file = source, .expected = std::move(expected)});
}

const std::string& string_member(const json::Value& entry, std::string_view key, const std::string& source) {
  const json::Value* value = entry.find(key);
  if (value == nullptr || value->as_string() == nullptr) {
    malformed(source, "an entry of tensors without " + std::string(key), "a string");
  }
  return *value->as_string();
}

void check_schema(const json::Value& report, const std::string& source) {
  const json::Value* version = report.find("schema_version");
  if (version == nullptr || version->as_int() == nullptr || *version->as_int() < 1) {
    malformed(source, "no schema_version", "a number from 1 to " + std::to_string(kMetadataSchema));
  }
  if (*version->as_int() <= kMetadataSchema) return;
  throw Error({.code = ErrorCode::Unsupported,
               .message = "the report's schema is newer than this program",
               .file = source,
               .expected = "schema_version " + std::to_string(kMetadataSchema) + " or older",
               .found = std::to_string(*version->as_int()),
               .hint = "use a newer mq"});
}

ReportedTensor parse_tensor(const json::Value& entry, const std::string& source) {
  ReportedTensor tensor{.action = string_member(entry, "action", source), .shape = {}, .spec = {}};
  const json::Value* shape = entry.find("shape");
  if (shape == nullptr || shape->as_array() == nullptr) malformed(source, "a tensor without a shape", "a list");
  for (const json::Value& dim : *shape->as_array()) {
    if (dim.as_int() == nullptr) malformed(source, "a bad dimension", "a whole number");
    tensor.shape.push_back(*dim.as_int());
  }
  if (tensor.action == "quantize") tensor.spec = parse_spec(string_member(entry, "spec", source));
  return tensor;
}

// A tensor that is stored as one has that one's name, which in a GGUF file is llama.cpp's.
const std::string& name_in_file(const json::Value& entry, const std::string& name) {
  const json::Value* const stored = entry.find("stored_as");
  if (stored == nullptr || stored->as_array() == nullptr || stored->as_array()->size() != 1) return name;
  const std::string* const only = stored->as_array()->front().as_string();
  return only == nullptr ? name : *only;
}

// The activations that a runtime shall use are read back less precisely than they were asked for.
std::string spec_text(QuantSpec spec) {
  spec.activation.reset();
  return stored_spec_text(spec);
}

void check_tensor(const std::string& name, const ReportedTensor& expected, const LogicalTensor& found,
                  std::vector<Finding>& findings) {
  const auto fail = [&](std::string message) {
    findings.push_back({Finding::Severity::Failure, name, std::move(message)});
  };
  if (expected.shape != found.info.shape) {
    fail("the report gives shape " + to_string(expected.shape) + ", found " + to_string(found.info.shape));
  }
  std::optional<QuantSpec> spec = expected.spec;
  if (spec && found.dialect == kTorchQuantized.name) {
    // These have zero points in any case; that all are equal is not in the structure.
    spec->mapping = Mapping::Asymmetric;
    spec->range = RangeKind::Narrow;
  }
  const std::string wanted = spec ? spec_text(*spec) : "not quantized";
  const std::string stored = found.spec ? spec_text(*found.spec) : "not quantized";
  if (wanted != stored) fail("the report gives " + wanted + ", found " + stored);
}

}  // namespace

QuantizationReport parse_report(std::string_view text, const std::string& source) {
  const json::Value value = json::parse(text, source);
  check_schema(value, source);
  const json::Value* tensors = value.find("tensors");
  if (tensors == nullptr || tensors->as_array() == nullptr) malformed(source, "no tensors", "a list");
  QuantizationReport report{.file = source, .tensors = {}};
  for (const json::Value& entry : *tensors->as_array()) {
    const std::string& name = name_in_file(entry, string_member(entry, "name", source));
    if (!report.tensors.emplace(name, parse_tensor(entry, source)).second) {
      malformed(source, "the tensor " + printable(name) + " is listed twice", "each once");
    }
  }
  return report;
}

std::optional<std::filesystem::path> report_path(const Checkpoint& checkpoint) {
  std::filesystem::path path = checkpoint.path();
  if (io::is_folder(path)) {
    path /= kReportName;
  } else {
    path += "." + std::string(kReportName);
  }
  if (!io::is_file(path)) return std::nullopt;
  return path;
}

std::optional<QuantizationReport> read_report(const Checkpoint& checkpoint) {
  const std::optional<std::filesystem::path> path = report_path(checkpoint);
  if (!path) return std::nullopt;
  return parse_report(io::read_text(*path, kMaxReportBytes), path->string());
}

void check_report(const QuantizationReport& report, const Source& source, std::vector<Finding>& findings) {
  std::set<std::string_view> found;
  for (const LogicalTensor& tensor : source.tensors) {
    const SharedString& name = tensor.info.name;
    found.insert(name);
    const auto expected = report.tensors.find(name);
    if (expected == report.tensors.end()) {
      findings.push_back({Finding::Severity::Failure, name, "is not in the report " + report.file});
    } else {
      check_tensor(name, expected->second, tensor, findings);
    }
  }
  for (const auto& [name, tensor] : report.tensors) {
    if (tensor.action == "drop" || found.contains(name)) continue;
    findings.push_back({Finding::Severity::Failure, name, "is missing: the report " + report.file + " lists it"});
  }
}

}  // namespace mq
