// The search for the least sum of |x - y|^P, by searches for weighted squared errors: with the weight |e|^(P - 2) a
// square is what the error e counts in the norm. What is found gives new errors, and so on. The same bits on every
// machine, like the searches it uses.
#pragma once

#include <vector>

#include "mq/search.hpp"

namespace mq {

class NormSearch {
 public:
  explicit NormSearch(float norm) : norm_(norm) {}

  // Calls attempt(weights), null at first, which encodes `runs` runs of `run` elements each and returns their decoded
  // values; and keep(r) for every run of which the last attempt is the best.
  template <class Attempt, class Keep>
  void find(const float* x, std::size_t runs, std::size_t run, Attempt&& attempt, Keep&& keep) {
    constexpr int kRounds = 4;
    start(x, runs, run);
    for (int round = 0; round < kRounds; ++round) {
      measure(x, attempt(round == 0 ? nullptr : weights_.data()));
      for (std::size_t r = 0; r < runs; ++r) {
        if (round > 0 && !(sums_[r] < best_[r])) continue;
        best_[r] = sums_[r];
        keep(r);
      }
    }
  }

 private:
  void start(const float* x, std::size_t runs, std::size_t run);
  // The norm of each run, and the weights that follow from the errors.
  void measure(const float* x, const float* y);

  float norm_;
  std::size_t run_ = 0;
  std::vector<float> weights_, unit_, sums_, best_;
};

}  // namespace mq
