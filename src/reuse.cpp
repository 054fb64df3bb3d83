#include "src/reuse.hpp"

#include <algorithm>
#include <string>
#include <string_view>
#include <unordered_map>

#include "formats/io/file.hpp"
#include "mq/version.hpp"
#include "src/metadata.hpp"
#include "src/null_writer.hpp"
#include "src/step_run.hpp"
#include "src/validate_report.hpp"

namespace mq {
namespace {

constexpr std::int64_t kCopyBytes = 1 << 20;

bool has(const json::Value& value, std::string_view key, const json::Value& wanted) {
  const json::Value* const found = value.find(key);
  return found != nullptr && *found == wanted;
}

double number(const json::Value& value, std::string_view key) {
  const json::Value* const found = value.find(key);
  if (found == nullptr) return 0;
  if (const std::int64_t* whole = found->as_int()) return static_cast<double>(*whole);
  return found->as_double() == nullptr ? 0 : *found->as_double();
}

// Of the old report: what `quantization_metadata` wrote, exactly, since numbers are printed so that they read back
// equal.
std::optional<ErrorStats> error_of(const json::Value& entry, std::int64_t numel) {
  const json::Value* const error = entry.find("error");
  const json::Value* const sums = error == nullptr ? nullptr : error->find("sums");
  if (sums == nullptr) return std::nullopt;
  return ErrorStats{.error_sq = number(*sums, "error_sq"),
                    .x_sq = number(*sums, "x_sq"),
                    .y_sq = number(*sums, "y_sq"),
                    .max_error = number(*error, "max_error"),
                    .numel = numel};
}

NonfiniteCounts nonfinite_of(const json::Value& entry) {
  const json::Value* const counts = entry.find("nonfinite");
  if (counts == nullptr) return {};
  return {.nan = static_cast<std::int64_t>(number(*counts, "nan")),
          .infinite = static_cast<std::int64_t>(number(*counts, "infinite"))};
}

// Whether both describe the same encoding of a tensor of the same kind under the same names.
bool is_same_encoding(const json::Value& a, const json::Value& b) {
  constexpr std::string_view kDeciding[] = {"name",        "action",          "kind",   "dtype",    "shape", "spec",
                                            "scale_dtype", "bits_per_weight", "search", "stored_as"};
  const json::Value* const input = a.find("input_range");
  if (input ? !has(b, "input_range", *input) : b.find("input_range") != nullptr) return false;
  return std::ranges::all_of(kDeciding, [&](std::string_view key) {
    const json::Value* const value = a.find(key);
    return value != nullptr && has(b, key, *value);
  });
}

json::Value read_old_report(const Checkpoint& old, const Plan& plan) {
  const std::optional<std::filesystem::path> path = report_path(old);
  const auto refuse = [&](std::string message, std::string expected, std::string found) {
    throw Error({.code = ErrorCode::Usage,
                 .message = std::move(message),
                 .file = path ? path->string() : old.path().string(),
                 .expected = std::move(expected),
                 .found = std::move(found)});
  };
  if (!path) refuse("nothing of this output can be used again", std::string(kReportName) + " beside it", "");
  json::Value report = json::parse(io::read_text(*path, kMaxReportBytes), path->string());
  if (!has(report, "tool_version", kVersion)) {
    const json::Value* const version = report.find("tool_version");
    refuse("made by another version", kVersion, version == nullptr ? "none" : json::dump(*version, -1));
  }
  const json::Value* const recipe = report.find("recipe");
  if (recipe == nullptr || !has(*recipe, "dialect", plan.recipe.dialect))
    refuse("another dialect", plan.recipe.dialect, "");
  const json::Value* const tensors = report.find("tensors");
  if (tensors == nullptr || tensors->as_array() == nullptr) refuse("no tensors", "a list", "");
  return report;
}

}  // namespace

Reuse::Reuse(const Checkpoint& old, const Plan& plan) : old_(old), plan_(plan), found_(plan.steps.size()) {
  const json::Value report = read_old_report(old, plan);
  std::unordered_map<std::string_view, const json::Value*> entries;
  for (const json::Value& entry : *report.find("tensors")->as_array()) {
    const json::Value* const name = entry.find("name");
    if (name != nullptr && name->as_string() != nullptr) entries.emplace(*name->as_string(), &entry);
  }
  for (std::size_t i = 0; i < plan.steps.size(); ++i) {
    const Step& step = plan.steps[i];
    const LogicalTensor& input = plan.source.tensors[step.inputs.front()];
    // A range given from outside, or a source that is quantized itself, is not in the digest.
    if (!step.quantizes() || step.range || input.spec) continue;
    const auto entry = entries.find(step.id);
    if (entry == entries.end() || !is_same_encoding(step_value(plan, step, {}), *entry->second)) continue;
    const std::optional<ErrorStats> error = error_of(*entry->second, input.info.numel());
    const json::Value* const digest = entry->second->find("digest");
    if (!error || digest == nullptr || digest->as_string() == nullptr) continue;
    const NonfiniteCounts nonfinite = nonfinite_of(*entry->second);
    if (nonfinite.total() > 0 && !plan.recipe.allow_nan) continue;
    Found found{.report = {.id = step.id, .error = *error, .nonfinite = nonfinite, .digest = *digest->as_string()},
                .stored = {}};
    for (const std::size_t output : step.outputs) {
      const TensorInfo& wanted = plan.layout.tensors[output];
      const std::optional<std::size_t> at = old.find(wanted.name);
      if (!at || old.tensors()[*at].dtype != wanted.dtype || old.tensors()[*at].shape != wanted.shape) break;
      found.stored.push_back(*at);
    }
    if (found.stored.size() == step.outputs.size()) found_[i] = std::move(found);
  }
}

std::optional<StepReport> Reuse::copy(std::size_t step, const Checkpoint& checkpoint, CheckpointWriter& writer,
                                      Executor& executor) const {
  const Found& found = *found_[step];
  Step reading = plan_.steps[step];
  reading.action = Step::Action::Copy;
  reading.transforms.clear();
  NullWriter nowhere;  // read only for the sake of its digest
  StepRun run(checkpoint, plan_, reading, nowhere);
  executor.parallel_for(run.tiles(), [&](std::int64_t tile) {
    WorkerScratch scratch;
    run.run(tile, 1, scratch);
  });
  if (run.report().digest != found.report.digest) return std::nullopt;
  for (std::size_t i = 0; i < found.stored.size(); ++i) {
    const TensorInfo& tensor = old_.tensors()[found.stored[i]];
    const DTypeInfo& type = info(tensor.dtype);
    const std::int64_t size = tensor.size_bytes();
    const std::int64_t part = kCopyBytes / type.block_bytes * type.block_bytes;
    executor.parallel_for((size + part - 1) / part, [&](std::int64_t n) {
      const std::int64_t at = n * part;
      std::vector<std::byte> bytes(static_cast<std::size_t>(std::min(part, size - at)));
      const std::int64_t numel = static_cast<std::int64_t>(bytes.size()) / type.block_bytes * type.block_numel;
      old_.read(found.stored[i], at / type.block_bytes * type.block_numel, numel, bytes);
      writer.write(plan_.steps[step].outputs[i], 0, 1, at, size, bytes);
    });
  }
  return found.report;
}

}  // namespace mq
