#include "src/codecs/gguf_multiples.hpp"

#include <algorithm>
#include <utility>

#include "src/active_table.hpp"

namespace mq::gguf {

MultiplesSearch::MultiplesSearch(const MultiplesLayout& layout, const SearchedBlocks& in)
    : layout_(layout),
      in_(in),
      blocks_(in, kNumel),
      rows_(static_cast<std::size_t>(in.count) * runs()),
      reach_(in.thorough ? 3 : 1),
      chosen_(rows_) {}

std::vector<Multiples> MultiplesSearch::find() {
  const std::vector<float> scales = scales_of_runs();
  std::vector<Multiples> next(static_cast<std::size_t>(in_.count));
  for (std::size_t b = 0; b < next.size(); ++b) begin(b, &scales[b * runs()], next[b]);
  choose(next);
  std::vector<Multiples> best = next;
  for (int round = 0; round < (in_.thorough ? 8 : 1); ++round) {
    next = best;
    for (Multiples& block : next) block.d = block.fitting_d;
    choose(next);
    for (std::size_t b = 0; b < best.size(); ++b) {
      if (next[b].quality.error < best[b].quality.error) best[b] = next[b];
    }
  }
  return best;
}

float MultiplesSearch::real_d(std::size_t block, const Multiples& found) const {
  return blocks_.real(static_cast<std::int64_t>(block), found.d);
}

std::vector<std::uint8_t> MultiplesSearch::codes(const std::vector<Multiples>& found) const {
  std::vector<float> scales;
  scales.reserve(rows_);
  for (const Multiples& block : found) {
    for (std::size_t g = 0; g < runs(); ++g) scales.push_back(block.d * static_cast<float>(block.of_run[g]));
  }
  const kernels::AffineSearch& how = layout_.codes;
  if (how.levels == nullptr) {
    return codes_of(blocks_.x(), layout_.run, std::move(scales), static_cast<int>(how.code_min),
                    static_cast<int>(how.code_max));
  }
  std::vector<std::uint8_t> codes(rows_ * layout_.run);
  active_table().quantize_levels(*how.levels, blocks_.x(), rows_, layout_.run, scales.data(), codes.data());
  return codes;
}

std::vector<float> MultiplesSearch::scales_of_runs() const {
  kernels::AffineSearch how = layout_.codes;
  if (in_.thorough) {
    how.both_signs = true;
    how.candidates = kernels::kMaxSearchCandidates;
    how.refinements = 8;
  }
  return searched_scales(how, blocks_.x(), in_.weights, rows_, layout_.run);
}

int MultiplesSearch::multiple(int from, int offset) const {
  return std::clamp(from + offset, layout_.least_multiple, -layout_.least_multiple - 1);
}

void MultiplesSearch::begin(std::size_t block, const float* scales, Multiples& next) const {
  float extreme = 0;
  for (std::size_t g = 0; g < runs(); ++g) {
    if (std::fabs(scales[g]) > std::fabs(extreme)) extreme = scales[g];
  }
  next.d = blocks_.rounded(static_cast<std::int64_t>(block), extreme / static_cast<float>(layout_.least_multiple));
  const float steps = inverse_or_zero(next.d);
  for (std::size_t g = 0; g < runs(); ++g) {
    next.of_run[g] =
        static_cast<std::int8_t>(whole(scales[g] * steps, layout_.least_multiple, -layout_.least_multiple - 1));
  }
}

// The best multiple of each run within reach of the one that it has.
void MultiplesSearch::choose(std::vector<Multiples>& next) {
  const auto count = 2 * static_cast<std::size_t>(reach_) + 1;
  scales_.resize(count * rows_);
  float* scale = scales_.data();
  for (int offset = -reach_; offset <= reach_; ++offset) {
    for (const Multiples& block : next) {
      for (std::size_t g = 0; g < runs(); ++g) {
        *scale++ = block.d * static_cast<float>(multiple(block.of_run[g], offset));
      }
    }
  }
  active_table().choose_candidate(
      {layout_.codes.levels, scales_.data(), nullptr, count, 1, layout_.codes.code_min, layout_.codes.code_max},
      {blocks_.x(), in_.weights, rows_, layout_.run, nullptr}, chosen_.target());
  for (std::size_t b = 0; b < next.size(); ++b) take(b, next[b]);
}

// What was chosen for a block, and the d that fits its codes best, by least squares.
void MultiplesSearch::take(std::size_t block, Multiples& next) const {
  next.quality = {};
  float uu = 0, xu = 0;
  for (std::size_t g = 0; g < runs(); ++g) {
    const std::size_t run = block * runs() + g;
    const int found = multiple(next.of_run[g], chosen_.scale[run] - reach_);
    next.of_run[g] = static_cast<std::int8_t>(found);
    next.quality.error += chosen_.error[run];
    next.quality.power += chosen_.sums[run].wxx;
    const auto u = static_cast<float>(found);
    uu += u * u * chosen_.sums[run].wqq;
    xu += u * chosen_.sums[run].wqx;
  }
  next.fitting_d = uu > 0 ? blocks_.rounded(static_cast<std::int64_t>(block), xu / uu) : next.d;
}

}  // namespace mq::gguf
