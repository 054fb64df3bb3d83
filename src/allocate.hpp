// One option for each item so that the sum of values is least and the sum of costs within a limit: the multiple-choice
// knapsack problem.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

namespace mq {

// Neither is negative.
struct Option {
  double cost = 0;
  double value = 0;
};

struct Allocation {
  std::vector<std::size_t> chosen;  // for each item the index of an option
  double cost = 0;
  double value = 0;
  double least_value = 0;  // that any choice within the limit could have; equal to value if the choice is the best
};

// The best choice, unless finding it takes more than some million steps; then one near it, with the bound. Pure. Empty
// if no choice is within the limit. Every item has options.
// Method: Lagrangian relaxation gives a first choice and a bound; then items are joined one by one, and of the partial
// choices those are kept that no other dominates and that the bound does not rule out (Pisinger, "A minimal algorithm
// for the multiple-choice knapsack problem", 1995, in its outline).
std::optional<Allocation> allocate(std::span<const std::vector<Option>> items, double limit);

}  // namespace mq
