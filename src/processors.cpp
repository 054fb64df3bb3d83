#include "src/processors.hpp"

#include <sched.h>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <limits>
#include <memory>
#include <string>
#include <string_view>

#include "mq/executor.hpp"

namespace mq {
namespace {

namespace fs = std::filesystem;

void take_smaller(std::optional<int>& smallest, std::int64_t quota, std::int64_t period) {
  if (quota <= 0 || period <= 0) return;
  const std::int64_t processors = quota / period + (quota % period != 0 ? 1 : 0);
  const int capped = static_cast<int>(std::min<std::int64_t>(processors, std::numeric_limits<int>::max()));
  smallest = smallest ? std::min(*smallest, capped) : capped;
}

// cpu.max: "200000 100000", or "max 100000" without a quota.
void read_version_2(const fs::path& group, std::optional<int>& smallest) {
  std::int64_t quota = 0, period = 0;
  if (std::ifstream(group / "cpu.max") >> quota >> period) take_smaller(smallest, quota, period);
}

// cpu.cfs_quota_us is -1 without a quota.
void read_version_1(const fs::path& group, std::optional<int>& smallest) {
  std::int64_t quota = 0, period = 0;
  if ((std::ifstream(group / "cpu.cfs_quota_us") >> quota) && (std::ifstream(group / "cpu.cfs_period_us") >> period)) {
    take_smaller(smallest, quota, period);
  }
}

// Applies read to mount/group and to every parent down to mount itself, which is the group's own directory where a
// container sees only its part of the tree.
template <class Read>
void walk_up(const fs::path& mount, std::string_view group, Read read, std::optional<int>& smallest) {
  fs::path relative = fs::path(group).relative_path();
  while (!relative.empty()) {
    read(mount / relative, smallest);
    relative = relative.parent_path();
  }
  read(mount, smallest);
}

bool has_controller(std::string_view list, std::string_view controller) {
  while (!list.empty()) {
    const std::size_t end = std::min(list.find(','), list.size());
    if (list.substr(0, end) == controller) return true;
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return false;
}

std::optional<int> affinity_processors() {
  for (int cpus = 1024; cpus <= 1 << 20; cpus *= 2) {
    const std::unique_ptr<cpu_set_t, void (*)(cpu_set_t*)> set(CPU_ALLOC(cpus), [](cpu_set_t* p) { CPU_FREE(p); });
    if (!set) return std::nullopt;
    const std::size_t bytes = CPU_ALLOC_SIZE(cpus);
    if (sched_getaffinity(0, bytes, set.get()) == 0) return CPU_COUNT_S(bytes, set.get());
  }
  return std::nullopt;
}

}  // namespace

std::optional<int> cgroup_processors(const fs::path& membership, const fs::path& mount) {
  std::optional<int> smallest;
  std::ifstream lines(membership);
  for (std::string line; std::getline(lines, line);) {  // hierarchy:controllers:path
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string group = line.substr(second + 1);
    if (controllers.empty()) {
      walk_up(mount, group, read_version_2, smallest);
    } else if (has_controller(controllers, "cpu")) {
      walk_up(mount / controllers, group, read_version_1, smallest);
      walk_up(mount / "cpu", group, read_version_1, smallest);
    }
  }
  return smallest;
}

int usable_processors() noexcept {
  try {
    const int mask = affinity_processors().value_or(1);
    const std::optional<int> quota = cgroup_processors("/proc/self/cgroup", "/sys/fs/cgroup");
    return std::max(1, quota ? std::min(mask, *quota) : mask);
  } catch (...) {
    return 1;
  }
}

}  // namespace mq
