// The best of all scales of a block, found by visiting every set of codes that a scale can give. Slow: what the grid
// of kernels/search.hpp is measured against, and Effort::Max.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "kernels/kernel_table.hpp"

namespace mq {

struct BlockFit {
  float scale = 0;  // 0: every element is zero or weighs nothing
  float zero_point = 0;
  double gain = 0;  // what the codes take off the sum of weighted squares
};

class ExactSearch {
 public:
  explicit ExactSearch(const kernels::AffineSearch& how) : how_(how) {}

  // weights: null, or one for each element. Elements that are not finite count as 0.
  BlockFit find(std::span<const float> x, const float* weights);

 private:
  // Element `index` gets a code that is one farther from zero where the inverse scale reaches `inverse`.
  struct Event {
    float inverse;
    std::uint32_t index;
  };

  void sweep(std::span<const float> x, const float* weights, float sign, float least, float most, BlockFit& best);

  kernels::AffineSearch how_;
  std::vector<Event> events_, sorted_;
  std::vector<float> codes_;
};

}  // namespace mq
