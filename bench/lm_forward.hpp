// What a Llama model computes: RMSNorm, RoPE, grouped-query attention and SwiGLU, in float32. Thread-safe.
#pragma once

#include <Eigen/Core>
#include <cstdint>
#include <span>

#include "bench/lm_model.hpp"

namespace mq::bench {

// The logits after each token of one sequence: a column of [vocab] for each. Sums depend on the machine's caches and
// instruction set in their last bits.
// Throws: Usage for a token that is not in the vocabulary and for more tokens than the model has positions.
Eigen::MatrixXf logits(const LmModel& model, std::span<const std::int32_t> tokens);

}  // namespace mq::bench
