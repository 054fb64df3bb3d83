#include "mq/error.hpp"
#include "tools/mq-convert/table.hpp"
#include "tools/mq-convert/text.hpp"
#include "tools/mq-convert/views.hpp"

namespace mq::tool {
namespace {

// The specs that any tensor has a point for, in the order of the candidates.
std::vector<QuantSpec> columns_of(const Rates& rates) {
  std::vector<QuantSpec> specs;
  for (const auto& [name, points] : rates.tensors) {
    std::size_t at = 0;
    for (const RatePoint& point : points) {
      const auto found = std::ranges::find(specs, point.spec);
      if (found != specs.end()) {
        at = static_cast<std::size_t>(found - specs.begin()) + 1;
      } else {
        specs.insert(specs.begin() + static_cast<std::ptrdiff_t>(at++), point.spec);
      }
    }
  }
  return specs;
}

ErrorStats stats_of(const RatePoint& point) {
  return {.error_sq = point.error, .x_sq = point.power};
}

double bits_of(const RatePoint& point, double numel) {
  return 8 * static_cast<double>(point.bytes) / numel;
}

// Whether the step has the encoding of the candidate. A step's spec also says what its layout has made of it.
bool is_chosen(const Step& step, const RatePoint& point) {
  if (!step.quantizes() || step.output_bytes != point.bytes) return false;
  QuantSpec spec = *step.spec;
  spec.scale_dtype = point.spec.scale_dtype;
  if (std::holds_alternative<PerChannel>(spec.granularity)) spec.granularity = point.spec.granularity;
  return spec == point.spec;
}

// f(step, points) for every tensor that was measured, in the order of the plan.
template <class F>
void for_each_measured(const RatesView& view, F&& f) {
  for (const Step& step : view.plan.steps) {
    const auto found = view.rates.tensors.find(step.id.str());
    if (found != view.rates.tensors.end()) f(step, found->second);
  }
}

double numel_of(const RatesView& view, const Step& step) {
  return static_cast<double>(view.plan.source.tensors[step.inputs.front()].info.numel());
}

}  // namespace

std::string to_text(const RatesView& view, const Style&) {
  const std::vector<QuantSpec> specs = columns_of(view.rates);
  std::vector<Table::Column> columns = {{"tensor"}};
  for (const QuantSpec& spec : specs) columns.push_back({to_string(spec), true});
  Table table(columns);
  std::vector<RatePoint> sums(specs.size());
  std::vector<double> numels(specs.size(), 0);
  for_each_measured(view, [&](const Step& step, const std::vector<RatePoint>& points) {
    std::vector<std::string> cells(specs.size() + 1);
    cells[0] = printable(step.id);
    for (const RatePoint& point : points) {
      const auto at = static_cast<std::size_t>(std::ranges::find(specs, point.spec) - specs.begin());
      cells[at + 1] = (is_chosen(step, point) ? "*" : "") + decibels(stats_of(point).sqnr_db());
      sums[at].bytes += point.bytes;
      sums[at].error += point.error;
      sums[at].power += point.power;
      numels[at] += numel_of(view, step);
    }
    table.add(std::move(cells));
  });
  std::vector<std::string> all = {"all"}, bits = {"bits per weight"};
  for (std::size_t i = 0; i < specs.size(); ++i) {
    all.push_back(decibels(stats_of(sums[i]).sqnr_db()));
    bits.push_back(fixed(bits_of(sums[i], numels[i]), 3));
  }
  table.add(std::move(all));
  table.add(std::move(bits));
  return "\nsignal-to-noise ratio of each candidate; * what the tensor gets\n\n" + table.text() + '\n';
}

json::Value to_json(const RatesView& view) {
  json::Array tensors;
  for_each_measured(view, [&](const Step& step, const std::vector<RatePoint>& points) {
    json::Array list;
    for (const RatePoint& point : points) {
      json::Value value;
      value.set("spec", to_string(point.spec));
      value.set("bytes", point.bytes);
      value.set("bits_per_weight", bits_of(point, numel_of(view, step)));
      value.set("error_sq", point.error);
      value.set("x_sq", point.power);
      value.set("sqnr_db", stats_of(point).sqnr_db());
      value.set("chosen", is_chosen(step, point));
      list.push_back(std::move(value));
    }
    json::Value tensor;
    tensor.set("name", step.id);
    tensor.set("candidates", std::move(list));
    tensors.push_back(std::move(tensor));
  });
  return tensors;
}

}  // namespace mq::tool
