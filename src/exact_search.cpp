#include "src/exact_search.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

namespace mq {
namespace {

// Sorts by the bits of the inverse scale, which order positive floats, in three digits; equal ones keep their order.
template <class Event>
void sort_events(std::vector<Event>& events, std::vector<Event>& other) {
  constexpr int kDigits = 3, kMostBits = 11;
  const auto bits = [](const Event& e) { return std::bit_cast<std::uint32_t>(e.inverse); };
  if (events.empty()) return;
  std::uint32_t least = bits(events[0]), most = least;
  for (const Event& e : events) {
    least = std::min(least, bits(e));
    most = std::max(most, bits(e));
  }
  const int width = (std::bit_width(most - least) + kDigits - 1) / kDigits;
  const std::uint32_t mask = (1u << width) - 1;
  const auto digit = [&](const Event& e, int d) { return ((bits(e) - least) >> (d * width)) & mask; };
  std::array<std::array<std::uint32_t, 1 << kMostBits>, kDigits> starts;
  for (auto& digits : starts) std::fill_n(digits.begin(), mask + 1, 0u);
  for (const Event& e : events) {
    for (int d = 0; d < kDigits; ++d) ++starts[static_cast<std::size_t>(d)][digit(e, d)];
  }
  other.resize(events.size());
  for (int d = 0; d < kDigits; ++d) {
    auto& start = starts[static_cast<std::size_t>(d)];
    std::uint32_t sum = 0;
    for (std::uint32_t value = 0; value <= mask; ++value) sum += std::exchange(start[value], sum);
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
  best_ = {};
  if (!how_.own_zero_points) {
    if (how_.levels == nullptr) use_whole_numbers(how_.code_min - how_.zero_point, how_.code_max - how_.zero_point);
    for (const float sign : {1.0f, -1.0f}) {
      if (sign < 0 && !how_.either_sign) continue;
      take(x, weights, sign);
      sweep(sign, best);
    }
    return best;
  }
  take(x, weights, 1);
  const auto codes = static_cast<int>(how_.code_max - how_.code_min);
  for (int zero = 0; zero <= codes; ++zero) {
    const float scale = best.scale;
    const auto below = static_cast<float>(zero);
    use_whole_numbers(-below, static_cast<float>(codes) - below);
    sweep(1, best);
    if (best.scale != scale) best.zero_point = how_.code_min + below;
  }
  return best;
}

void ExactSearch::use_whole_numbers(float least, float most) {
  levels_.clear();
  middles_.clear();
  for (int i = 0; i <= static_cast<int>(most - least); ++i) {
    const float level = least + static_cast<float>(i);
    levels_.push_back(level);
    if (level < most) middles_.push_back(level + 0.5f);
  }
}

void ExactSearch::take(std::span<const float> x, const float* weights, float sign) {
  elements_.clear();
  energy_ = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (x[i] == 0 || !std::isfinite(x[i])) continue;
    const auto value = static_cast<double>(x[i] * sign);
    const double weight = weights == nullptr ? 1.0 : static_cast<double>(weights[i]);
    elements_.push_back({value, weight});
    energy_ += weight * value * value;
  }
}

// Of the level nearest to the number; of two the first.
std::size_t ExactSearch::level_at(double number) const {
  if (how_.levels != nullptr) {
    return static_cast<std::size_t>(
        std::ranges::count_if(middles_, [&](float m) { return static_cast<double>(m) < number; }));
  }
  // Whole numbers in a row.
  const double last = static_cast<double>(middles_.size());
  const double index = std::clamp(number - static_cast<double>(levels_.front()) + 0.5, 0.0, last);
  const auto whole = static_cast<std::size_t>(index);
  return static_cast<double>(whole) == index && whole > 0 ? whole - 1 : whole;
}

// Of the levels nearest to the elements times the inverse scale.
ExactSearch::Sums ExactSearch::sums_at(double inverse) const {
  Sums sums;
  for (const Element& e : elements_) {
    const auto level = static_cast<double>(levels_[level_at(e.x * inverse)]);
    sums.xu += e.weight * e.x * level;
    sums.uu += e.weight * level * level;
  }
  return sums;
}

// Parts of the error that a scale leaves, whatever the rest: of elements beyond the last levels, which grows with the
// inverse, and of those that get the level 0, which falls.
double ExactSearch::left_beyond(double inverse) const {
  const double scale = 1 / inverse;
  const double above = static_cast<double>(levels_.back()) * scale,
               below = static_cast<double>(levels_.front()) * scale;
  double left = 0;
  for (const Element& e : elements_) {
    const double beyond = e.x > above ? e.x - above : e.x < below ? below - e.x : 0;
    left += e.weight * beyond * beyond;
  }
  return left;
}
double ExactSearch::left_near_zero(double inverse) const {
  const double scale = 1 / inverse;
  const double above = static_cast<double>(start_ < middles_.size() ? middles_[start_] : levels_.back()) * scale;
  const double below = static_cast<double>(start_ > 0 ? middles_[start_ - 1] : levels_.front()) * scale;
  double left = 0;
  for (const Element& e : elements_) {
    const double near = e.x < above && e.x > below ? e.x : 0;
    left += e.weight * near * near;
  }
  return left;
}

// The inverse scales at which codes can be that take off as much as is known: at the best scale its own codes are the
// nearest, and what these leave is more than one part of it. A little more than those, so that rounding excludes none.
ExactSearch::Interval ExactSearch::inverses_worth_visiting() const {
  constexpr double kSlack = 1e-6;
  double reach = std::numeric_limits<double>::infinity();  // where the first element meets its last level
  for (const Element& e : elements_) {
    const auto last = static_cast<double>(e.x > 0 ? levels_.back() : levels_.front());
    if (last != 0) reach = std::min(reach, last / e.x);
  }
  Interval worth = {0, std::numeric_limits<float>::max()};
  if (!(reach > 0) || !std::isfinite(reach) || !std::isfinite(energy_)) return worth;
  const double gain = std::max(best_.gain(), sums_at(1.1 * reach).gain());
  const double left = std::max(energy_ - gain, 0.0) + kSlack * energy_;

  // Nearer to where as much as that is left, from a side where more is.
  const auto narrowed = [&](double outside, auto&& left_at) {
    constexpr int kSteps = 6;
    double inside = reach;
    for (int i = 0; i < kSteps; ++i) {
      const double middle = (inside + outside) / 2;
      (left_at(middle) > left ? outside : inside) = middle;
    }
    return outside;
  };
  const auto beyond = [&](double inverse) { return left_beyond(inverse); };
  double outside = 2 * reach;
  while (beyond(outside) <= left && outside < 64 * reach) outside *= 2;
  if (beyond(outside) > left) worth.most = narrowed(outside, beyond);
  if (levels_[start_] == 0) worth.least = narrowed(0, [&](double inverse) { return left_near_zero(inverse); });
  return worth;
}

// As the inverse scale grows from 0, an element leaves the level nearest to 0 and passes one middle after the other.
// Returns the sums at the beginning of the interval; what happens in it becomes events.
ExactSearch::Sums ExactSearch::gather_events(const Interval& inverses) {
  events_.clear();
  level_of_.resize(elements_.size());
  Sums sums;
  for (std::uint32_t i = 0; i < elements_.size(); ++i) {
    const auto [value, weight] = elements_[i];
    const auto magnitude = static_cast<float>(std::fabs(value));
    const bool up = value > 0;
    const std::size_t level = level_at(value * inverses.least * (1 - 1e-6));
    for (std::size_t k = level; up ? k < middles_.size() : k > 0; up ? ++k : --k) {
      const float middle = std::fabs(middles_[up ? k : k - 1]);
      const float inverse = middle / magnitude;
      if (std::isinf(inverse) || static_cast<double>(inverse) > inverses.most) break;
      events_.push_back({inverse, i});
    }
    level_of_[i] = static_cast<std::uint8_t>(level);
    const auto u = static_cast<double>(levels_[level]);
    sums.xu += weight * u * value;
    sums.uu += weight * u * u;
  }
  return sums;
}

void ExactSearch::sweep(float sign, BlockFit& best) {
  start_ = static_cast<std::size_t>(std::ranges::lower_bound(middles_, 0.0f) - middles_.begin());
  Sums sums = gather_events(inverses_worth_visiting());
  sort_events(events_, sorted_);
  bool improved = false;
  const auto consider = [&] {
    if (!sums.beats(best_)) return;
    best_ = sums;
    improved = true;
  };
  consider();
  for (std::size_t e = 0; e < events_.size(); ++e) {
    const std::uint32_t i = events_[e].index;
    const auto [value, weight] = elements_[i];
    const auto before = static_cast<double>(levels_[level_of_[i]]);
    level_of_[i] = static_cast<std::uint8_t>(value > 0 ? level_of_[i] + 1 : level_of_[i] - 1);
    const auto after = static_cast<double>(levels_[level_of_[i]]);
    sums.xu += weight * value * (after - before);
    sums.uu += weight * (after * after - before * before);
    if (e + 1 < events_.size() && events_[e + 1].inverse == events_[e].inverse) continue;
    consider();
  }
  if (!improved) return;
  best.gain = best_.gain();
  best.scale = static_cast<float>(static_cast<double>(sign) * (best_.xu / best_.uu));
}

}  // namespace mq
