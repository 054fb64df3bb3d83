// Searches for the scale and the least value of a block that leave the least squared error.
//
// For fixed codes u in 0..code_max the best scale and least value are those of a straight line through the elements
// over their codes: two equations. So a number of inverse scales are tried: each gives codes, codes give a line, and
// the line that takes off most of the error wins. Rounding again with the line found can only take off more.
//
// Every instruction set finds the same bits: one block lies in each lane, and a sum is formed in the order of its
// elements.
#pragma once

#include "kernels/whole_blocks.hpp"

namespace mq::kernels {

template <class Ops, bool kWeighted>
class MinBlockSearch {
 public:
  using Floats = typename Ops::Floats;
  static constexpr std::size_t kWidth = Ops::kWidth;

  MinBlockSearch(const MinSearch& how, const SearchBlocks& blocks) : how_(how), blocks_(blocks) {
    normalize();
    const Floats zero(0.0f);
    weight_ = x_ = zero;
    blocks_.for_each([&](Floats v, std::size_t i) {
      const Floats w = blocks_.weight(i);
      weight_ = weight_ + w;
      x_ = Ops::fused(w, v, x_);
    });
    // No scale at all: every element is the mean.
    best_.scale = zero;
    best_.min = limited(Ops::where_greater(weight_, zero, Ops::divide(x_, weight_), zero));
    best_.gain = best_.min * (x_ + x_ - best_.min * weight_);
  }

  void find(std::size_t blocks, float* scale, float* min) {
    try_grid();
    for (std::uint32_t i = 0; i < how_.refinements; ++i) refine();
    float scales[kWidth], mins[kWidth];
    Ops::store(best_.scale * unit_, scales);
    const Floats most(0x1.fffffep127f);
    Ops::store(Ops::max(Ops::min((best_.min + least_) * unit_, most), Floats(0.0f) - most), mins);
    for (std::size_t i = 0; i < blocks; ++i) {
      scale[i] = scales[i];
      min[i] = mins[i];
    }
  }

 private:
  static constexpr std::size_t kTogether = 4;  // candidates whose sums are formed side by side

  // scale * u + min, and what that takes off the sum of squares.
  struct Line {
    Floats scale, min, gain;
  };
  // A way to code a block, u = clamp(rne(x * inverse + offset), 0, code_max), and the sums that follow from it.
  struct Candidate {
    Floats inverse, offset, u, uu, xu;
  };

  // Blocks are multiplied by a power of two, so that no sum can overflow, and begin at 0 where that loses fewest bits:
  // with least_ taken off.
  void normalize() {
    const Floats zero(0.0f);
    Floats lo(__builtin_inff()), hi = zero - lo;
    blocks_.for_each([&](Floats v, std::size_t) {
      lo = Ops::min(lo, v);
      hi = Ops::max(hi, v);
    });
    // Runs without elements have an empty range.
    hi = Ops::where_greater(lo, hi, zero, hi);
    lo = Ops::min(lo, hi);
    if (how_.min_below_zero) lo = Ops::min(lo, zero);
    unit_ = Ops::power_below(Ops::max(Ops::magnitude(lo), Ops::magnitude(hi)));
    const Floats inverse = Ops::inverse_of_power(unit_);
    least_ = lo * inverse;
    width_ = Ops::max(hi * inverse - least_, zero);
    blocks_.for_each([&](Floats v, std::size_t i) { blocks_.set(i, v * inverse - least_); });
  }

  Floats limited(Floats min) const { return how_.min_below_zero ? Ops::min(min, Floats(0.0f) - least_) : min; }

  template <std::size_t kCount>
  void compete(Candidate (&c)[kCount]) {
    const Floats zero(0.0f), rounder(kRounder), most(how_.code_max + kRounder);
    for (Candidate& k : c) k.u = k.uu = k.xu = zero;
    blocks_.for_each([&](Floats v, std::size_t i) {
      for (Candidate& k : c) {
        const Floats code = Ops::fused(v, k.inverse, k.offset) + rounder;
        const Floats u = Ops::min(Ops::max(code, rounder), most) - rounder;
        if constexpr (kWeighted) {
          const Floats wu = blocks_.weight(i) * u;
          k.u = k.u + wu;
          k.uu = Ops::fused(wu, u, k.uu);
          k.xu = Ops::fused(wu, v, k.xu);
        } else {
          k.u = k.u + u;
          k.uu = Ops::fused(u, u, k.uu);
          k.xu = Ops::fused(u, v, k.xu);
        }
      }
    });
    for (const Candidate& k : c) keep_better(k);
  }

  void keep_better(const Candidate& c) {
    const Floats zero(0.0f);
    const Floats determinant = weight_ * c.uu - c.u * c.u;
    Line line;
    line.scale = Ops::divide(weight_ * c.xu - x_ * c.u, determinant);
    line.min = Ops::divide(c.uu * x_ - c.u * c.xu, determinant);
    Floats usable = determinant;
    if (how_.min_below_zero) {
      // At the limit the scale is that of the line through it, which even codes that are all the same determine.
      const Floats limit = zero - least_;
      const Floats held = Ops::divide(c.xu - limit * c.u, c.uu);
      const Floats beyond = Ops::where_greater(determinant, zero, line.min - limit, Floats(1.0f));
      line.scale = Ops::where_greater(beyond, zero, held, line.scale);
      line.min = Ops::where_greater(beyond, zero, limit, line.min);
      usable = c.uu;
    }
    const Floats two(2.0f);
    line.gain = line.scale * (two * c.xu - line.scale * c.uu) + line.min * (two * x_ - line.min * weight_) -
                two * (line.scale * line.min) * c.u;
    // Codes that are all the same determine no line.
    line.gain = Ops::where_greater(usable, zero, line.gain, best_.gain);
    line.gain = Ops::where_greater(line.scale, zero, line.gain, best_.gain);
    const auto choose = [&](Floats a, Floats b) { return Ops::where_greater(line.gain, best_.gain, a, b); };
    best_ = {choose(line.scale, best_.scale), choose(line.min, best_.min), choose(line.gain, best_.gain)};
  }

  // Where codes change, in -0.5..0.5 of a code: other for each candidate, spread by the golden ratio.
  static float shift_of(std::uint32_t index) {
    const float turns = 0.618034f * static_cast<float>(index);
    return turns - static_cast<float>(static_cast<std::int32_t>(turns)) - 0.5f;
  }

  // Codes are clipped on both sides alike, but on one only where zero is the least value.
  void try_grid() {
    const Floats zero(0.0f), codes(how_.code_max);
    const Floats whole = Ops::where_greater(width_, zero, Ops::divide(codes, width_), zero);
    const float step = (how_.grow - how_.shrink) / static_cast<float>(how_.candidates - 1);
    const Floats side = how_.min_below_zero ? Ops::where_greater(zero, least_, Floats(0.5f), zero) : Floats(0.5f);
    for (std::uint32_t first = 0; first < how_.candidates; first += kTogether) {
      Candidate candidates[kTogether];
      for (std::uint32_t k = 0; k < kTogether; ++k) {
        // The last ones may be there twice.
        const std::uint32_t index = first + k < how_.candidates ? first + k : how_.candidates - 1;
        const float factor = how_.shrink + step * static_cast<float>(index);
        candidates[k].inverse = whole * Floats(factor);
        candidates[k].offset = side * Floats(how_.code_max * (1 - factor)) + Floats(shift_of(index));
      }
      compete(candidates);
    }
  }

  void refine() {
    const Floats zero(0.0f);
    Candidate again[1];
    again[0].inverse = Ops::where_greater(best_.scale, zero, Ops::divide(Floats(1.0f), best_.scale), zero);
    again[0].offset = zero - best_.min * again[0].inverse;
    compete(again);
  }

  const MinSearch& how_;
  WholeBlocks<Ops, kWeighted> blocks_;  // normalized
  Floats unit_, least_, width_;         // of normalized values: what one of them stands for, the least, the largest
  Floats weight_, x_;                   // sums
  Line best_;
};

template <class Ops>
struct SearchMin {
  static void search_min(const MinSearch& how, const SearchBlocks& blocks, float* scale, float* min) noexcept {
    for_each_part<Ops>(blocks, [&](auto weighted, const SearchBlocks& some, std::size_t row) {
      MinBlockSearch<Ops, decltype(weighted)::value>(how, some).find(some.rows, scale + row, min + row);
    });
  }
};

}  // namespace mq::kernels
