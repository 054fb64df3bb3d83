#include "src/norm_search.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

namespace mq {
namespace {

// log2 of a positive normal number, to about 2^-22, by log2 m = 2 atanh((m - 1) / (m + 1)) / ln 2 with m near 1.
float log2_of(float v) {
  constexpr float kFactor = 2.8853900817779268f;  // 2 / ln 2
  constexpr std::int32_t kRoot = 0x3f3504f3;      // sqrt(1/2)
  const std::int32_t bits = std::bit_cast<std::int32_t>(v) - kRoot;
  const float exponent = static_cast<float>(bits >> 23);
  const float m = std::bit_cast<float>((bits & 0x7fffff) + kRoot);
  const float t = (m - 1) / (m + 1), t2 = t * t;
  return exponent + kFactor * t * (1 + t2 * (1.0f / 3 + t2 * (1.0f / 5 + t2 * (1.0f / 7))));
}

// 2^v, to about 2^-22, between 2^-100 and 2^100.
float exp2_of(float v) {
  constexpr float kLn2 = 0.6931471805599453f;
  const float held = std::min(std::max(v, -100.0f), 100.0f);
  const float whole = (held + 0x1.8p23f) - 0x1.8p23f;
  const float f = (held - whole) * kLn2;
  const float power = 1 + f * (1 + f * (1.0f / 2 + f * (1.0f / 6 + f * (1.0f / 24 + f * (1.0f / 120)))));
  return power * std::bit_cast<float>((static_cast<std::int32_t>(whole) + 127) << 23);
}

}  // namespace

// Errors are measured in units of a run's root mean square.
void NormSearch::start(const float* x, std::size_t runs, std::size_t run) {
  run_ = run;
  weights_.resize(runs * run);
  unit_.resize(runs);
  sums_.resize(runs);
  best_.resize(runs);
  for (std::size_t r = 0; r < runs; ++r) {
    float largest = 0;
    for (std::size_t i = 0; i < run; ++i) {
      const float magnitude = std::fabs(x[r * run + i]);
      largest = std::isfinite(magnitude) ? std::max(largest, magnitude) : largest;
    }
    const float inverse = largest > 0 ? 1 / largest : 0;
    float sum = 0;
    for (std::size_t i = 0; i < run; ++i) {
      const float v = x[r * run + i] * inverse;
      sum += std::isfinite(v) ? v * v : 0;
    }
    const float unit = inverse / std::sqrt(sum / static_cast<float>(run));
    unit_[r] = std::isfinite(unit) ? unit : 0;
  }
}

void NormSearch::measure(const float* x, const float* y) {
  constexpr float kSmallest = 1e-3f;  // below it errors weigh alike
  for (std::size_t r = 0; r < sums_.size(); ++r) {
    const float* const from = x + r * run_;
    const float* const to = y + r * run_;
    float* const weights = weights_.data() + r * run_;
    float sum = 0;
    for (std::size_t i = 0; i < run_; ++i) {
      const float error = std::fabs(from[i] - to[i]) * unit_[r];
      const float held = error > kSmallest ? error : kSmallest;  // also for NaN
      weights[i] = exp2_of((norm_ - 2) * log2_of(held));
      sum += weights[i] * held * held;
    }
    sums_[r] = sum;
  }
}

}  // namespace mq
