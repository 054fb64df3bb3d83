#include "tools/mq-convert/shared_executor.hpp"

#include <algorithm>
#include <cfenv>
#include <exception>

namespace mq::tool {
namespace {

// The executor whose body this thread is running.
thread_local const void* running = nullptr;

}  // namespace

struct SharedExecutor::Call {
  std::int64_t count = 0;
  const std::function<void(std::int64_t)>* body = nullptr;
  std::int64_t next = 0;
  std::int64_t active = 0;
  std::exception_ptr error;

  bool ended() const { return next >= count && active == 0; }
};

SharedExecutor::SharedExecutor(int threads) {
  try {
    for (int i = 0; i < threads; ++i) workers_.emplace_back([this] { work(); });
  } catch (...) {
    stop();
    throw;
  }
}

SharedExecutor::~SharedExecutor() {
  stop();
}

void SharedExecutor::stop() noexcept {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void SharedExecutor::parallel_for(std::int64_t count, const std::function<void(std::int64_t)>& body) {
  if (count <= 0) return;
  if (running == this) {  // waiting for the threads from within one of them would never end
    for (std::int64_t i = 0; i < count; ++i) body(i);
    return;
  }
  Call call{.count = count, .body = &body};
  std::unique_lock lock(mutex_);
  waiting_.push_back(&call);
  wake_.notify_all();
  done_.wait(lock, [&] { return call.ended(); });
  lock.unlock();
  if (call.error) std::rethrow_exception(call.error);
}

void SharedExecutor::work() {
  // Threads inherit the floating-point environment of their creator.
  std::fesetenv(FE_DFL_ENV);
  running = this;
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
    if (stopping_) return;
    Call& call = *waiting_.front();
    waiting_.pop_front();
    const std::int64_t index = call.next++;
    ++call.active;
    if (call.next < call.count) waiting_.push_back(&call);
    lock.unlock();
    std::exception_ptr error;
    try {
      (*call.body)(index);
    } catch (...) {
      error = std::current_exception();
    }
    lock.lock();
    --call.active;
    if (error) {
      if (!call.error) call.error = error;
      call.next = call.count;
      std::erase(waiting_, &call);
    }
    if (call.ended()) done_.notify_all();
  }
}

}  // namespace mq::tool
