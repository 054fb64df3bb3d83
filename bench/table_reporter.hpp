// Rows for people, and the points of a roofline plot.
#pragma once

#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "bench/roofline_plot.hpp"

namespace mq::bench {

// One line for each row: name, time, what it moves or computes in a second, and its share of the limit.
class TableReporter final : public benchmark::ConsoleReporter {
 public:
  bool ReportContext(const Context& context) override;
  void ReportRuns(const std::vector<Run>& runs) override;

  // Of the rows that know how many operations a byte is worth.
  const std::vector<RooflinePoint>& points() const { return points_; }

 private:
  std::vector<RooflinePoint> points_;
};

}  // namespace mq::bench
