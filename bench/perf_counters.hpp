// Hardware counters of the calling thread, as far as the system lends them.
#pragma once

#include <array>
#include <cstdint>
#include <string>

namespace mq::bench {

class PerfCounters {
 public:
  struct Counts {
    double cycles = 0, instructions = 0, cache_misses = 0;  // cache: the last level
  };

  PerfCounters();
  ~PerfCounters();
  PerfCounters(const PerfCounters&) = delete;
  PerfCounters& operator=(const PerfCounters&) = delete;

  // Why there are none; empty if there are.
  const std::string& problem() const noexcept { return problem_; }

  void start();
  Counts stop();

 private:
  std::array<int, 3> files_ = {-1, -1, -1};
  std::string problem_;
};

}  // namespace mq::bench
