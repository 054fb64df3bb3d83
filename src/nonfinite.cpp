#include "src/nonfinite.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace mq {
namespace {

// In a form that compilers turn into vector code.
bool all_finite(const float* x, std::int64_t n) {
  std::int32_t bad = 0;
  for (std::int64_t i = 0; i < n; ++i) bad |= std::fabs(x[i]) <= std::numeric_limits<float>::max() ? 0 : 1;
  return bad == 0;
}

float finite(float x) {
  if (std::isnan(x)) return 0;
  return std::clamp(x, std::numeric_limits<float>::lowest(), std::numeric_limits<float>::max());
}

}  // namespace

const float* finite_values(const float* x, std::int64_t n, std::vector<float>& buffer) {
  if (all_finite(x, n)) return x;
  buffer.resize(std::max(buffer.size(), static_cast<std::size_t>(n)));
  std::transform(x, x + n, buffer.begin(), finite);
  return buffer.data();
}

const float* exclude_nonfinite(const float* x, float* y, std::int64_t n, std::vector<float>& buffer,
                               NonfiniteCounts& counts) {
  if (all_finite(x, n)) return x;
  buffer.resize(std::max(buffer.size(), static_cast<std::size_t>(n)));
  for (std::int64_t i = 0; i < n; ++i) {
    float& kept = buffer[static_cast<std::size_t>(i)];
    kept = x[i];
    if (std::isfinite(x[i])) continue;
    ++(std::isnan(x[i]) ? counts.nan : counts.infinite);
    kept = y[i] = 0;
  }
  return buffer.data();
}

}  // namespace mq
