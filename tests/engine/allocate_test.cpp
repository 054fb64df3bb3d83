// The multiple-choice knapsack problem: against trying every choice.
#include "src/allocate.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <random>

using namespace mq;

namespace {

using Items = std::vector<std::vector<Option>>;

// Costs that repeat, as those of tensors of one shape do, and values that fall with them, mostly.
Items random_items(std::mt19937& random, std::size_t count, std::size_t most_options) {
  Items items(count);
  for (std::vector<Option>& options : items) {
    options.resize(1 + random() % most_options);
    const double size = static_cast<double>(1 + random() % 4);
    for (Option& option : options) {
      const double bits = static_cast<double>(1 + random() % 8);
      option.cost = size * bits;
      option.value = size * static_cast<double>(random() % 1000) / (bits * bits);
    }
  }
  return items;
}

double cost_of(const Items& items, const std::vector<std::size_t>& chosen) {
  double cost = 0;
  for (std::size_t i = 0; i < items.size(); ++i) cost += items[i][chosen[i]].cost;
  return cost;
}

double value_of(const Items& items, const std::vector<std::size_t>& chosen) {
  double value = 0;
  for (std::size_t i = 0; i < items.size(); ++i) value += items[i][chosen[i]].value;
  return value;
}

// Infinity if no choice is within the limit.
double best_of_all(const Items& items, double limit) {
  std::vector<std::size_t> chosen(items.size(), 0);
  double best = std::numeric_limits<double>::infinity();
  for (;;) {
    if (cost_of(items, chosen) <= limit) best = std::min(best, value_of(items, chosen));
    std::size_t i = 0;
    while (i < items.size() && ++chosen[i] == items[i].size()) chosen[i++] = 0;
    if (i == items.size()) return best;
  }
}

}  // namespace

TEST_CASE("allocate: the best of all choices, or none where none is within the limit") {
  std::mt19937 random(1);
  int found = 0, none = 0;
  for (int round = 0; round < 600; ++round) {
    const Items items = random_items(random, 1 + random() % 6, 5);
    const double limit = static_cast<double>(random() % 60);
    const double best = best_of_all(items, limit);
    const std::optional<Allocation> allocation = allocate(items, limit);
    REQUIRE(allocation.has_value() == (best < std::numeric_limits<double>::infinity()));
    if (!allocation) {
      ++none;
      continue;
    }
    ++found;
    CHECK(allocation->cost == cost_of(items, allocation->chosen));
    CHECK(allocation->cost <= limit);
    CHECK(allocation->value == value_of(items, allocation->chosen));
    CHECK(allocation->value == doctest::Approx(best).epsilon(1e-9));
    CHECK(allocation->least_value == allocation->value);
  }
  CHECK(found > 100);
  CHECK(none > 20);
}

TEST_CASE("allocate: hundreds of tensors, exactly; tens of thousands, with a bound that is near") {
  std::mt19937 random(2);
  for (const std::size_t count : {300u, 20000u}) {
    const Items items = random_items(random, count, 7);
    double least = 0, most = 0;
    for (const std::vector<Option>& options : items) {
      const auto by_cost = [](const Option& a, const Option& b) { return a.cost < b.cost; };
      least += std::min_element(options.begin(), options.end(), by_cost)->cost;
      most += std::max_element(options.begin(), options.end(), by_cost)->cost;
    }
    const double limit = least + (most - least) * 0.3 + 0.5;
    const std::optional<Allocation> allocation = allocate(items, limit);
    REQUIRE(allocation);
    CHECK(cost_of(items, allocation->chosen) <= limit);
    CHECK(allocation->least_value <= allocation->value);
    CHECK(allocation->least_value >= allocation->value * (count < 1000 ? 1 : 0.999));
    // Nothing that fits would be better by itself.
    for (std::size_t i = 0; i < items.size(); ++i) {
      const Option& mine = items[i][allocation->chosen[i]];
      for (const Option& other : items[i]) {
        CHECK_FALSE((other.value < mine.value && allocation->cost - mine.cost + other.cost <= limit));
      }
    }
  }
}
