#include "bench/perf_counters.hpp"

#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cerrno>
#include <cstring>

namespace mq::bench {

PerfCounters::PerfCounters() {
  constexpr std::array<std::uint64_t, 3> kEvents = {PERF_COUNT_HW_CPU_CYCLES, PERF_COUNT_HW_INSTRUCTIONS,
                                                    PERF_COUNT_HW_CACHE_MISSES};
  for (std::size_t i = 0; i < files_.size(); ++i) {
    perf_event_attr event = {};
    event.size = sizeof event;
    event.type = PERF_TYPE_HARDWARE;
    event.config = kEvents[i];
    event.disabled = i == 0;
    event.exclude_kernel = 1;
    event.exclude_hv = 1;
    files_[i] = static_cast<int>(::syscall(SYS_perf_event_open, &event, 0, -1, files_[0], 0));
    if (files_[i] >= 0) continue;
    problem_ = std::string("no hardware counters: perf_event_open: ") + std::strerror(errno);
    if (errno == EACCES || errno == EPERM) problem_ += " (see /proc/sys/kernel/perf_event_paranoid)";
    return;
  }
}

PerfCounters::~PerfCounters() {
  for (const int file : files_) {
    if (file >= 0) ::close(file);
  }
}

void PerfCounters::start() {
  ::ioctl(files_[0], PERF_EVENT_IOC_RESET, PERF_IOC_FLAG_GROUP);
  ::ioctl(files_[0], PERF_EVENT_IOC_ENABLE, PERF_IOC_FLAG_GROUP);
}

PerfCounters::Counts PerfCounters::stop() {
  ::ioctl(files_[0], PERF_EVENT_IOC_DISABLE, PERF_IOC_FLAG_GROUP);
  std::array<double, 3> counts{};
  for (std::size_t i = 0; i < files_.size(); ++i) {
    std::uint64_t count = 0;
    if (::read(files_[i], &count, sizeof count) == sizeof count) counts[i] = static_cast<double>(count);
  }
  return {counts[0], counts[1], counts[2]};
}

}  // namespace mq::bench
