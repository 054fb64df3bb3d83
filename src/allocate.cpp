#include "src/allocate.hpp"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <limits>

namespace mq {
namespace {

constexpr std::size_t kMaxStates = std::size_t{1} << 19;  // over all items, 24 bytes each
constexpr double kSlack = 1e-12;                          // relative: what rounding may take from a bound

// The option that is best at a price: the least value + price * cost, then the least cost.
std::size_t best_at(const std::vector<Option>& options, double price) {
  std::size_t best = 0;
  for (std::size_t i = 1; i < options.size(); ++i) {
    const double mine = options[i].value + price * options[i].cost;
    const double other = options[best].value + price * options[best].cost;
    if (mine < other || (mine == other && options[i].cost < options[best].cost)) best = i;
  }
  return best;
}

Allocation chosen_at(std::span<const std::vector<Option>> items, double price) {
  Allocation out;
  for (const std::vector<Option>& options : items) {
    out.chosen.push_back(best_at(options, price));
    out.cost += options[out.chosen.back()].cost;
    out.value += options[out.chosen.back()].value;
  }
  return out;
}

// The lowest price at which the choice is within the limit: by halving the range of doubles, which are ordered like
// their bits.
double price_of(std::span<const std::vector<Option>> items, double limit) {
  std::uint64_t low = 0, high = std::bit_cast<std::uint64_t>(1e200);
  while (high - low > 1) {
    const std::uint64_t middle = low + (high - low) / 2;
    (chosen_at(items, std::bit_cast<double>(middle)).cost > limit ? low : high) = middle;
  }
  return std::bit_cast<double>(high);
}

// Spends what is left of the limit, item by item, where it takes most off the value for its cost.
void spend(std::span<const std::vector<Option>> items, double limit, Allocation& choice) {
  for (;;) {
    double best_gain = 0;
    std::size_t item = 0, option = 0;
    for (std::size_t i = 0; i < items.size(); ++i) {
      const Option& now = items[i][choice.chosen[i]];
      for (std::size_t k = 0; k < items[i].size(); ++k) {
        const double more = items[i][k].cost - now.cost, less = now.value - items[i][k].value;
        if (less <= 0 || choice.cost + more > limit) continue;
        const double gain = more > 0 ? less / more : std::numeric_limits<double>::infinity();
        if (gain > best_gain) best_gain = gain, item = i, option = k;
      }
    }
    if (best_gain == 0) return;
    const Option& now = items[item][choice.chosen[item]];
    const Option& next = items[item][option];
    choice.cost += next.cost - now.cost;
    choice.value += next.value - now.value;
    choice.chosen[item] = option;
  }
}

// Sums over the chosen options in their order, without what adding and subtracting has left.
void add_up(std::span<const std::vector<Option>> items, Allocation& choice) {
  choice.cost = choice.value = 0;
  for (std::size_t i = 0; i < items.size(); ++i) {
    choice.cost += items[i][choice.chosen[i]].cost;
    choice.value += items[i][choice.chosen[i]].value;
  }
}

// A choice for the first items.
struct State {
  double cost, value;
  std::uint32_t before;  // of one item fewer
  std::uint32_t option;
};

class ParetoSearch {
 public:
  ParetoSearch(std::span<const std::vector<Option>> items, double limit, double price)
      : items_(items), limit_(limit), price_(price), least_after_(items.size() + 1, 0), layers_(items.size() + 1) {
    for (std::size_t i = items.size(); i-- > 0;) {
      const Option& best = items[i][best_at(items[i], price)];
      least_after_[i] = least_after_[i + 1] + best.value + price * best.cost;
    }
  }

  double bound() const { return least_after_[0] - price_ * limit_; }

  // Makes `choice` the best there is. Returns false if that takes too long.
  bool improve(Allocation& choice) {
    layers_[0] = {{0, 0, 0, 0}};
    std::size_t states = 1;
    for (std::size_t i = 0; i < items_.size(); ++i) {
      if (!join(i, choice.value)) return false;
      states += layers_[i + 1].size();
      if (states > kMaxStates) return false;
    }
    const std::vector<State>& last = layers_.back();
    if (last.empty() || last.back().value >= choice.value) return true;
    // Undominated states get better with their cost.
    std::size_t at = last.size() - 1;
    for (std::size_t i = items_.size(); i-- > 0;) {
      choice.chosen[i] = layers_[i + 1][at].option;
      at = layers_[i + 1][at].before;
    }
    add_up(items_, choice);
    return true;
  }

 private:
  // Returns false if there are too many to go on.
  bool join(std::size_t item, double incumbent) {
    std::vector<State>& next = layers_[item + 1];
    const std::vector<State>& states = layers_[item];
    for (std::size_t k = 0; k < items_[item].size(); ++k) {
      const Option& option = items_[item][k];
      for (std::size_t s = 0; s < states.size(); ++s) {
        const State joined{states[s].cost + option.cost, states[s].value + option.value, static_cast<std::uint32_t>(s),
                           static_cast<std::uint32_t>(k)};
        const double least = joined.value + least_after_[item + 1] + price_ * (joined.cost - limit_);
        if (joined.cost <= limit_ && least <= incumbent * (1 + kSlack)) next.push_back(joined);
        if (next.size() > kMaxStates) return false;
      }
    }
    std::sort(next.begin(), next.end(), [](const State& a, const State& b) {
      if (a.cost != b.cost) return a.cost < b.cost;
      if (a.value != b.value) return a.value < b.value;
      return a.option != b.option ? a.option < b.option : a.before < b.before;
    });
    double least = std::numeric_limits<double>::infinity();
    std::erase_if(next, [&](const State& state) {
      if (state.value >= least) return true;
      least = state.value;
      return false;
    });
    return true;
  }

  std::span<const std::vector<Option>> items_;
  double limit_, price_;
  std::vector<double> least_after_;  // value + price * cost of the items from i on, at least
  std::vector<std::vector<State>> layers_;
};

}  // namespace

std::optional<Allocation> allocate(std::span<const std::vector<Option>> items, double limit) {
  Allocation least;
  for (const std::vector<Option>& options : items) {
    const auto cheapest = std::min_element(options.begin(), options.end(), [](const Option& a, const Option& b) {
      return a.cost != b.cost ? a.cost < b.cost : a.value < b.value;
    });
    least.chosen.push_back(static_cast<std::size_t>(cheapest - options.begin()));
  }
  add_up(items, least);
  if (least.cost > limit) return std::nullopt;
  Allocation choice = chosen_at(items, 0);
  if (choice.cost > limit) {
    const double price = price_of(items, limit);
    choice = chosen_at(items, price);
    if (choice.cost > limit) choice = least;
    spend(items, limit, choice);
    add_up(items, choice);
    ParetoSearch search(items, limit, price);
    const bool exact = search.improve(choice);
    choice.least_value = exact ? choice.value : std::min(search.bound(), choice.value);
    return choice;
  }
  choice.least_value = choice.value;
  return choice;
}

}  // namespace mq
