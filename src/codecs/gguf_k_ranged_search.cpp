// Lower error in the K-quants with a scale and a minimum.
//
// Each run is searched by itself; the largest scale and minimum of a super-block give d and dmin. Then, with d and dmin
// as stored, each run takes the best of the multiples around its own; the codes found so determine d and dmin by two
// equations, and so on, as long as the error falls.
#include <algorithm>
#include <utility>

#include "src/active_table.hpp"
#include "src/codecs/gguf_k_blocks.hpp"
#include "src/codecs/gguf_search.hpp"

namespace mq::gguf {
namespace {

struct Layout {
  int most;   // code
  int steps;  // largest multiple
  kernels::MinSearch search;
  int rounds;  // of d and dmin
};

// d and dmin as stored, in units of the block, the multiples of each run, what is wrong with them, and which d and dmin
// would be best.
struct Choice {
  float d = 0, dmin = 0;
  std::array<float, 16> scales = {}, mins = {};  // whole numbers
  BlockQuality quality;
  float fitting_d = 0, fitting_dmin = 0;
};

std::array<std::uint8_t, 16> bytes_of(const std::array<float, 16>& multiples) {
  std::array<std::uint8_t, 16> bytes;
  for (std::size_t g = 0; g < bytes.size(); ++g) bytes[g] = static_cast<std::uint8_t>(multiples[g]);
  return bytes;
}

// kRun weights share a scale and a minimum.
template <std::size_t kRun>
class RangedSearch {
 public:
  RangedSearch(const Layout& layout, const SearchedBlocks& in)
      : layout_(layout),
        in_(in),
        steps_(static_cast<float>(layout.steps)),
        blocks_(in, kSuperNumel),
        rows_(static_cast<std::size_t>(in.count) * kRuns),
        searched_{blocks_.x(), in.weights, rows_, kRun, nullptr},
        reach_(in.thorough ? 2 : 1),
        chosen_(rows_) {}

  std::vector<Choice> find() {
    std::vector<float> scales(rows_), mins(rows_);
    active_table().search_min(layout_.search, searched_, scales.data(), mins.data());
    std::vector<Choice> best(static_cast<std::size_t>(in_.count)), next(best.size());
    for (std::size_t b = 0; b < next.size(); ++b) begin(b, &scales[b * kRuns], &mins[b * kRuns], next[b]);
    for (int round = 0;; ++round) {
      choose_multiples(next);
      for (std::size_t b = 0; b < best.size(); ++b) {
        if (round == 0 || next[b].quality.error < best[b].quality.error) best[b] = next[b];
      }
      if (round == layout_.rounds) return best;
      next = best;
      for (Choice& choice : next) {
        choice.d = choice.fitting_d;
        choice.dmin = choice.fitting_dmin;
      }
    }
  }

  // The codes of all super-blocks.
  std::vector<std::uint8_t> codes(const std::vector<Choice>& found) const {
    std::vector<float> scales(rows_), mins(rows_);
    for (std::size_t row = 0; row < rows_; ++row) {
      const Choice& choice = found[row / kRuns];
      scales[row] = choice.d * choice.scales[row % kRuns];
      mins[row] = -(choice.dmin * choice.mins[row % kRuns]);
    }
    return codes_of(above(blocks_.x(), kRun, mins).data(), kRun, std::move(scales), 0, layout_.most);
  }

  float real(std::size_t b, float value) const { return blocks_.real(static_cast<std::int64_t>(b), value); }

 private:
  static constexpr std::size_t kRuns = kSuperNumel / kRun;

  float stored(std::size_t b, float value) const { return blocks_.rounded(static_cast<std::int64_t>(b), value); }

  void begin(std::size_t b, const float* scales, const float* mins, Choice& choice) const {
    choice.d = stored(b, *std::max_element(scales, scales + kRuns) / steps_);
    choice.dmin = stored(b, -*std::min_element(mins, mins + kRuns) / steps_);
    const float scale_steps = inverse_or_zero(choice.d), min_steps = inverse_or_zero(choice.dmin);
    for (std::size_t g = 0; g < kRuns; ++g) {
      choice.scales[g] = static_cast<float>(whole(scales[g] * scale_steps, 0, layout_.steps));
      choice.mins[g] = static_cast<float>(whole(-mins[g] * min_steps, 0, layout_.steps));
    }
  }

  // The best multiples of each run within reach of those that it has.
  void choose_multiples(std::vector<Choice>& choices) {
    propose(choices);
    active_table().choose_candidate(
        {nullptr, scales_.data(), mins_.data(), side(), side(), 0, static_cast<float>(layout_.most)}, searched_,
        chosen_.target());
    for (std::size_t b = 0; b < choices.size(); ++b) take(b, choices[b]);
  }

  // How many multiples are proposed for each.
  std::size_t side() const { return 2 * static_cast<std::size_t>(reach_) + 1; }

  float multiple(float from, float offset) const {
    const float moved = from + offset, above = moved > 0 ? moved : 0;
    return above < steps_ ? above : steps_;
  }

  void propose(const std::vector<Choice>& choices) {
    scales_.resize(side() * rows_);
    mins_.resize(side() * rows_);
    float* scale = scales_.data();
    float* min = mins_.data();
    for (int i = -reach_; i <= reach_; ++i) {
      const auto offset = static_cast<float>(i);
      for (const Choice& choice : choices) {
        propose(choice.d, choice.scales, offset, scale);
        propose(-choice.dmin, choice.mins, offset, min);
        scale += kRuns;
        min += kRuns;
      }
    }
  }

  void propose(float unit, const std::array<float, 16>& multiples, float offset, float* __restrict to) const {
    for (std::size_t g = 0; g < kRuns; ++g) to[g] = unit * multiple(multiples[g], offset);
  }

  // What was chosen for a block, and what fits its codes best, by least squares: x = d * (scale q) - dmin * min.
  void take(std::size_t b, Choice& choice) const {
    choice.quality = {};
    float ss = 0, sm = 0, mm = 0, xs = 0, xm = 0;
    for (std::size_t g = 0; g < kRuns; ++g) {
      const std::size_t row = b * kRuns + g;
      choice.quality.error += chosen_.error[row];
      choice.quality.power += chosen_.sums[row].wxx;
      choice.scales[g] = multiple(choice.scales[g], static_cast<float>(chosen_.scale[row] - reach_));
      choice.mins[g] = multiple(choice.mins[g], static_cast<float>(chosen_.min[row] - reach_));
      const kernels::CodeSums& sums = chosen_.sums[row];
      const float scale = choice.scales[g], min = choice.mins[g];
      ss += scale * scale * sums.wqq;
      sm += scale * min * sums.wq;
      mm += min * min * sums.w;
      xs += scale * sums.wqx;
      xm += min * sums.wx;
    }
    choice.fitting_d = choice.d;
    choice.fitting_dmin = choice.dmin;
    const float determinant = ss * mm - sm * sm;
    if (determinant > 0) {
      choice.fitting_d = stored(b, (xs * mm - xm * sm) / determinant);
      choice.fitting_dmin = stored(b, (xs * sm - xm * ss) / determinant);
    } else if (ss > 0) {
      choice.fitting_d = stored(b, xs / ss);
    }
  }

  const Layout& layout_;
  const SearchedBlocks& in_;
  const float steps_;
  UnitBlocks blocks_;
  std::size_t rows_;  // runs of all super-blocks
  kernels::SearchBlocks searched_;
  int reach_;
  std::vector<float> scales_, mins_;
  ChosenRuns chosen_;
};

template <std::size_t kRun>
void search(const Layout& layout, const SearchedBlocks& in, std::size_t type,
            void (*pack)(const RangedBlock&, std::uint8_t*), std::uint8_t* blocks) {
  RangedSearch<kRun> search(layout, in);
  const std::vector<Choice> found = search.find();
  const std::vector<std::uint8_t> codes = search.codes(found);
  const std::int64_t bytes = info(kSuper[type].dtype).block_bytes;
  for (std::size_t b = 0; b < found.size(); ++b) {
    RangedBlock out{.d = search.real(b, found[b].d),
                    .dmin = search.real(b, found[b].dmin),
                    .scales = bytes_of(found[b].scales),
                    .mins = bytes_of(found[b].mins),
                    .codes = {}};
    std::copy_n(codes.data() + b * kSuperNumel, kSuperNumel, out.codes.data());
    pack(out, blocks + static_cast<std::int64_t>(b) * bytes);
  }
  keep_better(kSuper[type], kSuperEncoders[type], in, blocks, qualities_of(found));
}

Layout layout_of(int most, int steps, bool thorough) {
  return {.most = most, .steps = steps, .search = min_search(most, true, thorough), .rounds = thorough ? 8 : 1};
}

}  // namespace

void search_q2_k(const SearchedBlocks& in, std::uint8_t* blocks) {
  search<16>(layout_of(3, 15, in.thorough), in, 0, pack_q2_k, blocks);
}

void search_q4_k(const SearchedBlocks& in, std::uint8_t* blocks) {
  search<32>(layout_of(15, 63, in.thorough), in, 2, pack_q4_k, blocks);
}

void search_q5_k(const SearchedBlocks& in, std::uint8_t* blocks) {
  search<32>(layout_of(31, 63, in.thorough), in, 3, pack_q5_k, blocks);
}

}  // namespace mq::gguf
