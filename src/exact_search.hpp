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
  explicit ExactSearch(const kernels::AffineSearch& how);

  // weights: null, or one for each element. Elements that are not finite count as 0.
  BlockFit find(std::span<const float> x, const float* weights);

 private:
  // Element `index` gets the next level where the inverse scale reaches `inverse`.
  struct Event {
    float inverse;
    std::uint32_t index;
  };

  void use_whole_numbers(float least, float most);
  void sweep(std::span<const float> x, const float* weights, float sign, BlockFit& best);

  kernels::AffineSearch how_;
  std::vector<float> levels_, middles_;  // ascending
  std::vector<Event> events_, sorted_;
  std::vector<std::uint8_t> level_of_;
};

}  // namespace mq
