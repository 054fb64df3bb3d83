#include "src/codecs/gguf_multiples.hpp"

#include <algorithm>

#include "src/active_table.hpp"

namespace mq::gguf {

MultiplesSearch::MultiplesSearch(const MultiplesLayout& layout, const SearchedBlocks& in)
    : layout_(layout),
      in_(in),
      blocks_(in, kNumel),
      rows_(static_cast<std::size_t>(in.count) * runs()),
      reach_(in.thorough ? 3 : 1) {}

std::vector<Multiples> MultiplesSearch::find() {
  const std::vector<float> scales = scales_of_runs();
  std::vector<Multiples> next(static_cast<std::size_t>(in_.count));
  for (std::size_t b = 0; b < next.size(); ++b) begin(b, &scales[b * runs()], next[b]);
  choose(next);
  std::vector<Multiples> best = next;
  for (int round = 0; round < (in_.thorough ? 8 : 1); ++round) {
    next = best;
    solve(next);
    choose(next);
    for (std::size_t b = 0; b < best.size(); ++b) {
      if (next[b].error < best[b].error) best[b] = next[b];
    }
  }
  return best;
}

float MultiplesSearch::real_d(std::size_t block, const Multiples& found) const {
  return blocks_.real(static_cast<std::int64_t>(block), found.d);
}

std::vector<std::uint8_t> MultiplesSearch::codes(const std::vector<Multiples>& found) const {
  std::vector<float> scales, offsets;
  scales.reserve(rows_);
  for (const Multiples& block : found) {
    for (std::size_t g = 0; g < runs(); ++g) scales.push_back(block.d * static_cast<float>(block.of_run[g]));
  }
  std::vector<std::uint8_t> codes(rows_ * layout_.run);
  const kernels::AffineSearch& how = layout_.codes;
  if (how.levels != nullptr) {
    active_table().quantize_levels(*how.levels, blocks_.x(), rows_, layout_.run, scales.data(), codes.data());
    return codes;
  }
  for (float& scale : scales) scale = inverse_or_zero(scale);
  offsets.assign(rows_, -how.code_min);
  active_table().quantize_8(blocks_.x(), rows_, layout_.run, scales.data(), offsets.data(), 0,
                            how.code_max - how.code_min, codes.data());
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
  const auto count = static_cast<std::size_t>(2 * reach_ + 1);
  scales_.resize(count * rows_);
  errors_.resize(count * rows_);
  float* scale = scales_.data();
  for (int offset = -reach_; offset <= reach_; ++offset) {
    for (const Multiples& block : next) {
      for (std::size_t g = 0; g < runs(); ++g) {
        *scale++ = block.d * static_cast<float>(multiple(block.of_run[g], offset));
      }
    }
  }
  active_table().candidate_errors(
      {layout_.codes.levels, scales_.data(), nullptr, count, layout_.codes.code_min, layout_.codes.code_max},
      {blocks_.x(), in_.weights, rows_, layout_.run, nullptr}, errors_.data());
  for (std::size_t b = 0; b < next.size(); ++b) {
    Multiples& block = next[b];
    block.error = 0;
    for (std::size_t g = 0; g < runs(); ++g) {
      const float* const errors = errors_.data() + b * runs() + g;
      const std::size_t best = best_candidate(errors, count, rows_);
      block.error += errors[best * rows_];
      block.of_run[g] = static_cast<std::int8_t>(multiple(block.of_run[g], static_cast<int>(best) - reach_));
    }
  }
}

void MultiplesSearch::solve(std::vector<Multiples>& next) const {
  const std::vector<std::uint8_t> all = codes(next);
  const kernels::AffineSearch& how = layout_.codes;
  std::array<float, kNumel> u, weighted;
  for (std::size_t b = 0; b < next.size(); ++b) {
    Multiples& block = next[b];
    for (std::size_t g = 0; g < runs(); ++g) {
      const auto multiple = static_cast<float>(block.of_run[g]);
      const std::uint8_t* const q = all.data() + b * kNumel + g * layout_.run;
      float* const to = u.data() + g * layout_.run;
      for (std::size_t i = 0; i < layout_.run; ++i) {
        to[i] = multiple * (how.levels != nullptr ? how.levels->value[q[i]] : static_cast<float>(q[i]) + how.code_min);
      }
    }
    const float* const weights = in_.weights_at(static_cast<std::int64_t>(b * kNumel));
    for (std::size_t i = 0; i < kNumel; ++i) weighted[i] = weight_of(weights, i) * u[i];
    const float uu = dot(weighted.data(), u.data(), kNumel);
    if (!(uu > 0)) continue;
    block.d = blocks_.rounded(static_cast<std::int64_t>(b), dot(weighted.data(), x(b), kNumel) / uu);
  }
}

}  // namespace mq::gguf
