#include "bench/meter.hpp"

#include <iostream>

#include "bench/roofline.hpp"

namespace mq::bench {
namespace {

bool& counts() {
  static bool use = false;
  return use;
}

}  // namespace

void use_perf_counters() {
  const PerfCounters tried;
  counts() = tried.problem().empty();
  if (!counts()) std::cerr << "mq-bench: " << tried.problem() << '\n';
}

LoopMeter::LoopMeter() {
  if (counts()) {
    counters_ = std::make_unique<PerfCounters>();
    counters_->start();
  }
  begin_ = cpu_seconds();
}

double LoopMeter::seconds_per_pass(benchmark::State& state) {
  const double seconds = cpu_seconds() - begin_;
  const auto passes = static_cast<double>(state.iterations());
  if (counters_) {
    const PerfCounters::Counts found = counters_->stop();
    state.counters["cycles"] = found.cycles / passes;
    state.counters["instructions"] = found.instructions / passes;
    state.counters["instructions_per_cycle"] = found.cycles > 0 ? found.instructions / found.cycles : 0;
    state.counters["LLC_misses"] = found.cache_misses / passes;
  }
  return seconds / passes;
}

}  // namespace mq::bench
