#include "mq/executor.hpp"

#include <atomic>
#include <cfenv>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "mq/error.hpp"

namespace mq {
namespace {

// The default floating-point environment (round to nearest, subnormals kept) for the length of a scope: the caller may
// have changed its own, and threads inherit that of their creator.
class DefaultFloatEnvironment {
 public:
  DefaultFloatEnvironment() {
    std::fegetenv(&saved_);
    std::fesetenv(FE_DFL_ENV);
  }
  ~DefaultFloatEnvironment() { std::fesetenv(&saved_); }
  DefaultFloatEnvironment(const DefaultFloatEnvironment&) = delete;
  DefaultFloatEnvironment& operator=(const DefaultFloatEnvironment&) = delete;

 private:
  std::fenv_t saved_;
};

class SerialExecutor final : public Executor {
 public:
  int concurrency() const noexcept override { return 1; }
  void parallel_for(std::int64_t count, const std::function<void(std::int64_t)>& body) override {
    const DefaultFloatEnvironment environment;
    for (std::int64_t i = 0; i < count; ++i) body(i);
  }
};

// One parallel_for. Indices are handed out one at a time: bodies are tiles of very unequal cost.
struct Job {
  Job(std::int64_t n, const std::function<void(std::int64_t)>& f) : count(n), body(f) {}

  const std::int64_t count;
  const std::function<void(std::int64_t)>& body;
  std::atomic<std::int64_t> next{0};
  std::mutex mutex;
  std::exception_ptr error;

  void run() {
    try {
      for (std::int64_t i = next.fetch_add(1); i < count; i = next.fetch_add(1)) body(i);
    } catch (...) {
      next.store(count);
      const std::lock_guard lock(mutex);
      if (!error) error = std::current_exception();
    }
  }
};

// The pool whose body the thread is running: a parallel_for from inside one runs on the spot, because waiting for the
// pool from within it would never end.
thread_local const void* running_pool = nullptr;

class ThreadExecutor final : public Executor {
 public:
  explicit ThreadExecutor(int threads) {
    try {
      for (int i = 1; i < threads; ++i) workers_.emplace_back([this] { work(); });
    } catch (...) {
      stop();
      throw;
    }
  }
  ~ThreadExecutor() override { stop(); }
  ThreadExecutor(const ThreadExecutor&) = delete;
  ThreadExecutor& operator=(const ThreadExecutor&) = delete;

  int concurrency() const noexcept override { return static_cast<int>(workers_.size()) + 1; }

  void parallel_for(std::int64_t count, const std::function<void(std::int64_t)>& body) override {
    if (count <= 0) return;
    if (running_pool == this || workers_.empty()) return serial_executor().parallel_for(count, body);
    const std::lock_guard one_job_at_a_time(callers_);
    Job job(count, body);
    {
      const std::lock_guard lock(mutex_);
      job_ = &job;
      ++generation_;
    }
    wake_.notify_all();
    run(job);
    {
      std::unique_lock lock(mutex_);
      job_ = nullptr;  // workers that wake from here on have missed it
      idle_.wait(lock, [this] { return busy_ == 0; });
    }
    if (job.error) std::rethrow_exception(job.error);
  }

 private:
  void run(Job& job) {
    const DefaultFloatEnvironment environment;
    const void* const outer = std::exchange(running_pool, this);
    job.run();
    running_pool = outer;
  }

  void work() {
    std::uint64_t seen = 0;
    std::unique_lock lock(mutex_);
    for (;;) {
      wake_.wait(lock, [&] { return stopping_ || (job_ != nullptr && generation_ != seen); });
      if (stopping_) return;
      seen = generation_;
      Job& job = *job_;
      ++busy_;
      lock.unlock();
      run(job);
      lock.lock();
      if (--busy_ == 0) idle_.notify_one();
    }
  }

  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    for (std::thread& worker : workers_) worker.join();
  }

  std::mutex callers_;  // held by the thread whose job runs
  std::mutex mutex_;    // guards all below but workers_
  std::condition_variable wake_;
  std::condition_variable idle_;
  Job* job_ = nullptr;
  std::uint64_t generation_ = 0;
  int busy_ = 0;
  bool stopping_ = false;
  std::vector<std::thread> workers_;
};

}  // namespace

Executor& serial_executor() noexcept {
  static SerialExecutor executor;
  return executor;
}

std::unique_ptr<Executor> make_thread_executor(int threads) {
  if (threads < 1) {
    throw Error({.code = ErrorCode::Usage,
                 .message = "number of threads",
                 .expected = "at least 1",
                 .found = std::to_string(threads)});
  }
  return std::make_unique<ThreadExecutor>(threads);
}

}  // namespace mq
