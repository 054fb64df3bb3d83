// Memory that several conversions share: each takes what it may need before it begins.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace mq::tool {

class MemoryBudget {
 public:
  explicit MemoryBudget(std::int64_t limit_bytes) : limit_(limit_bytes) {}

  // A part of the budget, given back with the object.
  class Share {
   public:
    Share(MemoryBudget& budget, std::int64_t bytes) : budget_(budget), bytes_(bytes) {}
    ~Share() { budget_.give_back(bytes_); }
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;

   private:
    MemoryBudget& budget_;
    std::int64_t bytes_;
  };

  // Waits until there is room for so many bytes beside those taken.
  // Throws: Limit if there never will be; Cancelled when a signal has come.
  Share take(std::int64_t bytes);

 private:
  void give_back(std::int64_t bytes) noexcept;

  std::int64_t limit_;
  std::mutex mutex_;
  std::condition_variable freed_;
  std::int64_t taken_ = 0;
};

}  // namespace mq::tool
