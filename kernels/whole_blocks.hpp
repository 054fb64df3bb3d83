// Short blocks as a search reads them: all of a block in one lane, element by element.
#pragma once

#include <type_traits>

#include "kernels/search_lanes.hpp"

namespace mq::kernels {

// Up to kWidth blocks at hand, element i of all blocks at i * kWidth. Elements that are not finite are 0.
template <class Ops, bool kWeighted>
class WholeBlocks {
 public:
  using Floats = typename Ops::Floats;
  static constexpr std::size_t kWidth = Ops::kWidth;

  explicit WholeBlocks(const SearchBlocks& blocks) : run_(blocks.run) {
    const float* x[kWidth];
    const float* weights[kWidth];
    for (std::size_t lane = 0; lane < kWidth; ++lane) {
      const std::size_t block = block_of_lane(lane, blocks.rows);
      x[lane] = blocks.x + block * run_;
      if constexpr (kWeighted) weights[lane] = blocks.weights + block * run_;
    }
    Ops::load_blocks(x, run_, x_);
    if constexpr (kWeighted) Ops::load_blocks(weights, run_, w_);
    for_each([&](Floats v, std::size_t i) { Ops::store(finite_or_zero<Ops>(v), x_ + i); });
  }

  // f(the elements of all blocks at one place, where they are)
  template <class F>
  void for_each(F&& f) const {
    for (std::size_t i = 0; i < run_ * kWidth; i += kWidth) f(Ops::load(x_ + i), i);
  }
  void set(std::size_t i, Floats v) { Ops::store(v, x_ + i); }
  Floats weight(std::size_t i) const {
    if constexpr (kWeighted) return Ops::load(w_ + i);
    return Floats(1.0f);
  }

 private:
  std::size_t run_;
  alignas(64) float x_[kMaxMinRun * kWidth];
  alignas(64) float w_[kWeighted ? kMaxMinRun * kWidth : 1];
};

// f(whether there are weights, up to as many blocks as there are lanes, the first of them)
template <class Ops, class F>
void for_each_part(const SearchBlocks& blocks, F&& f) {
  for (std::size_t row = 0; row < blocks.rows; row += Ops::kWidth) {
    const std::size_t left = blocks.rows - row;
    SearchBlocks some = blocks;
    some.x += row * blocks.run;
    some.rows = left < Ops::kWidth ? left : Ops::kWidth;
    if (blocks.weights == nullptr) {
      f(std::false_type(), some, row);
    } else {
      some.weights += row * blocks.run;
      f(std::true_type(), some, row);
    }
  }
}

}  // namespace mq::kernels
