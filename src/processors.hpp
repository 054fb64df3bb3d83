// How many processors the control groups of a Linux process grant it.
#pragma once

#include <filesystem>
#include <optional>

namespace mq {

// The smallest CPU quota, rounded up to whole processors, among the groups that `membership` (/proc/self/cgroup) names
// and their parents, versions 1 and 2; empty if there is none. `mount` is /sys/fs/cgroup.
std::optional<int> cgroup_processors(const std::filesystem::path& membership, const std::filesystem::path& mount);

}  // namespace mq
