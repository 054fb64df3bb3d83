// What several weights must have in common because runtimes join them: encodings with a scale of the whole tensor
// (NVFP4) need the one of all values of a fused set (src/fused_sets.hpp).
#pragma once

#include <cstddef>
#include <unordered_map>
#include <vector>

#include "mq/checkpoint.hpp"
#include "mq/executor.hpp"
#include "mq/plan.hpp"

namespace mq {

using SharedRanges = std::unordered_map<std::size_t, Range>;  // by step

// The ranges of the sets of which some step is not done, for each step of such a set. Reads the weights whose range the
// plan does not say; what is not finite is left out.
// Throws: Io, Corrupt.
SharedRanges shared_ranges(const Checkpoint& checkpoint, const Plan& plan, const std::vector<bool>& done,
                           Executor& executor);

}  // namespace mq
