// The sums of kernels as the statistics of the library.
#pragma once

#include "kernels/kernel_table.hpp"
#include "mq/metrics.hpp"

namespace mq {

inline ErrorStats error_stats(const kernels::ErrorSums& sums, std::int64_t numel) noexcept {
  return {.error_sq = sums.error_sq,
          .x_sq = sums.x_sq,
          .y_sq = sums.y_sq,
          .max_error = static_cast<double>(sums.max_error),
          .numel = numel};
}

}  // namespace mq
