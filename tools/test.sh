#!/usr/bin/env bash
# Builds mono-quant and runs its tests, installing the packages it needs first. The last line is ctest's.
# Usage: tools/test.sh [--preset NAME] [-DOPTION=VALUE...]     (preset: release; options go to CMake)
# MQ_JOBS sets the number of parallel jobs.
set -euo pipefail
cd "$(dirname "$0")/.."

preset=release
options=()
while [ $# -gt 0 ]; do
  case $1 in
    --preset)
      preset=${2:?"--preset needs a name"}
      shift
      ;;
    -D*) options+=("$1") ;;
    *)
      echo "test.sh: unknown option $1" >&2
      exit 2
      ;;
  esac
  shift
done

setup=()
[[ $preset == *-clang || $preset == tsan ]] && setup+=(--with-clang)
[[ $preset == aarch64 ]] && setup+=(--with-cross)
tools/setup.sh "${setup[@]}"
. tools/build_env.sh

echo "configure: preset $preset"
cmake --preset "$preset" "${options[@]}" >/dev/null
echo "build: $MQ_JOBS jobs"
cmake --build --preset "$preset" --parallel "$MQ_JOBS"

log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
ctest --preset "$preset" --parallel "$MQ_JOBS" 2>&1 </dev/null | tee "$log" || status=$?
grep -E 'tests passed, [0-9]+ tests failed out of [0-9]+' "$log" | tail -n 1
exit "$status"
