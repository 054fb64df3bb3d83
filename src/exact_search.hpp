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

  // An element that is neither 0 nor weightless, seen with the sign of the scale.
  struct Element {
    double x, weight;
  };
  // Sums over the elements of weight * x * u and weight * u * u, u being the level of each.
  struct Sums {
    double xu = 0, uu = 0;
    // By more than the order of additions makes of equal ones: codes of the opposite sign, for example.
    bool beats(const Sums& other) const {
      constexpr double kEqual = 1 + 1e-12;
      return xu > 0 && (other.uu == 0 || xu * xu * other.uu > other.xu * other.xu * uu * kEqual);
    }
    double gain() const { return uu > 0 ? xu * xu / uu : 0; }
  };
  struct Interval {
    double least = 0, most = 0;
  };

  void use_whole_numbers(float least, float most);
  void take(std::span<const float> x, const float* weights, float sign);
  std::size_t level_at(double number) const;
  Sums sums_at(double inverse) const;
  double left_beyond(double inverse) const;
  double left_near_zero(double inverse) const;
  Interval inverses_worth_visiting() const;
  Sums gather_events(const Interval& inverses);
  void sweep(float sign, BlockFit& best);

  kernels::AffineSearch how_;
  std::vector<float> levels_, middles_;  // ascending
  std::size_t start_ = 0;                // of the level nearest to 0
  std::vector<Element> elements_;
  double energy_ = 0;  // of the elements: what no code takes off
  Sums best_;          // of all sweeps of a block
  std::vector<Event> events_, sorted_;
  std::vector<std::uint8_t> level_of_;
};

}  // namespace mq
