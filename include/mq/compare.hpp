// How far a checkpoint is from another, tensor by tensor and channel by channel.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "mq/checkpoint.hpp"
#include "mq/executor.hpp"
#include "mq/metrics.hpp"

namespace mq {

struct TensorComparison {
  std::string name;
  Shape shape;
  std::string spec;                // how the second one stores it: "int8:channel=0:sym", or its type
  bool quantized = false;          // in the second checkpoint
  ErrorStats error;                // second against first
  std::int64_t worst_channel = 0;  // row of the matrix [out, rest] with the lowest SQNR
  double worst_channel_db = 0;
  std::int64_t original_bytes = 0;
  std::int64_t other_bytes = 0;  // all parts
};

struct Comparison {
  std::vector<TensorComparison> tensors;  // float tensors both have, lowest SQNR first, then by name
  std::vector<std::string> missing;       // only in the first
  std::vector<std::string> extra;         // only in the second
  std::vector<std::string> different;     // not comparable: shapes differ, or integer tensors that are not equal
  std::int64_t equal = 0;                 // integer and other tensors with the same bytes
  ErrorStats total;                       // over the quantized tensors; over all if none is
  std::int64_t original_bytes = 0;
  std::int64_t other_bytes = 0;
};

// Reads both in row bands. Quantized tensors are decoded, on either side.
// Throws: Io, Corrupt.
Comparison compare(const Checkpoint& original, const Checkpoint& other, Executor& executor);

}  // namespace mq
