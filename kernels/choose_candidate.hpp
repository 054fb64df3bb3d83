// The best of given scales and least values of a block, and what determines better ones.
//
// Every instruction set finds the same bits: one block lies in each lane, and a sum is formed in the order of its
// elements.
#pragma once

#include "kernels/whole_blocks.hpp"

namespace mq::kernels {

// What codes stand for, where it is whole numbers.
template <class Ops>
class WholeNumbers {
 public:
  using Floats = typename Ops::Floats;
  explicit WholeNumbers(const Candidates& from) : least_(from.code_min + kRounder), most_(from.code_max + kRounder) {}
  Floats nearest(Floats v) const { return Ops::min(Ops::max(v + Floats(kRounder), least_), most_) - Floats(kRounder); }

 private:
  Floats least_, most_;
};

// Up to kWidth blocks, from `row` on.
template <class Ops, class Codes, bool kWeighted>
class CandidateChoice {
 public:
  CandidateChoice(const Codes& codes, const Candidates& from, const SearchBlocks& some, std::size_t row,
                  std::size_t rows)
      : from_(from), codes_(codes), blocks_(some), count_(some.rows), row_(row), rows_(rows) {}

  void find(const Chosen& chosen) {
    for (std::size_t j = 0; j < from_.mins; ++j) {
      std::size_t i = 0;
      for (; i + kTogether <= from_.scales; i += kTogether) measure<kTogether>(i, j);
      for (; i < from_.scales; ++i) measure<1>(i, j);
    }
    const Best best = best_of_all();
    save(best.i, [&](std::size_t r, float v) { chosen.scale[r] = static_cast<std::uint8_t>(v); });
    save(best.j, [&](std::size_t r, float v) { chosen.min[r] = static_cast<std::uint8_t>(v); });
    save(best.error, [&](std::size_t r, float v) { chosen.error[r] = v; });
    save_sums(best, chosen.sums);
  }

 private:
  using Floats = typename Ops::Floats;
  static constexpr std::size_t kWidth = Ops::kWidth;
  static constexpr std::size_t kTogether = 3;  // scales whose errors are measured side by side

  struct Best {
    Floats i, j, error, scale, min;
  };

  // Element r of the runs at hand.
  Floats load(const float* of_rows) const { return load_of_each<Ops>(of_rows + row_, count_); }
  template <class F>
  void save(Floats v, F&& f) const {
    float all[kWidth];
    Ops::store(v, all);
    for (std::size_t i = 0; i < count_; ++i) f(row_ + i, all[i]);
  }

  Floats scale(std::size_t i) const { return load(from_.scale + i * rows_); }
  Floats min(std::size_t j) const { return from_.min == nullptr ? Floats(0.0f) : load(from_.min + j * rows_); }
  float* error(std::size_t i, std::size_t j) { return errors_ + (i * from_.mins + j) * kWidth; }

  static Floats inverse_of(Floats scale) {
    const Floats zero(0.0f);
    return Ops::where_greater(Ops::magnitude(scale), zero, Ops::divide(Floats(1.0f), scale), zero);
  }

  template <std::size_t kCount>
  void measure(std::size_t first, std::size_t j) {
    const Floats zero(0.0f), least = min(j);
    Floats inverse[kCount], negative[kCount], sum[kCount];
    for (std::size_t k = 0; k < kCount; ++k) {
      const Floats s = scale(first + k);
      inverse[k] = inverse_of(s);
      negative[k] = zero - s;
      sum[k] = zero;
    }
    blocks_.for_each([&](Floats v, std::size_t i) {
      const Floats above = v - least;
      for (std::size_t k = 0; k < kCount; ++k) {
        const Floats off = Ops::fused(codes_.nearest(above * inverse[k]), negative[k], above);
        sum[k] = kWeighted ? Ops::fused(blocks_.weight(i) * off, off, sum[k]) : Ops::fused(off, off, sum[k]);
      }
    });
    for (std::size_t k = 0; k < kCount; ++k) Ops::store(sum[k], error(first + k, j));
  }

  Best best_of_all() {
    const std::size_t middle = from_.scales * from_.mins / 2;
    Best best = at(middle / from_.mins, middle % from_.mins);
    for (std::size_t i = 0; i < from_.scales; ++i) {
      for (std::size_t j = 0; j < from_.mins; ++j) {
        const Best other = at(i, j);
        const auto choose = [&](Floats a, Floats b) { return Ops::where_greater(best.error, other.error, a, b); };
        best = {choose(other.i, best.i), choose(other.j, best.j), choose(other.error, best.error),
                choose(other.scale, best.scale), choose(other.min, best.min)};
      }
    }
    return best;
  }
  Best at(std::size_t i, std::size_t j) {
    return {Floats(static_cast<float>(i)), Floats(static_cast<float>(j)), Ops::load(error(i, j)), scale(i), min(j)};
  }

  void save_sums(const Best& best, CodeSums* sums) const {
    const Floats zero(0.0f), inverse = inverse_of(best.scale);
    Floats w = zero, wx = zero, wxx = zero, wq = zero, wqq = zero, wqx = zero;
    blocks_.for_each([&](Floats v, std::size_t i) {
      const Floats weight = blocks_.weight(i);
      const Floats q = codes_.nearest((v - best.min) * inverse), weighted = kWeighted ? weight * q : q;
      w = w + weight;
      wx = Ops::fused(weight, v, wx);
      wxx = Ops::fused(weight * v, v, wxx);
      wq = wq + weighted;
      wqq = Ops::fused(weighted, q, wqq);
      wqx = Ops::fused(weighted, v, wqx);
    });
    save(w, [&](std::size_t r, float v) { sums[r].w = v; });
    save(wx, [&](std::size_t r, float v) { sums[r].wx = v; });
    save(wxx, [&](std::size_t r, float v) { sums[r].wxx = v; });
    save(wq, [&](std::size_t r, float v) { sums[r].wq = v; });
    save(wqq, [&](std::size_t r, float v) { sums[r].wqq = v; });
    save(wqx, [&](std::size_t r, float v) { sums[r].wqx = v; });
  }

  const Candidates& from_;
  const Codes& codes_;
  const WholeBlocks<Ops, kWeighted> blocks_;
  std::size_t count_, row_, rows_;
  alignas(64) float errors_[kMaxCandidates * kWidth];
};

template <class Ops>
struct ChooseCandidate {
  static void choose_candidate(const Candidates& from, const SearchBlocks& blocks, const Chosen& chosen) noexcept {
    if (from.levels == nullptr) {
      choose(WholeNumbers<Ops>(from), from, blocks, chosen);
    } else {
      choose(typename Ops::LevelFinder(*from.levels), from, blocks, chosen);
    }
  }

 private:
  template <class Codes>
  static void choose(const Codes& codes, const Candidates& from, const SearchBlocks& blocks, const Chosen& chosen) {
    for_each_part<Ops>(blocks, [&](auto weighted, const SearchBlocks& some, std::size_t row) {
      CandidateChoice<Ops, Codes, decltype(weighted)::value>(codes, from, some, row, blocks.rows).find(chosen);
    });
  }
};

}  // namespace mq::kernels
