#include <algorithm>
#include <cmath>

#include "mq/error.hpp"
#include "tools/mq-convert/gates.hpp"
#include "tools/mq-convert/table.hpp"
#include "tools/mq-convert/text.hpp"
#include "tools/mq-convert/views.hpp"

namespace mq::tool {
namespace {

std::string names_line(const char* what, const std::vector<std::string>& names) {
  constexpr std::size_t kShown = 10;
  if (names.empty()) return {};
  std::string text = std::string(what) + " (" + std::to_string(names.size()) + "): ";
  for (std::size_t i = 0; i < std::min(names.size(), kShown); ++i) text += (i > 0 ? ", " : "") + printable(names[i]);
  if (names.size() > kShown) text += ", ...";
  return text + '\n';
}

std::string channel_text(const TensorComparison& tensor) {
  if (tensor.shape.size() < 2) return "-";
  return decibels(tensor.worst_channel_db) + " (#" + std::to_string(tensor.worst_channel) + ")";
}

bool is_exact(const TensorComparison& tensor) {
  return tensor.error.error_sq == 0;
}

std::string table_text(const Comparison& comparison, bool all) {
  Table table({{""},
               {"tensor"},
               {"stored as"},
               {"SQNR", true},
               {"worst channel", true},
               {"MSE", true},
               {"cosine", true},
               {"max error", true},
               {"bytes", true},
               {"after", true}});
  std::size_t shown = 0;
  for (const TensorComparison& tensor : comparison.tensors) {
    // Tensors without any error are only counted, and come last.
    if (!all && (is_exact(tensor) || shown >= kLongTable)) continue;
    ++shown;
    table.add({has_lost_channel(tensor) ? "!" : "", printable(tensor.name), tensor.spec,
               decibels(tensor.error.sqnr_db()), channel_text(tensor), small_number(tensor.error.mse()),
               fixed(tensor.error.cosine(), 6), small_number(tensor.error.max_error),
               human_bytes(tensor.original_bytes), human_bytes(tensor.other_bytes)});
  }
  std::string text = table.text();
  const auto inexact = static_cast<std::size_t>(
      std::count_if(comparison.tensors.begin(), comparison.tensors.end(), [](const auto& t) { return !is_exact(t); }));
  if (!all && shown < inexact) text += "(the worst " + std::to_string(shown) + "; --verbose lists all)\n";
  return text;
}

std::string lost_channels(const Comparison& comparison) {
  constexpr int kShown = 10;
  std::string text;
  int count = 0;
  for (const TensorComparison& tensor : comparison.tensors) {
    if (!has_lost_channel(tensor) || ++count > kShown) continue;
    text += "! " + printable(tensor.name) + ": channel " + std::to_string(tensor.worst_channel) + " is nearly lost (" +
            decibels(tensor.worst_channel_db) + ") although the tensor as a whole has " +
            decibels(tensor.error.sqnr_db()) + '\n';
  }
  if (count > kShown) text += "! and " + std::to_string(count - kShown) + " more tensors\n";
  if (count > 0)
    text += "  one scale does not fit all channels there: one per channel (:channel) or group (:gN) would\n";
  return text;
}

}  // namespace

std::string to_text(const Compared& compared, const Style& style) {
  const Comparison& comparison = compared.comparison;
  std::string text = table_text(comparison, style.verbose);
  if (!text.empty()) text += '\n';
  text += lost_channels(comparison);
  text += names_line("missing", comparison.missing) + names_line("extra", comparison.extra) +
          names_line("not comparable", comparison.different);
  const auto exact = std::count_if(comparison.tensors.begin(), comparison.tensors.end(), is_exact) + comparison.equal;
  if (exact > 0) text += plural(exact, "tensor") + " without any error\n";
  const auto quantized = std::count_if(comparison.tensors.begin(), comparison.tensors.end(),
                                       [](const TensorComparison& t) { return t.quantized; });
  const bool any = quantized > 0;
  const ErrorStats& total = comparison.total;
  if (total.numel > 0) {
    text += "total: " + decibels(total.sqnr_db()) + ", MSE " + small_number(total.mse()) + ", cosine " +
            fixed(total.cosine(), 6) + ", max error " + small_number(total.max_error) + " over " +
            plural(any ? quantized : static_cast<std::int64_t>(comparison.tensors.size()),
                   any ? "quantized tensor" : "tensor") +
            '\n';
  }
  return text + "size: " + human_bytes(comparison.other_bytes) + ", " +
         percent(static_cast<double>(comparison.other_bytes), static_cast<double>(comparison.original_bytes)) +
         " of the original's " + human_bytes(comparison.original_bytes) + '\n';
}

json::Value to_json(const Compared& compared) {
  const Comparison& comparison = compared.comparison;
  json::Array tensors;
  for (const TensorComparison& tensor : comparison.tensors) {
    json::Value value;
    value.set("name", tensor.name);
    value.set("shape", shape_array(tensor.shape));
    value.set("stored_as", tensor.spec);
    value.set("quantized", tensor.quantized);
    value.set("error", to_json(tensor.error));
    value.set("worst_channel", tensor.worst_channel);
    value.set("worst_channel_sqnr_db", tensor.worst_channel_db);
    value.set("lost_channel", has_lost_channel(tensor));
    value.set("original_bytes", tensor.original_bytes);
    value.set("bytes", tensor.other_bytes);
    tensors.push_back(std::move(value));
  }
  json::Value value;
  value.set("tensors", std::move(tensors));
  value.set("missing", string_array(comparison.missing));
  value.set("extra", string_array(comparison.extra));
  value.set("not_comparable", string_array(comparison.different));
  value.set("equal", comparison.equal);
  value.set("total", comparison.total.numel > 0 ? to_json(comparison.total) : json::Value());
  value.set("original_bytes", comparison.original_bytes);
  value.set("bytes", comparison.other_bytes);
  return value;
}

}  // namespace mq::tool
