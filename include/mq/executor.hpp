// Who runs parallel work. The library owns no threads: callers pass an Executor, their own or one made here.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

namespace mq {

class Executor {
 public:
  virtual ~Executor() = default;

  // Threads that run bodies at the same time, the calling one included; at least 1.
  virtual int concurrency() const noexcept = 0;

  // Calls body(i) once for every i in [0, count), in any order and on any thread, starting indices in ascending order,
  // and returns when all have returned. The first exception stops further calls and is rethrown here.
  // Worker threads must round to nearest and keep subnormals.
  virtual void parallel_for(std::int64_t count, const std::function<void(std::int64_t)>& body) = 0;
};

// Runs everything on the calling thread.
Executor& serial_executor() noexcept;

// A pool of `threads` threads, the calling one included, that lives as long as the object.
// Throws: Usage if threads < 1.
std::unique_ptr<Executor> make_thread_executor(int threads);

// Processors this process may use: affinity mask and cgroup quota, at least 1.
int usable_processors() noexcept;

}  // namespace mq
