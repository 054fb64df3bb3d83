# shellcheck shell=bash
# Sourced by the other scripts: how many jobs, and ccache where it is installed.
if [ -z "${MQ_JOBS:-}" ]; then
  MQ_JOBS=$(nproc)
  # A compiler of these sources takes up to 1 GiB.
  memory_jobs=$(awk '/^MemAvailable:/ { jobs = int($2 / 1048576); print jobs < 1 ? 1 : jobs }' /proc/meminfo)
  [ "$memory_jobs" -ge "$MQ_JOBS" ] || MQ_JOBS=$memory_jobs
fi
export MQ_JOBS
if [ -z "${CMAKE_CXX_COMPILER_LAUNCHER:-}" ] && command -v ccache >/dev/null; then
  export CMAKE_CXX_COMPILER_LAUNCHER=ccache
fi
