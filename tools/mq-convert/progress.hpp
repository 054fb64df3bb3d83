// One line on the terminal that says how far a conversion is. Nothing where stderr is not a terminal, or where the
// variable CI is set.
#pragma once

#include <chrono>
#include <string>

#include "mq/convert.hpp"

namespace mq::tool {

class ProgressLine {
 public:
  explicit ProgressLine(bool wanted);
  ~ProgressLine() { clear(); }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  // Prints at most ten times a second.
  void show(const Progress& progress);
  void clear();

 private:
  using Clock = std::chrono::steady_clock;

  bool enabled_ = false;
  bool visible_ = false;
  Clock::time_point start_ = Clock::now();
  Clock::time_point last_ = {};
};

// " 45 %   1.2 GB of 2.6 GB   410.0 MB/s   0:04 left   model.layers.3.mlp.up_proj.weight", cut to width characters.
std::string progress_text(const Progress& progress, double seconds, std::size_t width);

}  // namespace mq::tool
