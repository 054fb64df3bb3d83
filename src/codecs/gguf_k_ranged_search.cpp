// Lower error in the K-quants with a scale and a minimum.
//
// Each run is searched by itself; the largest scale and minimum of a super-block give d and dmin. Then, with d and dmin
// as stored, each run takes the best of the multiples around its own; the codes found so determine d and dmin by two
// equations, and so on, as long as the error falls.
#include <algorithm>

#include "src/active_table.hpp"
#include "src/codecs/gguf_k_blocks.hpp"
#include "src/codecs/gguf_search.hpp"

namespace mq::gguf {
namespace {

struct Layout {
  int run;    // weights that share a scale and a minimum
  int most;   // code
  int steps;  // largest multiple
  kernels::MinSearch search;
  int rounds;  // of d and dmin
};

// d and dmin as stored, in units of the block, the multiples of each run, and what is wrong with them.
struct Choice {
  float d = 0, dmin = 0;
  std::array<std::uint8_t, 16> scales, mins;
  float error = 0;
};

// Compilers make vectors of these two, as long as they know neither how many elements there are nor that bytes may lie
// in floats.
[[gnu::noinline]] void code_run(const float* __restrict x, std::size_t n, float inverse, float minus_min, float most,
                                float* __restrict codes) {
  for (std::size_t i = 0; i < n; ++i) {
    const float q = (x[i] + minus_min) * inverse;
    const float above = q > 0 ? q : 0;  // 0 for NaN
    codes[i] = ((above < most ? above : most) + 0x1.8p23f) - 0x1.8p23f;
  }
}
[[gnu::noinline]] void to_bytes(const float* __restrict codes, std::size_t n, std::uint8_t* __restrict bytes) {
  for (std::size_t i = 0; i < n; ++i) bytes[i] = static_cast<std::uint8_t>(static_cast<int>(codes[i]));
}

class RangedSearch {
 public:
  RangedSearch(const Layout& layout, const SearchedBlocks& in)
      : layout_(layout),
        in_(in),
        blocks_(in, kSuperNumel),
        runs_(static_cast<std::size_t>(kSuperNumel / layout.run)),
        rows_(static_cast<std::size_t>(in.count) * runs_),
        searched_{blocks_.x(), in.weights, rows_, static_cast<std::size_t>(layout.run), nullptr},
        reach_(in.thorough ? 2 : 1) {}

  std::vector<Choice> find() {
    std::vector<float> scales(rows_), mins(rows_);
    active_table().search_min(layout_.search, searched_, scales.data(), mins.data());
    std::vector<Choice> best(static_cast<std::size_t>(in_.count)), next(best.size());
    for (std::size_t b = 0; b < next.size(); ++b) begin(b, &scales[b * runs_], &mins[b * runs_], next[b]);
    for (int round = 0;; ++round) {
      choose_multiples(next);
      for (std::size_t b = 0; b < best.size(); ++b) {
        if (round == 0 || next[b].error < best[b].error) best[b] = next[b];
      }
      if (round == layout_.rounds) return best;
      for (std::size_t b = 0; b < best.size(); ++b) {
        next[b] = best[b];
        solve(b, next[b]);
      }
    }
  }

  // Codes, as floats.
  void code(std::size_t b, const Choice& choice, float* codes) const {
    const auto most = static_cast<float>(layout_.most);
    for (std::size_t g = 0; g < runs_; ++g) {
      const float inverse = inverse_or_zero(choice.d * static_cast<float>(choice.scales[g]));
      const float minus_min = choice.dmin * static_cast<float>(choice.mins[g]);
      code_run(x(b) + g * run(), run(), inverse, minus_min, most, codes + g * run());
    }
  }

  // As it is stored.
  RangedBlock block(std::size_t b, const Choice& choice) const {
    RangedBlock out;
    out.d = blocks_.real(static_cast<std::int64_t>(b), choice.d);
    out.dmin = blocks_.real(static_cast<std::int64_t>(b), choice.dmin);
    out.scales = choice.scales;
    out.mins = choice.mins;
    std::array<float, kSuperNumel> codes;
    code(b, choice, codes.data());
    to_bytes(codes.data(), codes.size(), out.codes.data());
    return out;
  }

 private:
  std::size_t run() const { return static_cast<std::size_t>(layout_.run); }
  const float* x(std::size_t b) const { return blocks_.block(static_cast<std::int64_t>(b)); }

  float stored(std::size_t b, float value) const { return blocks_.rounded(static_cast<std::int64_t>(b), value); }

  void begin(std::size_t b, const float* scales, const float* mins, Choice& choice) const {
    const auto steps = static_cast<float>(layout_.steps);
    choice.d = stored(b, *std::max_element(scales, scales + runs_) / steps);
    choice.dmin = stored(b, -*std::min_element(mins, mins + runs_) / steps);
    const float scale_steps = inverse_or_zero(choice.d), min_steps = inverse_or_zero(choice.dmin);
    for (std::size_t g = 0; g < runs_; ++g) {
      choice.scales[g] = static_cast<std::uint8_t>(whole(scales[g] * scale_steps, 0, layout_.steps));
      choice.mins[g] = static_cast<std::uint8_t>(whole(-mins[g] * min_steps, 0, layout_.steps));
    }
  }

  // The best multiples of each run within reach of those that it has.
  void choose_multiples(std::vector<Choice>& choices) {
    const int side = 2 * reach_ + 1;
    const auto count = static_cast<std::size_t>(side * side);
    scales_.resize(count * rows_);
    mins_.resize(count * rows_);
    errors_.resize(count * rows_);
    propose(choices, side);
    active_table().candidate_errors({nullptr, scales_.data(), mins_.data(), count, 0, static_cast<float>(layout_.most)},
                                    searched_, errors_.data());
    for (std::size_t b = 0; b < choices.size(); ++b) {
      Choice& choice = choices[b];
      choice.error = 0;
      for (std::size_t g = 0; g < runs_; ++g) {
        const float* const errors = errors_.data() + b * runs_ + g;
        const std::size_t best = best_candidate(errors, count, rows_);
        choice.error += errors[best * rows_];
        choice.scales[g] = multiple(choice.scales[g], static_cast<int>(best) / side - reach_);
        choice.mins[g] = multiple(choice.mins[g], static_cast<int>(best) % side - reach_);
      }
    }
  }

  std::uint8_t multiple(int from, int offset) const {
    return static_cast<std::uint8_t>(std::clamp(from + offset, 0, layout_.steps));
  }

  // Candidate i * side + j: the scales' multiples moved by i - reach, the mins' by j - reach.
  void propose(const std::vector<Choice>& choices, int side) {
    const auto n = static_cast<std::size_t>(side);
    for (int offset = 0; offset < side; ++offset) {
      float* const scale = scales_.data() + static_cast<std::size_t>(offset) * n * rows_;
      float* const min = mins_.data() + static_cast<std::size_t>(offset) * rows_;
      std::size_t row = 0;
      for (const Choice& choice : choices) {
        for (std::size_t g = 0; g < runs_; ++g, ++row) {
          scale[row] = choice.d * static_cast<float>(multiple(choice.scales[g], offset - reach_));
          min[row] = -(choice.dmin * static_cast<float>(multiple(choice.mins[g], offset - reach_)));
        }
      }
      for (std::size_t j = 1; j < n; ++j) std::copy_n(scale, rows_, scale + j * rows_);
    }
    for (std::size_t i = 1; i < n; ++i) std::copy_n(mins_.data(), n * rows_, mins_.data() + i * n * rows_);
  }

  // d and dmin that fit the codes best, by least squares: x = d * (scale q) - dmin * min.
  void solve(std::size_t b, Choice& choice) const {
    std::array<float, kSuperNumel> codes, weighted;
    code(b, choice, codes.data());
    const float* const weights = in_.weights_at(static_cast<std::int64_t>(b) * kSuperNumel);
    for (std::size_t i = 0; i < kSuperNumel; ++i) weighted[i] = weight_of(weights, i) * codes[i];
    float ss = 0, sm = 0, mm = 0, xs = 0, xm = 0;
    for (std::size_t g = 0; g < runs_; ++g) {
      const std::size_t first = g * run();
      const float* const v = x(b) + first;
      const float* const wq_of = weighted.data() + first;
      const float wqq = dot(wq_of, codes.data() + first, run()), wxq = dot(wq_of, v, run());
      const float wq = sum_in_lanes<float>(run(), [=](std::size_t i) { return wq_of[i]; });
      const float w = sum_in_lanes<float>(run(), [=](std::size_t i) { return weight_of(weights, first + i); });
      const float wx = sum_in_lanes<float>(run(), [=](std::size_t i) { return weight_of(weights, first + i) * v[i]; });
      const auto scale = static_cast<float>(choice.scales[g]), min = static_cast<float>(choice.mins[g]);
      ss += scale * scale * wqq;
      sm += scale * min * wq;
      mm += min * min * w;
      xs += scale * wxq;
      xm += min * wx;
    }
    const float determinant = ss * mm - sm * sm;
    if (determinant > 0) {
      choice.d = stored(b, (xs * mm - xm * sm) / determinant);
      choice.dmin = stored(b, (xs * sm - xm * ss) / determinant);
    } else if (ss > 0) {
      choice.d = stored(b, xs / ss);
    }
  }

  const Layout& layout_;
  const SearchedBlocks& in_;
  UnitBlocks blocks_;
  std::size_t runs_, rows_;  // runs of a super-block; of all
  kernels::SearchBlocks searched_;
  int reach_;
  std::vector<float> scales_, mins_, errors_;
};

void search(const Layout& layout, const SearchedBlocks& in, std::int64_t bytes,
            void (*pack)(const RangedBlock&, std::uint8_t*), std::uint8_t* blocks) {
  RangedSearch search(layout, in);
  const std::vector<Choice> choices = search.find();
  for (std::size_t b = 0; b < choices.size(); ++b) {
    pack(search.block(b, choices[b]), blocks + static_cast<std::int64_t>(b) * bytes);
  }
}

Layout layout_of(int run, int most, int steps, bool thorough) {
  return {
      .run = run, .most = most, .steps = steps, .search = min_search(most, true, thorough), .rounds = thorough ? 8 : 1};
}

}  // namespace

void search_q2_k(const SearchedBlocks& in, std::uint8_t* blocks) {
  search(layout_of(16, 3, 15, in.thorough), in, 84, pack_q2_k, blocks);
  keep_better(kSuper[0], kSuperEncoders[0], in, blocks);
}

void search_q4_k(const SearchedBlocks& in, std::uint8_t* blocks) {
  search(layout_of(32, 15, 63, in.thorough), in, 144, pack_q4_k, blocks);
  keep_better(kSuper[2], kSuperEncoders[2], in, blocks);
}

void search_q5_k(const SearchedBlocks& in, std::uint8_t* blocks) {
  search(layout_of(32, 31, 63, in.thorough), in, 176, pack_q5_k, blocks);
  keep_better(kSuper[3], kSuperEncoders[3], in, blocks);
}

}  // namespace mq::gguf
