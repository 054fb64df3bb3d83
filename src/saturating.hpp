// Sums of sizes that files claim.
#pragma once

#include <cstdint>
#include <limits>

namespace mq {

// The sum of two numbers that are not negative, or the largest number there is.
inline std::int64_t saturating_add(std::int64_t a, std::int64_t b) noexcept {
  constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
  return a > kMax - b ? kMax : a + b;
}

}  // namespace mq
