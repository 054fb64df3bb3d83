// What a plan will cost before it is run: memory, the size of the report, time. Functions; thread-safe.
#pragma once

#include <cstdint>

#include "mq/executor.hpp"
#include "mq/plan.hpp"

namespace mq {

// Bytes of memory beyond which a process that opens the source, plans and converts with so many threads does not go:
// the program itself, structures for each tensor, buffers of a tile for each thread, and what encodings declare
// (Step::state_bytes). A generous bound, not a forecast: conversions of large models stay well below it.
std::int64_t memory_bound_bytes(const Plan& plan, int threads);

// Of that bound, what lists take: of tensors, about a kilobyte for each, and of the tiles of the largest one, a byte for
// each kilobyte.
std::int64_t listing_bound_bytes(const Plan& plan);

// Bytes that quantization_metadata.json will have at most; its exact size depends on the digits of the errors measured.
// 0 if the plan's task writes none.
std::int64_t report_bound_bytes(const Plan& plan);

// A forecast of the time that the arithmetic of a plan takes, from running its heaviest kinds of steps for some
// milliseconds each on made-up weights.
struct SpeedEstimate {
  double seconds = 0;                 // for the whole plan; without reading the input and writing the output
  double input_bytes_per_second = 0;  // of the plan's input bytes; 0 if there are none
};
// Takes a fraction of a second. Measures this machine as it is now: two calls differ.
SpeedEstimate estimate_speed(const Plan& plan, Executor& executor);

}  // namespace mq
