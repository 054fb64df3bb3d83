// What happens, for programs that watch: with --log-json one JSON object per line on stderr.
//
// Each has "event" and "seconds", those since the start:
//   start     command, version, input, output
//   plan      tensors, quantized, input_bytes, output_bytes, file_bytes, bits_per_weight, memory_bound_bytes
//   progress  bytes_done, bytes_total, bytes_per_second, seconds_left, tensor       at most one each second
//   tensor    name, action, spec, digest, sqnr_db, max_error, nan, infinite         when a tensor is complete
//   warning   message
//   done      output, output_bytes, sqnr_db, exit_code                              or
//   error     code, message, file, tensor, offset, expected, found, hint, exit_code
// Events of one of several models have "model", the line of the list it stands on.
#pragma once

#include <chrono>
#include <mutex>
#include <string_view>

#include "mq/convert.hpp"
#include "src/json.hpp"

namespace mq::tool {

class EventLog {
 public:
  explicit EventLog(bool enabled) : enabled_(enabled) {}

  bool enabled() const noexcept { return enabled_; }

  // Writes a line with the members of fields. From any thread. A stderr that cannot be written is ignored.
  void emit(std::string_view event, const json::Value& fields) noexcept;
  void progress(const Progress& progress);
  void step(const Step& step, const StepReport& report);
  void warning(std::string_view message);

  double seconds() const noexcept;  // since the object was made

 private:
  using Clock = std::chrono::steady_clock;

  bool enabled_;
  Clock::time_point start_ = Clock::now();
  Clock::time_point last_progress_ = {};
  std::mutex mutex_;
};

}  // namespace mq::tool
