#include "tools/mq-convert/memory_budget.hpp"

#include <chrono>

#include "mq/error.hpp"
#include "tools/mq-convert/cancel.hpp"

namespace mq::tool {
namespace {

// Handlers of signals wake nobody: those who wait look.
constexpr std::chrono::milliseconds kLook(50);

}  // namespace

MemoryBudget::Share MemoryBudget::take(std::int64_t bytes) {
  if (bytes > limit_) {
    throw Error({.code = ErrorCode::Limit,
                 .message = "the conversion may need more memory than there is for all",
                 .expected = "at most " + std::to_string(limit_) + " bytes",
                 .found = std::to_string(bytes),
                 .hint = "raise --max-memory, or use fewer --threads"});
  }
  std::unique_lock lock(mutex_);
  while (bytes > limit_ - taken_) {
    if (stop_signal() != 0) throw Error(ErrorCode::Cancelled, "stopped by a signal");
    freed_.wait_for(lock, kLook);
  }
  taken_ += bytes;
  return {*this, bytes};
}

void MemoryBudget::give_back(std::int64_t bytes) noexcept {
  {
    const std::lock_guard lock(mutex_);
    taken_ -= bytes;
  }
  freed_.notify_all();
}

}  // namespace mq::tool
