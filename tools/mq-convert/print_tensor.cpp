#include <algorithm>

#include "mq/error.hpp"
#include "src/stored_spec.hpp"
#include "tools/mq-convert/text.hpp"
#include "tools/mq-convert/views.hpp"

namespace mq::tool {
namespace {

constexpr std::size_t kLabelWidth = 14;
constexpr std::int64_t kBarWidth = 50;

std::string line(std::string label, const std::string& text) {
  label.resize(std::max(kLabelWidth, label.size() + 1), ' ');
  return label + text + '\n';
}

std::string span_text(double lo, double hi) {
  return small_number(lo) + " .. " + small_number(hi);
}

std::string histogram_text(const std::vector<CodeBar>& bars) {
  std::int64_t highest = 1;
  for (const CodeBar& bar : bars) highest = std::max(highest, bar.count);
  std::string text;
  for (const CodeBar& bar : bars) {
    std::string label = std::to_string(bar.first);
    if (bar.last != bar.first) label += ".." + std::to_string(bar.last);
    label.insert(0, label.size() < 10 ? 10 - label.size() : 0, ' ');
    // At least one mark for what is there at all.
    const auto marks = bar.count == 0 ? 0 : std::max<std::int64_t>(1, bar.count * kBarWidth / highest);
    std::string drawn(static_cast<std::size_t>(marks), '#');
    drawn.resize(static_cast<std::size_t>(kBarWidth), ' ');
    text += "  " + label + " |" + drawn + "| " + human_count(bar.count) + '\n';
  }
  return text;
}

std::string code_text(const CodeFigures& codes) {
  std::string text;
  if (codes.scales > 0) {
    text += line("scales", human_count(codes.scales) + ", " + span_text(codes.scale_min, codes.scale_max));
  }
  if (codes.zero_points > 0) {
    text += line("zero points", human_count(codes.zero_points) + ", " + std::to_string(codes.zero_point_min) + " .. " +
                                    std::to_string(codes.zero_point_max));
  } else if (!codes.histogram.empty()) {
    text += line("zero points", "none (symmetric)");
  }
  if (!codes.histogram.empty()) text += "codes\n" + histogram_text(codes.histogram);
  return text;
}

std::string value_text(const ValueFigures& values, bool decoded) {
  std::string text =
      line(decoded ? "decoded" : "values", span_text(values.min, values.max) + ", mean " + small_number(values.mean) +
                                               ", standard deviation " + small_number(values.deviation));
  if (values.zeros > 0) text += line("", human_count(values.zeros) + " of them 0");
  if (values.nan > 0) text += line("", human_count(values.nan) + " NaN");
  if (values.infinite > 0) text += line("", human_count(values.infinite) + " infinite");
  return text;
}

}  // namespace

std::string to_text(const Inspection& inspection, const Style&) {
  const LogicalTensor& tensor = inspection.tensor;
  std::int64_t bytes = 0;
  for (const TensorInfo& part : inspection.stored) bytes += part.size_bytes();
  std::string text = printable(tensor.info.name) + '\n';
  text += line("shape", to_string(tensor.info.shape) + ", " + plural(tensor.info.numel(), "element"));
  text += line("stored as", tensor.spec ? stored_spec_text(*tensor.spec) : std::string(to_string(tensor.info.dtype)));
  text += line("size", human_bytes(bytes) +
                           (inspection.codes ? ", " + fixed(inspection.codes->bits_per_weight, 2) + " bits per weight"
                                             : std::string()));
  if (tensor.spec) {
    for (std::size_t i = 0; i < inspection.stored.size(); ++i) {
      const TensorInfo& part = inspection.stored[i];
      text += line(i == 0 ? "parts" : "", std::string(tensor.parts[i].part) + ": " + printable(part.name) + ", " +
                                              std::string(to_string(part.dtype)) + " " + to_string(part.shape));
    }
  }
  if (inspection.codes) text += code_text(*inspection.codes);
  if (inspection.values) text += value_text(*inspection.values, tensor.spec.has_value());
  std::string first;
  for (const double value : inspection.first_values) first += (first.empty() ? "" : "  ") + small_number(value);
  if (!first.empty()) text += line("first values", first);
  return text;
}

json::Value to_json(const Inspection& inspection) {
  const LogicalTensor& tensor = inspection.tensor;
  json::Value value;
  value.set("name", tensor.info.name);
  value.set("shape", shape_array(tensor.info.shape));
  value.set("dtype", to_string(tensor.info.dtype));
  value.set("spec", tensor.spec ? json::Value(stored_spec_text(*tensor.spec)) : json::Value());
  json::Array parts;
  for (std::size_t i = 0; i < inspection.stored.size(); ++i) {
    json::Value part;
    part.set("part", tensor.parts[i].part);
    part.set("name", inspection.stored[i].name);
    part.set("dtype", to_string(inspection.stored[i].dtype));
    part.set("shape", shape_array(inspection.stored[i].shape));
    part.set("bytes", inspection.stored[i].size_bytes());
    parts.push_back(std::move(part));
  }
  value.set("parts", std::move(parts));
  if (const auto& codes = inspection.codes) {
    value.set("bits_per_weight", codes->bits_per_weight);
    value.set("scales", codes->scales);
    const auto scale = [&](float x) { return codes->scales > 0 ? json::Value(static_cast<double>(x)) : json::Value(); };
    value.set("scale_min", scale(codes->scale_min));
    value.set("scale_max", scale(codes->scale_max));
    value.set("zero_points", codes->zero_points);
    value.set("zero_point_min", codes->zero_points > 0 ? json::Value(codes->zero_point_min) : json::Value());
    value.set("zero_point_max", codes->zero_points > 0 ? json::Value(codes->zero_point_max) : json::Value());
    json::Array bars;
    for (const CodeBar& bar : codes->histogram) {
      json::Value entry;
      entry.set("first", bar.first);
      entry.set("last", bar.last);
      entry.set("count", bar.count);
      bars.push_back(std::move(entry));
    }
    value.set("histogram", std::move(bars));
  }
  if (const auto& values = inspection.values) {
    value.set("min", static_cast<double>(values->min));
    value.set("max", static_cast<double>(values->max));
    value.set("abs_max", static_cast<double>(values->abs_max));
    value.set("mean", values->mean);
    value.set("standard_deviation", values->deviation);
    value.set("zeros", values->zeros);
    value.set("nan", values->nan);
    value.set("infinite", values->infinite);
  }
  value.set("first_values", json::Array(inspection.first_values.begin(), inspection.first_values.end()));
  return value;
}

}  // namespace mq::tool
