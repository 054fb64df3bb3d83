#include <doctest/doctest.h>

#include "mq/executor.hpp"
#include "src/processors.hpp"
#include "tests/support/files.hpp"

using namespace mq;
namespace fs = std::filesystem;

TEST_CASE("processors: at least one may be used") {
  CHECK(usable_processors() >= 1);
}

TEST_CASE("processors: version 2 takes the smallest quota of the group and its parents, rounded up") {
  const test::TempDir dir;
  fs::create_directories(dir / "cgroup/slice/job");
  const fs::path membership = test::write_file(dir / "membership", "0::/slice/job\n");
  CHECK_FALSE(cgroup_processors(membership, dir / "cgroup"));
  test::write_file(dir / "cgroup/slice/job/cpu.max", "max 100000\n");
  CHECK_FALSE(cgroup_processors(membership, dir / "cgroup"));
  test::write_file(dir / "cgroup/slice/cpu.max", "250000 100000\n");
  CHECK(cgroup_processors(membership, dir / "cgroup") == 3);
  test::write_file(dir / "cgroup/cpu.max", "50000 100000\n");
  CHECK(cgroup_processors(membership, dir / "cgroup") == 1);
}

TEST_CASE("processors: version 1 reads the quota of the cpu controller, also at the mount of a container") {
  const test::TempDir dir;
  fs::create_directories(dir / "cgroup/cpu,cpuacct");
  const fs::path membership = test::write_file(
      dir / "membership", "11:memory:/docker/x\n4:cpu,cpuacct:/docker/x\n3:cpuset:/docker/x\nbroken\n");
  test::write_file(dir / "cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n");
  test::write_file(dir / "cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
  CHECK_FALSE(cgroup_processors(membership, dir / "cgroup"));
  test::write_file(dir / "cgroup/cpu,cpuacct/cpu.cfs_quota_us", "400000\n");
  CHECK(cgroup_processors(membership, dir / "cgroup") == 4);
}

TEST_CASE("processors: no control groups, no quota") {
  const test::TempDir dir;
  CHECK_FALSE(cgroup_processors(dir / "missing", dir / "missing"));
}
