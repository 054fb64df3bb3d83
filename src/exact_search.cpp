#include "src/exact_search.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

namespace mq {
namespace {

// Sorts by the bits of the inverse scale, which order positive floats, 11 at a time; equal ones keep their order.
template <class Event>
void sort_events(std::vector<Event>& events, std::vector<Event>& other) {
  constexpr int kDigits = 3, kBits = 11;
  std::array<std::array<std::uint32_t, 1 << kBits>, kDigits> starts = {};
  const auto digit = [](const Event& e, int d) {
    return (std::bit_cast<std::uint32_t>(e.inverse) >> (d * kBits)) & ((1u << kBits) - 1);
  };
  for (const Event& e : events) {
    for (int d = 0; d < kDigits; ++d) ++starts[static_cast<std::size_t>(d)][digit(e, d)];
  }
  other.resize(events.size());
  for (int d = 0; d < kDigits; ++d) {
    auto& start = starts[static_cast<std::size_t>(d)];
    std::uint32_t sum = 0;
    for (std::uint32_t& s : start) sum += std::exchange(s, sum);
    for (const Event& e : events) other[start[digit(e, d)]++] = e;
    events.swap(other);
  }
}

}  // namespace

ExactSearch::ExactSearch(const kernels::AffineSearch& how) : how_(how) {
  if (how.levels == nullptr) return;
  const kernels::Levels& levels = *how.levels;
  if (levels.sign_magnitude) {
    for (int k = 7; k > 0; --k) {
      levels_.push_back(-levels.value[k]);
      middles_.push_back(-levels.middle[k - 1]);
    }
    levels_.insert(levels_.end(), levels.value, levels.value + 8);
    middles_.insert(middles_.end(), levels.middle, levels.middle + 7);
  } else {
    levels_.assign(levels.value, levels.value + 16);
    middles_.assign(levels.middle, levels.middle + 15);
  }
}

BlockFit ExactSearch::find(std::span<const float> x, const float* weights) {
  BlockFit best{.zero_point = how_.zero_point};
  if (!how_.own_zero_points) {
    if (how_.levels == nullptr) use_whole_numbers(how_.code_min - how_.zero_point, how_.code_max - how_.zero_point);
    sweep(x, weights, 1, best);
    if (how_.either_sign) sweep(x, weights, -1, best);
    return best;
  }
  const float codes = how_.code_max - how_.code_min;
  for (float below = 0; below <= codes; ++below) {
    const float scale = best.scale;
    use_whole_numbers(-below, codes - below);
    sweep(x, weights, 1, best);
    if (best.scale != scale) best.zero_point = how_.code_min + below;
  }
  return best;
}

void ExactSearch::use_whole_numbers(float least, float most) {
  levels_.clear();
  middles_.clear();
  for (float level = least; level <= most; ++level) {
    levels_.push_back(level);
    if (level < most) middles_.push_back(level + 0.5f);
  }
}

// As the inverse scale grows from 0, an element leaves the level nearest to 0 and passes one middle after the other.
void ExactSearch::sweep(std::span<const float> x, const float* weights, float sign, BlockFit& best) {
  events_.clear();
  const auto start = static_cast<std::size_t>(std::ranges::lower_bound(middles_, 0.0f) - middles_.begin());
  level_of_.assign(x.size(), static_cast<std::uint8_t>(start));
  const auto weight_of = [&](std::size_t i) { return weights == nullptr ? 1.0 : static_cast<double>(weights[i]); };
  double xu = 0, uu = 0;
  for (std::uint32_t i = 0; i < x.size(); ++i) {
    const float magnitude = std::fabs(x[i]);
    if (!(magnitude > 0) || std::isinf(magnitude)) continue;
    const double level = static_cast<double>(levels_[start]);
    xu += weight_of(i) * level * static_cast<double>(x[i] * sign);
    uu += weight_of(i) * level * level;
    const bool up = x[i] * sign > 0;
    for (std::size_t k = start; up ? k < middles_.size() : k > 0; up ? ++k : --k) {
      const float inverse = std::fabs(middles_[up ? k : k - 1]) / magnitude;
      if (std::isinf(inverse)) break;
      events_.push_back({inverse, i});
    }
  }
  sort_events(events_, sorted_);
  for (std::size_t e = 0; e < events_.size(); ++e) {
    const std::uint32_t i = events_[e].index;
    const double value = static_cast<double>(x[i] * sign), weight = weight_of(i);
    const double before = static_cast<double>(levels_[level_of_[i]]);
    level_of_[i] = static_cast<std::uint8_t>(value > 0 ? level_of_[i] + 1 : level_of_[i] - 1);
    const double after = static_cast<double>(levels_[level_of_[i]]);
    xu += weight * value * (after - before);
    uu += weight * (after * after - before * before);
    if (e + 1 < events_.size() && events_[e + 1].inverse == events_[e].inverse) continue;
    if (!(xu > 0) || !(xu * xu > best.gain * uu)) continue;
    best.gain = xu * xu / uu;
    best.scale = static_cast<float>(static_cast<double>(sign) * (xu / uu));
  }
}

}  // namespace mq
