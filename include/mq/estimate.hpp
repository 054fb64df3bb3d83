// What a plan will cost before it is run: memory, the size of the report, time. Functions; thread-safe.
#pragma once

#include <cstdint>

#include "mq/executor.hpp"
#include "mq/plan.hpp"

namespace mq {

// Bytes of memory beyond which a process that opens the source, plans and converts does not go. A generous bound, not a
// forecast: conversions of large models stay well below it.
struct MemoryBound {
  std::int64_t engine_bytes = 0;   // the program itself, and what encodings declare (Step::state_bytes)
  std::int64_t listing_bytes = 0;  // lists: about 1 kB for each tensor, 1 B for each kB of the largest one
  std::int64_t thread_bytes = 0;   // for each thread: its stack and the buffers of a tile

  std::int64_t at(int threads) const noexcept;
};
MemoryBound memory_bound(const Plan& plan);

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
