#include <doctest/doctest.h>

#include <atomic>
#include <cfenv>
#include <cmath>
#include <limits>
#include <mutex>
#include <numeric>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

#include "mq/executor.hpp"
#include "tests/support/errors.hpp"

#if defined(__SSE2__)
#include <immintrin.h>
#endif

using namespace mq;

TEST_CASE("executor: every index is run once, for any number of threads") {
  for (const int threads : {1, 2, 3, 8}) {
    const auto executor = make_thread_executor(threads);
    CHECK(executor->concurrency() == threads);
    for (const int count : {0, 1, 2, 7, 1000}) {
      std::vector<std::atomic<int>> runs(static_cast<std::size_t>(count));
      executor->parallel_for(count, [&](std::int64_t i) { ++runs[static_cast<std::size_t>(i)]; });
      for (const auto& run : runs) CHECK(run == 1);
    }
  }
  CHECK(test::code_of([] { make_thread_executor(0); }) == ErrorCode::Usage);
}

TEST_CASE("executor: the first exception stops the rest, is rethrown, and the pool goes on working") {
  const auto executor = make_thread_executor(4);
  std::atomic<int> started{0};
  const auto fail = [&](std::int64_t i) {
    ++started;
    if (i == 3) throw std::runtime_error("three");
  };
  CHECK_THROWS_WITH_AS(executor->parallel_for(1'000'000, fail), "three", std::runtime_error);
  CHECK(started < 1'000'000);
  std::atomic<int> runs{0};
  executor->parallel_for(100, [&](std::int64_t) { ++runs; });
  CHECK(runs == 100);
}

TEST_CASE("executor: a loop inside a loop and loops of several callers complete") {
  const auto executor = make_thread_executor(3);
  std::atomic<int> runs{0};
  const auto nested = [&] {
    executor->parallel_for(10, [&](std::int64_t) { executor->parallel_for(10, [&](std::int64_t) { ++runs; }); });
  };
  std::thread other(nested);
  nested();
  other.join();
  CHECK(runs == 200);
}

TEST_CASE("executor: bodies round to nearest and keep subnormals, whatever the caller has set") {
  std::fenv_t before;
  std::fegetenv(&before);
  std::fesetround(FE_UPWARD);
#if defined(__SSE2__)
  _mm_setcsr(_mm_getcsr() | 0x8040);  // flush to zero, subnormals are zero
#endif
  const auto executor = make_thread_executor(4);
  std::atomic<int> wrong{0};
  const auto check = [&](std::int64_t) {
    volatile float tiny = std::numeric_limits<float>::min();
    tiny = tiny / 2;
    if (std::fegetround() != FE_TONEAREST || std::fpclassify(tiny) != FP_SUBNORMAL) ++wrong;
  };
  executor->parallel_for(1000, check);
  serial_executor().parallel_for(10, check);
  CHECK(wrong == 0);
  CHECK(std::fegetround() == FE_UPWARD);
  std::fesetenv(&before);
}

TEST_CASE("executor: the serial one runs on the calling thread, in order") {
  std::vector<std::int64_t> order;
  serial_executor().parallel_for(4, [&](std::int64_t i) { order.push_back(i); });
  CHECK(order == std::vector<std::int64_t>{0, 1, 2, 3});
  CHECK(serial_executor().concurrency() == 1);
}
