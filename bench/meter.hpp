// The clocks around the loop of a row.
#pragma once

#include <benchmark/benchmark.h>

#include <memory>

#include "bench/perf_counters.hpp"

namespace mq::bench {

// Whether meters read hardware counters too. Says once on the standard error output why there are none.
void use_perf_counters();

class LoopMeter {
 public:
  LoopMeter();

  // After the loop: the seconds of this thread that a pass took on its CPU. Adds the counters of a pass to the row.
  double seconds_per_pass(benchmark::State& state);

 private:
  std::unique_ptr<PerfCounters> counters_;
  double begin_;
};

}  // namespace mq::bench
