// Figures of the steps of a plan, added up.
#pragma once

#include <cstdint>

#include "mq/plan.hpp"

namespace mq::tool {

struct Sums {
  std::int64_t tensors = 0;
  std::int64_t numel = 0;
  std::int64_t input_bytes = 0;
  std::int64_t output_bytes = 0;

  void add(const Plan& plan, const Step& step) {
    ++tensors;
    numel += plan.source.tensors[step.inputs.front()].info.numel();
    input_bytes += step.input_bytes;
    output_bytes += step.output_bytes;
  }
  double bits_per_weight() const {
    return numel > 0 ? 8 * static_cast<double>(output_bytes) / static_cast<double>(numel) : 0;
  }
};

inline Sums quantized_sums(const Plan& plan) {
  Sums sums;
  for (const Step& step : plan.steps) {
    if (step.quantizes()) sums.add(plan, step);
  }
  return sums;
}

}  // namespace mq::tool
