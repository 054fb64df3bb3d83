// What the verbs show: each value as text for people and as JSON for programs.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "mq/audit.hpp"
#include "mq/checkpoint.hpp"
#include "mq/compare.hpp"
#include "mq/contents.hpp"
#include "mq/convert.hpp"
#include "mq/destination.hpp"
#include "mq/plan.hpp"
#include "mq/selftest.hpp"
#include "mq/source.hpp"
#include "mq/validate.hpp"
#include "src/json.hpp"
#include "src/metadata.hpp"
#include "src/recipe.hpp"
#include "tools/mq-convert/cost.hpp"
#include "tools/mq-convert/inspect.hpp"
#include "tools/mq-convert/options.hpp"
#include "tools/mq-convert/schemes.hpp"

namespace mq::tool {

struct Style {
  bool verbose = false;  // every tensor, however many there are
};

// Tables longer than this are summed up unless every line was asked for.
inline constexpr std::size_t kLongTable = 60;

// A checkpoint in two lines: what it is and what of it is left out.
struct InputSummary {
  const Checkpoint& checkpoint;
};

// All tensors of a checkpoint.
struct Contents {
  const Checkpoint& checkpoint;
  const Source& source;
};

// Everything in a file, whatever part of it is the model.
struct Tree {
  std::vector<ContentNode> nodes;
};

struct PlanView {
  const Plan& plan;
  std::int64_t file_bytes = 0;  // of the output's files without the report, whose size depends on the data
};

// What each tensor would cost and lose in each candidate, and which one it gets.
struct RatesView {
  const Plan& plan;
  const Rates& rates;
};

struct Result {
  const Plan& plan;
  const Report& report;
  std::filesystem::path path;
  const Options& options;
  double seconds = 0;  // that the conversion took, from the first byte read to the last name taken
};

struct Compared {
  const Comparison& comparison;
};

std::string to_text(const InputSummary& input, const Style& style);
json::Value to_json(const InputSummary& input);

std::string to_text(const PlanView& view, const Style& style);
json::Value to_json(const PlanView& view);

std::string to_text(const RatesView& view, const Style& style);
json::Value to_json(const RatesView& view);

std::string to_text(const Cost& cost, const Style& style);
json::Value to_json(const Cost& cost);

std::string to_text(const Result& result, const Style& style);
json::Value to_json(const Result& result);

std::string to_text(const Contents& contents, const Style& style);
json::Value to_json(const Contents& contents);

std::string to_text(const Tree& tree, const Style& style);
json::Value to_json(const Tree& tree);

std::string to_text(const Inspection& inspection, const Style& style);
json::Value to_json(const Inspection& inspection);

std::string to_text(const Compared& compared, const Style& style);
json::Value to_json(const Compared& compared);

std::string to_text(const Validation& validation, const Style& style);
json::Value to_json(const Validation& validation);

std::string to_text(const AuditReport& report, const Style& style);
json::Value to_json(const AuditReport& report);
// "dangerous: 1 call of os.system", "no code of its own: 39 tensor rebuild calls", ...
std::string summary(const AuditReport& report);

std::string to_text(const Recipe& recipe, const Style& style);
using mq::to_json;  // of a Recipe

// What --for takes.
struct Presets {
  std::span<const Destination> rows;
};
std::string to_text(const Presets& presets, const Style& style);
json::Value to_json(const Presets& presets);

std::string to_text(const std::vector<SchemeRow>& schemes, const Style& style);
json::Value to_json(const std::vector<SchemeRow>& schemes);

std::string to_text(const SelftestReport& report, const Style& style);
json::Value to_json(const SelftestReport& report);

std::string to_text(std::span<const LimitInfo> limits, const Style& style);
json::Value to_json(std::span<const LimitInfo> limits);

// "left out: optimizer, 244 tensors, 1.9 GB; epoch = 12\n", or nothing.
std::string left_out_line(std::span<const LeftOut> left_out);
json::Value to_json(std::span<const LeftOut> left_out);
json::Value string_array(const std::vector<std::string>& strings);
json::Value shape_array(const Shape& shape);

}  // namespace mq::tool
