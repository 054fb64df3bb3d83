// Searches for the scale of a block that leaves the least squared error.
//
// For fixed codes u, counted from the zero point, the best scale is sum(w x u) / sum(w u^2), and what it takes off the
// error is sum(w x u)^2 / sum(w u^2). So a number of inverse scales are tried: each gives codes, codes give a scale,
// and the one that takes off most wins. Rounding again with the scale found can only take off more.
//
// Every instruction set finds the same bits, because sums have one order. One block lies in each lane, and a sum is
// formed in the order of its elements. Blocks of kLongRun elements and more with codes that are numbers are searched
// one by one: element i goes to sum i % 16, and the sums are joined by the tree (s0+s8)+(s4+s12)...
#pragma once

#include "kernels/search_blocks.hpp"

namespace mq::kernels {

constexpr std::size_t kLongRun = 2048;

// The search in up to kWidth blocks of `run` elements, or in one long one.
template <class Ops, bool kLevels, bool kWeighted, bool kLong>
class BlockSearch {
 public:
  using Floats = typename Ops::Floats;
  static constexpr std::size_t kWidth = Ops::kWidth;
  static constexpr std::size_t kBlocks = kLong ? 1 : kWidth;

  BlockSearch(const AffineSearch& how, const SearchBlocks& blocks) : how_(how), codes_(how), blocks_(blocks) {
    float lo[kWidth], hi[kWidth];
    for (std::size_t lane = 0; lane < kWidth; ++lane) {
      const Range& range = blocks.ranges[block_of_lane(lane, blocks.rows)];
      lo[lane] = range.lo;
      hi[lane] = range.hi;
    }
    normalize(Ops::load(lo), Ops::load(hi));
    best_.inverse = Floats(0.0f);
    best_.least = Floats(how.code_min - how.zero_point);
    best_.most = Floats(how.code_max - how.zero_point);
    best_.xu = Floats(0.0f);
    best_.uu = Floats(1.0f);
  }

  // Lanes whose elements are all zero, or weigh nothing, get scale 0.
  void find(std::size_t blocks, float* scale, float* zero_point) {
    try_grid();
    for (std::uint32_t i = 0; i < how_.refinements; ++i) refine();
    const Floats found = Ops::divide(best_.xu, best_.uu) * unit_;
    float scales[kWidth], zero_points[kWidth];
    Ops::store(Ops::where_greater(Ops::magnitude(best_.xu), Floats(0.0f), found, Floats(0.0f)), scales);
    Ops::store(Floats(how_.code_min) - best_.least, zero_points);
    for (std::size_t i = 0; i < blocks; ++i) {
      scale[i] = scales[i];
      zero_point[i] = zero_points[i];
    }
  }

  // The index of the best of the given scales: scales[i * stride + block].
  void choose(const float* scales, std::size_t count, std::size_t stride, std::size_t blocks, std::uint8_t* best) {
    Floats most(0.0f), index(0.0f);
    for (std::size_t first = 0; first < count; first += kTogether) {
      const std::size_t n = count - first < kTogether ? count - first : kTogether;
      Candidate candidates[kTogether];
      Floats scale[kTogether];
      for (std::size_t k = 0; k < n; ++k) {
        scale[k] = load_of_each<Ops>(scales + (first + k) * stride, blocks) * to_unit_;
        candidates[k] = best_;
        candidates[k].inverse = Ops::divide(Floats(1.0f), scale[k]);
      }
      form_sums(candidates, n);
      for (std::size_t k = 0; k < n; ++k) {
        // What the codes take off the error.
        const Candidate& c = candidates[k];
        const Floats gain = scale[k] * (c.xu + c.xu - scale[k] * c.uu);
        if (first + k == 0) most = gain;
        index = Ops::where_greater(gain, most, Floats(static_cast<float>(first + k)), index);
        most = Ops::where_greater(gain, most, gain, most);
      }
    }
    float lanes[kWidth];
    Ops::store(index, lanes);
    for (std::size_t lane = 0; lane < blocks; ++lane) best[lane] = static_cast<std::uint8_t>(lanes[lane]);
  }

 private:
  using Blocks = LoadedBlocks<Ops, kWeighted, kLong>;
  static constexpr std::size_t kTogether = 4;  // candidates whose sums are formed side by side
  static constexpr std::size_t kParts = Blocks::kParts;

  // A way to code a block, u = clamp(rne(x * inverse), least, most), and the sums that follow from it.
  struct Candidate {
    Floats inverse, least, most, xu, uu;
  };

  static Floats rounded(Floats v) { return (v + Floats(kRounder)) - Floats(kRounder); }

  // Blocks are multiplied by a power of two, so that no sum can overflow. With either_sign the sign changes too where
  // the extreme is positive: the side that has one code more is tried for the extreme.
  void normalize(Floats lo, Floats hi) {
    const Floats zero(0.0f);
    const Floats below = zero - lo;
    const Floats power = Ops::power_below(Ops::max(below, hi));
    const Floats inverse = Ops::inverse_of_power(power);
    unit_ = power;
    to_unit_ = inverse;
    lo_ = Ops::min(lo * inverse, zero);
    hi_ = Ops::max(hi * inverse, zero);
    blocks_.set_factor(to_unit_);
    if (!how_.either_sign) return;
    unit_ = Ops::where_greater(hi, below, zero - unit_, unit_);
    to_unit_ = Ops::where_greater(hi, below, zero - to_unit_, to_unit_);
    blocks_.set_factor(to_unit_);
    const Floats flipped_lo = zero - hi_, flipped_hi = zero - lo_;
    lo_ = Ops::where_greater(hi, below, flipped_lo, lo_);
    hi_ = Ops::where_greater(hi, below, flipped_hi, hi_);
  }

  Floats root_mean_square() {
    Floats sums[kParts];
    for (std::size_t part = 0; part < kParts; ++part) {
      Floats sum(0.0f);
      blocks_.for_each_chunk(part, [&](const float* x, const float*, std::size_t count) {
        for (std::size_t i = 0; i < count * kWidth; i += kWidth) {
          const Floats v = Ops::load(x + i);
          sum = Ops::fused(v, v, sum);
        }
      });
      sums[part] = sum;
    }
    return Ops::root(Ops::divide(Blocks::joined(sums), Floats(static_cast<float>(blocks_.run()))));
  }

  Floats coded(const Candidate& c, Floats v) const {
    if constexpr (kLevels) return codes_.nearest(v * c.inverse);
    const Floats code = Ops::fused(v, c.inverse, Floats(kRounder));
    return Ops::min(Ops::max(code, c.least), c.most) - Floats(kRounder);
  }

  template <std::size_t kCount>
  void add_sums(Candidate* candidates, const float* x, const float* weights, std::size_t count) const {
    Candidate c[kCount];
    for (std::size_t k = 0; k < kCount; ++k) {
      c[k] = candidates[k];
      c[k].least = c[k].least + Floats(kRounder);
      c[k].most = c[k].most + Floats(kRounder);
    }
    for (std::size_t i = 0; i < count * kWidth; i += kWidth) {
      const Floats v = Ops::load(x + i);
      Floats w, wv = v;
      if constexpr (kWeighted) {
        w = Ops::load(weights + i);
        wv = v * w;
      }
      for (std::size_t k = 0; k < kCount; ++k) {
        const Floats u = coded(c[k], v);
        c[k].xu = Ops::fused(wv, u, c[k].xu);
        if constexpr (kWeighted) {
          c[k].uu = Ops::fused(w * u, u, c[k].uu);
        } else {
          c[k].uu = Ops::fused(u, u, c[k].uu);
        }
      }
    }
    for (std::size_t k = 0; k < kCount; ++k) {
      candidates[k].xu = c[k].xu;
      candidates[k].uu = c[k].uu;
    }
  }

  // Forms the sums of `n` candidates and keeps what is better than the best.
  void compete(Candidate* candidates, std::size_t n) {
    form_sums(candidates, n);
    for (std::size_t k = 0; k < n; ++k) keep_better(candidates[k]);
  }

  void form_sums(Candidate* candidates, std::size_t n) {
    Floats xu[kMaxSearchCandidates][kParts], uu[kMaxSearchCandidates][kParts];
    for (std::size_t part = 0; part < kParts; ++part) {
      for (std::size_t k = 0; k < n; ++k) candidates[k].xu = candidates[k].uu = Floats(0.0f);
      blocks_.for_each_chunk(part, [&](const float* x, const float* weights, std::size_t count) {
        std::size_t k = 0;
        for (; k + kTogether <= n; k += kTogether) add_sums<kTogether>(candidates + k, x, weights, count);
        for (; k < n; ++k) add_sums<1>(candidates + k, x, weights, count);
      });
      for (std::size_t k = 0; k < n; ++k) {
        xu[k][part] = candidates[k].xu;
        uu[k][part] = candidates[k].uu;
      }
    }
    for (std::size_t k = 0; k < n; ++k) {
      candidates[k].xu = Blocks::joined(xu[k]);
      candidates[k].uu = Blocks::joined(uu[k]);
    }
  }

  void keep_better(const Candidate& c) {
    // xu^2 / uu is larger, and the scale may have that sign.
    const Floats allowed = how_.either_sign ? c.xu : Ops::max(c.xu, Floats(0.0f));
    const Floats mine = allowed * allowed * best_.uu;
    const Floats its = best_.xu * best_.xu * c.uu;
    const auto choose = [&](Floats a, Floats b) { return Ops::where_greater(mine, its, a, b); };
    const Candidate old = best_;
    best_.least = choose(c.least, old.least);
    best_.most = choose(c.most, old.most);
    best_.xu = choose(c.xu, old.xu);
    best_.uu = choose(c.uu, old.uu);
  }

  // From a little below the largest inverse that clips nothing, to one that clips what is beyond `crest` times the
  // root mean square, or a little above the former.
  void try_grid() {
    const Floats zero(0.0f);
    const Floats codes(how_.code_max - how_.code_min);
    const Floats width = hi_ - lo_, middle = (hi_ + lo_) * Floats(0.5f);
    Floats whole;
    if (how_.own_zero_points) {
      whole = Ops::divide(codes, width);
    } else {
      const Floats low = Ops::divide(best_.least, lo_), high = Ops::divide(best_.most, hi_);
      // An empty side limits nothing.
      whole = Ops::min(Ops::where_greater(zero, lo_, low, high), Ops::where_greater(hi_, zero, high, low));
    }
    whole = Ops::where_greater(width, zero, whole, zero);
    const Floats rms = root_mean_square();
    const Floats half = (codes + Floats(1.0f)) * Floats(0.5f);
    const Floats clipping = Ops::divide(half, rms * Floats(how_.crest));
    const Floats first = whole * Floats(how_.shrink);
    Floats last = Ops::max(whole * Floats(how_.grow), clipping);
    last = Ops::where_greater(width, zero, last, zero);
    const Floats step = (last - first) * Floats(1.0f / static_cast<float>(how_.candidates - 1));

    Candidate candidates[kMaxSearchCandidates];
    for (std::uint32_t k = 0; k < how_.candidates; ++k) {
      Candidate& c = candidates[k];
      c.inverse = Ops::fused(step, Floats(static_cast<float>(k)), first);
      c.least = best_.least;
      c.most = best_.most;
      if (how_.own_zero_points) place(c, Ops::fused(middle, c.inverse, codes * Floats(-0.5f)));
    }
    compete(candidates, how_.candidates);
    if (!how_.both_signs) return;
    for (std::uint32_t k = 0; k < how_.candidates; ++k) candidates[k].inverse = zero - candidates[k].inverse;
    compete(candidates, how_.candidates);
  }

  // Sets the limits to whole numbers near `least`, such that zero has a code.
  void place(Candidate& c, Floats least) const {
    const Floats codes(how_.code_max - how_.code_min);
    c.least = Ops::min(Ops::max(rounded(least), Floats(0.0f) - codes), Floats(0.0f));
    c.most = c.least + codes;
  }

  // Once more with the scale found, and with the zero points beside it.
  void refine() {
    const Floats zero(0.0f);
    const Floats inverse = Ops::where_greater(Ops::magnitude(best_.xu), zero, Ops::divide(best_.uu, best_.xu), zero);
    Candidate candidates[3];
    for (Candidate& c : candidates) {
      c = best_;
      c.inverse = inverse;
    }
    if (!how_.own_zero_points) return compete(candidates, 1);
    place(candidates[1], best_.least - Floats(1.0f));
    place(candidates[2], best_.least + Floats(1.0f));
    compete(candidates, 3);
  }

  struct WholeNumbers {
    explicit WholeNumbers(const AffineSearch&) {}
  };
  struct UnevenLevels : Ops::LevelFinder {
    explicit UnevenLevels(const AffineSearch& how) : Ops::LevelFinder(*how.levels) {}
  };

  const AffineSearch& how_;
  const std::conditional_t<kLevels, UnevenLevels, WholeNumbers> codes_;
  Blocks blocks_;
  Floats unit_, to_unit_;  // of normalized values; what normalizes them
  Floats lo_, hi_;         // normalized, with 0 between them
  Candidate best_;
};

template <class Ops>
struct Search {
  static void search_affine(const AffineSearch& how, const SearchBlocks& blocks, float* scale,
                            float* zero_point) noexcept {
    const auto find = [&](auto& search, std::size_t row, std::size_t rows) {
      search.find(rows, scale + row, zero_point + row);
    };
    const bool weighted = blocks.weights != nullptr, is_long = blocks.run >= kLongRun;
    if (how.levels != nullptr) {
      weighted ? run<true, true, false>(how, blocks, find) : run<true, false, false>(how, blocks, find);
    } else if (is_long) {
      weighted ? run<false, true, true>(how, blocks, find) : run<false, false, true>(how, blocks, find);
    } else {
      weighted ? run<false, true, false>(how, blocks, find) : run<false, false, false>(how, blocks, find);
    }
  }

  static void choose_scale(const Levels& levels, const SearchBlocks& blocks, const float* scales, std::size_t count,
                           std::uint8_t* best) noexcept {
    const auto choose = [&](auto& search, std::size_t row, std::size_t rows) {
      search.choose(scales + row, count, blocks.rows, rows, best + row);
    };
    AffineSearch how = {};
    how.levels = &levels;
    blocks.weights != nullptr ? run<true, true, false>(how, blocks, choose)
                              : run<true, false, false>(how, blocks, choose);
  }

 private:
  // Calls f(search, first row, rows) for as many rows at a time as are searched together.
  template <bool kLevels, bool kWeighted, bool kLong, class F>
  static void run(const AffineSearch& how, const SearchBlocks& blocks, F&& f) {
    using Searching = BlockSearch<Ops, kLevels, kWeighted, kLong>;
    for (std::size_t row = 0; row < blocks.rows; row += Searching::kBlocks) {
      const std::size_t left = blocks.rows - row;
      SearchBlocks some = blocks;
      some.x += row * blocks.run;
      if constexpr (kWeighted) some.weights += row * blocks.run;
      some.ranges += row;
      some.rows = left < Searching::kBlocks ? left : Searching::kBlocks;
      Searching search(how, some);
      f(search, row, some.rows);
    }
  }
};

}  // namespace mq::kernels
