// Lower error in the K-quants with signed scales.
//
// Each run is searched by itself; the scale of largest magnitude becomes the least multiple of d. Then, with d as
// stored, each run takes the best of the multiples around its own; the codes found so determine d by least squares, and
// so on, as long as the error falls.
#include <algorithm>

#include "src/active_table.hpp"
#include "src/codecs/gguf_k_blocks.hpp"
#include "src/codecs/gguf_search.hpp"
#include "src/search.hpp"

namespace mq::gguf {
namespace {

constexpr std::size_t kRun = 16, kRuns = kSuperNumel / kRun;

struct Layout {
  int bits;        // of a code
  int scale_bits;  // of a multiple
  int rounds;      // of d

  int least_code() const { return -(1 << (bits - 1)); }
  int least_multiple() const { return -(1 << (scale_bits - 1)); }
};

// d as stored, in units of the block, the multiples of each run, and what is wrong with them.
struct Choice {
  float d = 0;
  std::array<std::int8_t, kRuns> scales;
  float error = 0;
};

class SignedSearch {
 public:
  SignedSearch(const Layout& layout, const SearchedBlocks& in)
      : layout_(layout),
        in_(in),
        blocks_(in, kSuperNumel),
        rows_(static_cast<std::size_t>(in.count) * kRuns),
        reach_(in.thorough ? 3 : 1) {}

  std::vector<Choice> find() {
    const std::vector<float> scales = scales_of_runs();
    std::vector<Choice> best(static_cast<std::size_t>(in_.count)), next(best.size());
    for (std::size_t b = 0; b < next.size(); ++b) begin(b, &scales[b * kRuns], next[b]);
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

  // As it is stored.
  SignedBlock block(std::size_t b, const Choice& choice) const {
    SignedBlock out;
    out.d = blocks_.real(static_cast<std::int64_t>(b), choice.d);
    out.scales = choice.scales;
    for (std::size_t i = 0; i < kSuperNumel; ++i) {
      out.codes[i] = static_cast<std::uint8_t>(code(b, i, choice) - layout_.least_code());
    }
    return out;
  }

 private:
  const float* x(std::size_t b) const { return blocks_.block(static_cast<std::int64_t>(b)); }

  float stored(std::size_t b, float value) const { return blocks_.rounded(static_cast<std::int64_t>(b), value); }

  int code(std::size_t b, std::size_t i, const Choice& choice) const {
    const float scale = choice.d * static_cast<float>(choice.scales[i / kRun]);
    return whole(x(b)[i] * inverse_or_zero(scale), layout_.least_code(), -layout_.least_code() - 1);
  }

  std::vector<float> scales_of_runs() const {
    kernels::AffineSearch how = affine_search({.bits = layout_.bits, .range = RangeKind::Signed});
    if (in_.thorough) {
      how.both_signs = true;
      how.candidates = kernels::kMaxSearchCandidates;
      how.refinements = 8;
    }
    std::vector<float> scales(rows_), zero_points(rows_);
    const std::vector<kernels::Range> ranges = ranges_with_zero(blocks_.x(), rows_, kRun);
    active_table().search_affine(how, {blocks_.x(), in_.weights, rows_, kRun, ranges.data()}, scales.data(),
                                 zero_points.data());
    return scales;
  }

  int multiple(int from, int offset) const {
    return std::clamp(from + offset, layout_.least_multiple(), -layout_.least_multiple() - 1);
  }

  void begin(std::size_t b, const float* scales, Choice& choice) const {
    choice.d = stored(b, extreme_of<kRuns>(scales) / static_cast<float>(layout_.least_multiple()));
    const float steps = inverse_or_zero(choice.d);
    for (std::size_t g = 0; g < kRuns; ++g) {
      choice.scales[g] =
          static_cast<std::int8_t>(whole(scales[g] * steps, layout_.least_multiple(), -layout_.least_multiple() - 1));
    }
  }

  // The best multiple of each run within reach of the one that it has.
  void choose_multiples(std::vector<Choice>& choices) {
    const auto count = static_cast<std::size_t>(2 * reach_ + 1);
    scales_.resize(count * rows_);
    errors_.resize(count * rows_);
    float* scale = scales_.data();
    for (int offset = -reach_; offset <= reach_; ++offset) {
      for (const Choice& choice : choices) {
        for (const int from : choice.scales) *scale++ = choice.d * static_cast<float>(multiple(from, offset));
      }
    }
    const auto least = static_cast<float>(layout_.least_code());
    active_table().candidate_errors({scales_.data(), nullptr, count, least, -least - 1},
                                    {blocks_.x(), in_.weights, rows_, kRun, nullptr}, errors_.data());
    for (std::size_t b = 0; b < choices.size(); ++b) {
      Choice& choice = choices[b];
      choice.error = 0;
      for (std::size_t g = 0; g < kRuns; ++g) {
        const float* const errors = errors_.data() + b * kRuns + g;
        std::size_t best = count / 2;
        for (std::size_t k = 0; k < count; ++k) best = errors[k * rows_] < errors[best * rows_] ? k : best;
        choice.error += errors[best * rows_];
        choice.scales[g] = static_cast<std::int8_t>(multiple(choice.scales[g], static_cast<int>(best) - reach_));
      }
    }
  }

  void solve(std::size_t b, Choice& choice) const {
    const float* const weights = in_.weights == nullptr ? nullptr : in_.weights + b * kSuperNumel;
    float xu = 0, uu = 0;
    for (std::size_t i = 0; i < kSuperNumel; ++i) {
      const float u = static_cast<float>(code(b, i, choice) * choice.scales[i / kRun]);
      const float wu = weight_of(weights, i) * u;
      xu += wu * x(b)[i];
      uu += wu * u;
    }
    if (uu > 0) choice.d = stored(b, xu / uu);
  }

  const Layout& layout_;
  const SearchedBlocks& in_;
  UnitBlocks blocks_;
  std::size_t rows_;  // runs of all super-blocks
  int reach_;
  std::vector<float> scales_, errors_;
};

void search(const Layout& layout, const SearchedBlocks& in, std::int64_t bytes,
            void (*pack)(const SignedBlock&, std::uint8_t*), std::uint8_t* blocks) {
  SignedSearch search(layout, in);
  const std::vector<Choice> choices = search.find();
  for (std::size_t b = 0; b < choices.size(); ++b) {
    pack(search.block(b, choices[b]), blocks + static_cast<std::int64_t>(b) * bytes);
  }
}

}  // namespace

void search_q3_k(const SearchedBlocks& in, std::uint8_t* blocks) {
  search({.bits = 3, .scale_bits = 6, .rounds = in.thorough ? 8 : 1}, in, 110, pack_q3_k, blocks);
  keep_better(kSuper[1], kSuperEncoders[1], in, blocks);
}

void search_q6_k(const SearchedBlocks& in, std::uint8_t* blocks) {
  search({.bits = 6, .scale_bits = 8, .rounds = in.thorough ? 8 : 1}, in, 210, pack_q6_k, blocks);
  keep_better(kSuper[4], kSuperEncoders[4], in, blocks);
}

}  // namespace mq::gguf
