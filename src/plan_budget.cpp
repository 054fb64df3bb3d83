#include "src/plan_budget.hpp"

#include <algorithm>
#include <charconv>
#include <map>

#include "mq/metrics.hpp"
#include "src/allocate.hpp"
#include "src/dialects/gguf.hpp"
#include "src/fused_sets.hpp"
#include "src/math.hpp"
#include "src/plan_gguf.hpp"

namespace mq {
namespace {

// Tensors that get the same candidate, and what each candidate that all of them can have is for them together.
struct Item {
  std::vector<std::size_t> tensors;  // of the source
  std::vector<RatePoint> points;
  std::int64_t numel = 0;
};

// Empty if no candidate fits and the tensor may be kept.
const std::vector<RatePoint>& points_of(const Analysis& analysis, const LogicalTensor& tensor,
                                        IfIndivisible if_indivisible) {
  const auto found = analysis.rates.tensors.find(tensor.info.name.str());
  const bool known = found != analysis.rates.tensors.end();
  if (known && (!found->second.empty() || if_indivisible == IfIndivisible::Keep)) return found->second;
  if (known) {
    throw Error({.code = ErrorCode::Usage,
                 .message = "no candidate fits the rows of this tensor",
                 .tensor = tensor.info.name,
                 .hint = "give it a --rule, add a candidate without groups, or use --if-indivisible keep|channel"});
  }
  throw Error({.code = ErrorCode::Usage,
               .message = "a budget needs what each candidate costs and loses",
               .tensor = tensor.info.name,
               .hint = "measure_rates() finds out"});
}

// Only what both have.
void join_points(std::vector<RatePoint>& all, const std::vector<RatePoint>& more) {
  std::erase_if(all, [&](RatePoint& point) {
    const auto same = std::ranges::find(more, point.spec, &RatePoint::spec);
    if (same == more.end()) return true;
    point.bytes += same->bytes;
    point.error += same->error;
    point.power += same->power;
    return false;
  });
}

// Tensors that no candidate fits are decided to be kept.
std::vector<Item> make_items(std::vector<Decision>& decisions, const Source& source, const Analysis& analysis,
                             bool fused) {
  std::vector<Item> items;
  std::map<std::string, std::size_t> sets;
  for (std::size_t i = 0; i < decisions.size(); ++i) {
    if (!decisions[i].by_scheme) continue;
    const LogicalTensor& tensor = source.tensors[i];
    const std::vector<RatePoint>& points = points_of(analysis, tensor, decisions[i].if_indivisible);
    if (points.empty()) {
      decisions[i].spec.reset();
      decisions[i].reason = "kept: no candidate fits its rows";
      continue;
    }
    const std::string set = fused ? fused_set_of(tensor.info.name.str()) : std::string();
    const auto [known, fresh] = set.empty() ? std::pair(sets.end(), true) : sets.emplace(set, items.size());
    if (fresh) {
      items.push_back({{i}, points, tensor.info.numel()});
      continue;
    }
    Item& item = items[known->second];
    item.tensors.push_back(i);
    item.numel += tensor.info.numel();
    join_points(item.points, points);
    if (item.points.empty()) {
      throw Error({.code = ErrorCode::Usage,
                   .message = "no candidate fits the rows of all tensors that a runtime joins with this one",
                   .tensor = tensor.info.name});
    }
  }
  return items;
}

std::string fixed(double value, int digits) {
  char text[400];
  return std::string(text, std::to_chars(text, text + sizeof text, value, std::chars_format::fixed, digits).ptr);
}

std::string described(const Budget& budget) {
  switch (budget.kind) {
    case Budget::Kind::BitsPerWeight:
      return fixed(budget.amount, 3) + " bits per weight";
    case Budget::Kind::Bytes:
      return fixed(budget.amount, 0) + " bytes";
    case Budget::Kind::Sqnr:
      break;
  }
  return fixed(budget.amount, 2) + " dB";
}

struct Totals {
  double bytes = 0, numel = 0;
  ErrorStats error = {};

  void add(const RatePoint& point) {
    bytes += static_cast<double>(point.bytes);
    error.error_sq += point.error;
    error.x_sq += point.power;
  }
  double bits() const { return numel > 0 ? 8 * bytes / numel : 0; }
};

// The index of a point for each item.
Allocation choose(const std::vector<Item>& items, const Budget& budget, const Rates& rates) {
  const bool by_error = budget.kind == Budget::Kind::Sqnr;
  std::vector<std::vector<Option>> options(items.size());
  double numel = 0, power = 0;
  for (std::size_t i = 0; i < items.size(); ++i) {
    numel += static_cast<double>(items[i].numel);
    power += items[i].points.front().power;
    for (const RatePoint& point : items[i].points) {
      const auto bytes = static_cast<double>(point.bytes);
      options[i].push_back(by_error ? Option{point.error, bytes} : Option{bytes, point.error});
    }
  }
  const double limit = by_error ? power / math::pow(10, budget.amount / 10)
                       : budget.kind == Budget::Kind::BitsPerWeight
                           ? budget.amount * numel / 8
                           : budget.amount - static_cast<double>(rates.other_bytes);
  if (std::optional<Allocation> found = allocate(options, limit)) return *found;
  // The nearest that there is.
  Totals least{.numel = numel};
  for (std::size_t i = 0; i < items.size(); ++i) {
    const auto cheapest = std::ranges::min_element(options[i], {}, &Option::cost) - options[i].begin();
    least.add(items[i].points[static_cast<std::size_t>(cheapest)]);
  }
  const std::string reach = by_error ? fixed(least.error.sqnr_db(), 2) + " dB at most"
                            : budget.kind == Budget::Kind::BitsPerWeight
                                ? fixed(least.bits(), 3) + " bits per weight at least"
                                : fixed(least.bytes + static_cast<double>(rates.other_bytes), 0) + " bytes at least";
  throw Error({.code = ErrorCode::Usage,
               .message = "no choice among the candidates keeps to the budget",
               .expected = described(budget),
               .found = reach,
               .hint = "add candidates with --candidates, or change the budget"});
}

}  // namespace

std::vector<QuantSpec> candidates_of(const Recipe& recipe) {
  if (!recipe.mix.empty()) {
    throw Error(
        {.code = ErrorCode::Usage,
         .message = "a mix chooses the encodings itself: it goes with no budget, and there is nothing to measure",
         .found = recipe.mix});
  }
  if (!recipe.candidates.empty()) return recipe.candidates;
  std::vector<QuantSpec> specs;
  const std::string_view dialect = writes_gguf(recipe) ? kGgufDialect.name : recipe.dialect;
  for (const std::string_view text : dialect_named(dialect).candidates) specs.push_back(parse_spec(text));
  if (!specs.empty()) return specs;
  throw Error(ErrorCode::Usage, "a budget needs --candidates with the layout " + recipe.dialect);
}

std::string choose_within_budget(std::vector<Decision>& decisions, const Source& source, const Recipe& recipe,
                                 const Analysis& analysis) {
  const Budget& budget = *recipe.budget;
  const std::vector<Item> items = make_items(decisions, source, analysis, dialect_named(recipe.dialect).joins_sets);
  if (items.empty()) throw Error(ErrorCode::Usage, "there is no tensor that the budget could decide about");
  const Allocation choice = choose(items, budget, analysis.rates);
  const SharedString why = ", within " + described(budget);
  std::map<std::string, SharedString> reasons;
  Totals totals;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const RatePoint& point = items[i].points[choice.chosen[i]];
    const Shared<QuantSpec> spec = point.spec;
    for (const std::size_t tensor : items[i].tensors) {
      Decision& decision = decisions[tensor];
      decision.spec = spec;
      SharedString& reason = reasons[decision.reason.str()];
      if (reason.str().empty()) reason = decision.reason + why.str();
      decision.reason = reason;
    }
    totals.add(point);
    totals.numel += static_cast<double>(items[i].numel);
  }
  const double gap = choice.value > 0 ? 1 - choice.least_value / choice.value : 0;
  return "within " + described(budget) + ": " + fixed(totals.bits(), 3) + " bits per weight at " +
         fixed(totals.error.sqnr_db(), 2) + " dB, " +
         (gap > 0 ? "at most " + fixed(100 * gap, 3) + " % from the best choice there is" : "the best choice there is");
}

}  // namespace mq
