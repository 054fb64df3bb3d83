// How much memory a piece of code takes. Link allocations.cpp: it replaces operator new in the whole program.
#pragma once

#include <cstddef>

namespace mq::test {

// The most that was allocated at one time since the object was made, above what was in use then. One at a time.
class PeakAllocation {
 public:
  PeakAllocation() noexcept;
  std::size_t bytes() const noexcept;

 private:
  std::size_t before_;
};

}  // namespace mq::test
