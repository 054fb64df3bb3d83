// The numbers of one tensor: whether its values, scales, zero points and codes are what they can be.
#pragma once

#include <vector>

#include "mq/executor.hpp"
#include "mq/source.hpp"
#include "mq/validate.hpp"

namespace mq {

// limits: how the tensor was encoded, if that is known better than from the checkpoint (a narrow range), or null.
// Throws: Io, Corrupt.
void check_values(const Checkpoint& checkpoint, const LogicalTensor& tensor, const QuantSpec* limits,
                  Executor& executor, std::vector<Finding>& findings);

}  // namespace mq
