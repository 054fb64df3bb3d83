// A fixed number of threads that several conversions use at once.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "mq/executor.hpp"

namespace mq::tool {

// As the executor of make_thread_executor(), but parallel_for may be called from several threads at the same time:
// bodies of all calls take turns on the threads of this object, so that never more run than it has. The callers only
// wait.
class SharedExecutor final : public Executor {
 public:
  explicit SharedExecutor(int threads);
  ~SharedExecutor() override;
  SharedExecutor(const SharedExecutor&) = delete;
  SharedExecutor& operator=(const SharedExecutor&) = delete;

  int concurrency() const noexcept override { return static_cast<int>(workers_.size()); }
  void parallel_for(std::int64_t count, const std::function<void(std::int64_t)>& body) override;

 private:
  struct Call;

  void work();
  void stop() noexcept;

  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable done_;
  std::deque<Call*> waiting_;  // calls with bodies that have not begun; the first is next
  bool stopping_ = false;
  std::vector<std::thread> workers_;
};

}  // namespace mq::tool
