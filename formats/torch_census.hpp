// Counts the tensors below every value of an object, so that nobody walks where there are none.
//
// Every value is visited once, however often it is referred to: a pickle of a few hundred bytes can describe an object
// with 2^60 paths through it. Nothing recurses.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "formats/torch_values.hpp"
#include "mq/limits.hpp"

namespace mq::formats::torch {

// Visits of values, counted over everything that is done with one file.
class VisitBudget {
 public:
  // source names the pickle in errors.
  VisitBudget(std::string source, const Limits& limits) : source_(std::move(source)), limits_(limits) {}

  // Throws: Limit.
  void spend(std::uint64_t visits);
  std::uint64_t spent() const noexcept { return spent_; }
  const Limits& limits() const noexcept { return limits_; }

 private:
  std::string source_;
  Limits limits_;
  std::uint64_t spent_ = 0;
};

class Census {
 public:
  // Counts below root.
  // Throws: Limit (depth, visits), Corrupt (a container that contradicts itself, a key that occurs twice).
  Census(Values& values, NodeId root, VisitBudget& budget);

  // Tensors on all paths from a value that was reached from the root; at most 2^62. A path that comes back to a value
  // that it goes through ends there. 1 for a tensor.
  std::uint64_t tensors_below(NodeId id) const { return counts_[id]; }

 private:
  std::vector<std::uint64_t> counts_;
};

}  // namespace mq::formats::torch
