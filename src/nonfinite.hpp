// NaN and infinity in weights, where a recipe allows them: what they are encoded as, and how errors are measured then.
#pragma once

#include <cstdint>
#include <vector>

#include "mq/metrics.hpp"

namespace mq {

// The n values at x as an encoding takes them: NaN is 0, which is the code of the zero point; an infinity is the
// largest finite number of its sign, which saturates whatever the scale. x itself where all values are finite, else a
// copy that lies in buffer.
const float* finite_values(const float* x, std::int64_t n, std::vector<float>& buffer);

// The n values at x with 0 in place of those that are not finite, which are counted and whose decoded values y are set
// to 0 as well: they are no error then. x itself where all values are finite, else a copy that lies in buffer.
const float* exclude_nonfinite(const float* x, float* y, std::int64_t n, std::vector<float>& buffer,
                               NonfiniteCounts& counts);

}  // namespace mq
