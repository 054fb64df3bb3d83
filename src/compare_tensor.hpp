// The comparison of two logical tensors of equal shape.
#pragma once

#include <cstdint>
#include <vector>

#include "mq/checkpoint.hpp"
#include "mq/executor.hpp"
#include "mq/metrics.hpp"
#include "mq/plan.hpp"
#include "mq/source.hpp"

namespace mq {

struct ChannelError {
  ErrorStats total;
  std::int64_t worst_channel = 0;
  double worst_db = 0;
};

// Both are readable as floats; kind is what they are in their model. Channels are the tensor's outputs: those of axis 1
// for transposed convolutions and [in, out] matrices, else the rows; a tensor of less than two dimensions is one
// channel.
// Throws: Io, Corrupt.
ChannelError compare_floats(const Checkpoint& original, const LogicalTensor& a, const Checkpoint& other,
                            const LogicalTensor& b, TensorKind kind, Executor& executor);

// Whether two stored tensors of equal type and shape hold the same bytes.
// Throws: Io, Corrupt.
bool equal_bytes(const Checkpoint& original, std::size_t a, const Checkpoint& other, std::size_t b);

// Whether both can be seen as the same matrix.
bool comparable(const LogicalTensor& a, const LogicalTensor& b);

}  // namespace mq
