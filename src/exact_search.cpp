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

BlockFit ExactSearch::find(std::span<const float> x, const float* weights) {
  BlockFit best{.zero_point = how_.zero_point};
  if (!how_.own_zero_points) {
    const float least = how_.code_min - how_.zero_point, most = how_.code_max - how_.zero_point;
    sweep(x, weights, 1, least, most, best);
    if (how_.either_sign) sweep(x, weights, -1, least, most, best);
    return best;
  }
  const float codes = how_.code_max - how_.code_min;
  for (float below = 0; below <= codes; ++below) sweep(x, weights, 1, -below, codes - below, best);
  return best;
}

// As the inverse scale grows from 0, element i gets the code of magnitude k where it reaches (k - 1/2) / |x[i]|.
void ExactSearch::sweep(std::span<const float> x, const float* weights, float sign, float least, float most,
                        BlockFit& best) {
  events_.clear();
  for (std::uint32_t i = 0; i < x.size(); ++i) {
    const float magnitude = std::fabs(x[i]);
    if (!(magnitude > 0) || std::isinf(magnitude)) continue;
    const float codes = x[i] * sign > 0 ? most : -least;
    for (float k = 0.5f; k < codes; ++k) {
      const float inverse = k / magnitude;
      if (std::isinf(inverse)) break;
      events_.push_back({inverse, i});
    }
  }
  sort_events(events_, sorted_);
  codes_.assign(x.size(), 0);
  double xu = 0, uu = 0;
  for (std::size_t e = 0; e < events_.size(); ++e) {
    const std::uint32_t i = events_[e].index;
    const double weight = weights == nullptr ? 1.0 : static_cast<double>(weights[i]);
    const double code = static_cast<double>(codes_[i]);
    codes_[i] += 1;
    xu += weight * std::fabs(static_cast<double>(x[i]));
    uu += weight * (2 * code + 1);
    if (e + 1 < events_.size() && events_[e + 1].inverse == events_[e].inverse) continue;
    if (!(xu * xu > best.gain * uu)) continue;
    best.gain = xu * xu / uu;
    best.scale = static_cast<float>(sign * (xu / uu));
    best.zero_point = how_.code_min - least;
  }
}

}  // namespace mq
