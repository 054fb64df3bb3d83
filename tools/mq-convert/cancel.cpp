#include "tools/mq-convert/cancel.hpp"

#include <array>
#include <atomic>
#include <csignal>

#include "mq/error.hpp"

namespace mq::tool {
namespace {

std::atomic<int> received{0};
static_assert(std::atomic<int>::is_always_lock_free, "used in a signal handler");

void remember(int signal) {
  received.store(signal, std::memory_order_relaxed);
}

}  // namespace

void catch_signals() noexcept {
  for (const int signal : std::array{SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction action = {};
    if (sigaction(signal, nullptr, &action) != 0 || action.sa_handler == SIG_IGN) continue;
    action = {};
    action.sa_handler = remember;
    action.sa_flags = static_cast<int>(SA_RESTART | SA_RESETHAND);
    sigaction(signal, &action, nullptr);
  }
  // A closed pipe and a file beyond the process's limit are errors of the write, reported like any other.
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
}

int stop_signal() noexcept {
  return received.load(std::memory_order_relaxed);
}

void CancellableExecutor::parallel_for(std::int64_t count, const std::function<void(std::int64_t)>& body) {
  executor_.parallel_for(count, [&](std::int64_t i) {
    if (stop_signal() != 0) throw Error(ErrorCode::Cancelled, "stopped by a signal");
    body(i);
  });
}

}  // namespace mq::tool
