#include "src/codecs/half_quadratic.hpp"

#include <algorithm>
#include <cmath>

#include "src/math.hpp"

namespace mq {
namespace {

constexpr int kSteps = 20;
constexpr double kNorm = 0.7, kFirstBeta = 10, kGrowth = 1.01;
constexpr float kLargestInverse = 2e4f;

// sign(e) * max(0, |e| - |e|^(p - 1) / beta), which is 0 up to beta^(-1 / (2 - p)).
class Shrink {
 public:
  explicit Shrink(double beta) : beta_(beta), zero_below_(math::pow(beta, -1 / (2 - kNorm))) {}

  float operator()(float error) const {
    const auto magnitude = static_cast<double>(std::fabs(error));
    if (magnitude <= zero_below_) return 0;
    const double left = magnitude - math::pow(magnitude, kNorm - 1) / beta_;
    return std::copysign(static_cast<float>(std::max(left, 0.0)), error);
  }

 private:
  double beta_, zero_below_;
};

}  // namespace

HalfQuadratic half_quadratic(std::span<const float> x, float lo, float hi, float most) {
  const float width = hi - lo;
  if (!(width > 0) || !std::isfinite(width)) return {};
  const float inverse = std::min(most / width, kLargestInverse);
  float zero = -lo * inverse;
  double beta = kFirstBeta;
  for (int step = 0; step < kSteps; ++step, beta *= kGrowth) {
    const Shrink shrink(beta);
    double sum = 0;
    for (const float v : x) {
      const float code = std::clamp(std::nearbyint(v * inverse + zero), 0.0f, most);
      const float error = v - (code - zero) / inverse;
      sum += static_cast<double>(code - (v - shrink(error)) * inverse);
    }
    zero = static_cast<float>(sum / static_cast<double>(x.size()));
  }
  return {1.0f / inverse, zero};
}

}  // namespace mq
