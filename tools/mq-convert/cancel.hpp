// Stopping cleanly: SIGINT, SIGTERM and SIGHUP set a flag that running work looks at.
#pragma once

#include "mq/executor.hpp"

namespace mq::tool {

// Catches the three signals (not those that the parent told us to ignore, as nohup does). A second signal of a kind
// ends the process at once. SIGPIPE is ignored: a reader that went away is an error of writing.
void catch_signals() noexcept;

// The number of the signal that asked to stop, or 0.
int stop_signal() noexcept;

// Runs work on another executor and lets it stop between two pieces.
class CancellableExecutor final : public Executor {
 public:
  explicit CancellableExecutor(Executor& executor) : executor_(executor) {}
  int concurrency() const noexcept override { return executor_.concurrency(); }
  // Throws: Cancelled when a signal has come, and what the body throws.
  void parallel_for(std::int64_t count, const std::function<void(std::int64_t)>& body) override;

 private:
  Executor& executor_;
};

}  // namespace mq::tool
