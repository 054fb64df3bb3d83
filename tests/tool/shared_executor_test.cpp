#include "tools/mq-convert/shared_executor.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <stdexcept>

using mq::tool::SharedExecutor;

TEST_CASE("shared threads: calls from several threads run every body once, and never more at a time than threads") {
  for (const int threads : {1, 3}) {
    SharedExecutor executor(threads);
    CHECK(executor.concurrency() == threads);
    std::atomic<int> running{0}, most{0};
    std::vector<std::atomic<int>> counts(4 * 200);
    std::vector<std::thread> callers;
    for (std::size_t caller = 0; caller < 4; ++caller) {
      callers.emplace_back([&, caller] {
        executor.parallel_for(200, [&](std::int64_t i) {
          const int now = ++running;
          int known = most.load();
          while (now > known && !most.compare_exchange_weak(known, now)) {
          }
          ++counts[caller * 200 + static_cast<std::size_t>(i)];
          --running;
        });
      });
    }
    for (std::thread& caller : callers) caller.join();
    for (const auto& count : counts) CHECK(count == 1);
    CHECK(most <= threads);
  }
}

TEST_CASE("shared threads: an error ends the call that it belongs to, and no other") {
  SharedExecutor executor(2);
  std::atomic<int> done{0};
  std::thread other([&] { executor.parallel_for(500, [&](std::int64_t) { ++done; }); });
  CHECK_THROWS_AS(executor.parallel_for(500,
                                        [](std::int64_t i) {
                                          if (i == 3) throw std::runtime_error("three");
                                        }),
                  std::runtime_error);
  other.join();
  CHECK(done == 500);
  int nested = 0;
  executor.parallel_for(1, [&](std::int64_t) { executor.parallel_for(5, [&](std::int64_t) { ++nested; }); });
  CHECK(nested == 5);
  executor.parallel_for(0, [](std::int64_t) { FAIL("nothing to do"); });
}
