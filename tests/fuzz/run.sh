#!/usr/bin/env bash
# Fuzzes every target, or those named, for so many seconds each, from the committed corpus on.
# Usage: tests/fuzz/run.sh SECONDS [TARGET...]
#   MQ_FUZZ_BUILD  folder of a build with MQ_FUZZ; else build/fuzz is built (preset fuzz)
#   MQ_FUZZ_WORK   where found inputs are kept (TARGET/) and crashes (crash-*); default build/fuzz-work
# Runs as many targets at once as there are jobs (MQ_JOBS). Prints a line of figures for each; the exit code is not 0 if
# one of them found a bug.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit
[ $# -ge 1 ] || { sed -n '2,8s/^# //p' "$0"; exit 2; }
seconds=$1
shift
here=tests/fuzz
work=${MQ_FUZZ_WORK:-build/fuzz-work}

build=${MQ_FUZZ_BUILD:-}
. tools/build_env.sh
if [ -z "$build" ]; then
  build=build/fuzz
  cmake --preset fuzz >/dev/null && cmake --build --preset fuzz --parallel "$MQ_JOBS" >/dev/null || exit
fi

targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
  for corpus in "$here"/corpus/*/; do targets+=("$(basename "$corpus")"); done
fi

# Dictionary and longest input of a target.
options_of() {
  case $1 in
    pickle) echo "-dict=$here/pickle.dict -max_len=4096" ;;
    gguf) echo "-dict=$here/gguf.dict -max_len=8192" ;;
    torch_legacy | torch_tar) echo "-dict=$here/pickle.dict -max_len=16384" ;;
    inflate) echo "-max_len=2048" ;;
    numpy) echo "-dict=$here/numpy.dict -max_len=4096" ;;
    safetensors) echo "-dict=$here/safetensors.dict -max_len=4096" ;;
    convert) echo "-dict=$here/safetensors.dict -max_len=12288" ;;
    *) echo "-dict=$here/zip.dict -max_len=12288" ;;
  esac
}

fuzz() {
  local target=$1 options status=0 log=$logs/$1 runs rate coverage
  mkdir -p "$work/$target"
  read -ra options <<<"$(options_of "$target")"
  "$build/tests/fuzz/fuzz_$target" "${options[@]}" -rss_limit_mb=512 -malloc_limit_mb=256 -timeout=5 \
    -max_total_time="$seconds" -print_final_stats=1 -artifact_prefix="$work/$target.crash-" \
    "$work/$target" "$here/corpus/$target" >"$log" 2>&1 </dev/null || status=$?
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  rate=$(sed -n 's/^stat::average_exec_per_sec: *//p' "$log")
  coverage=$(grep -oE 'cov: [0-9]+ ft: [0-9]+ corp: [0-9]+' "$log" | tail -n 1)
  printf '%-14s %10s runs %7s/s  %s\n' "$target" "${runs:-?}" "${rate:-?}" "$coverage"
  [ $status -eq 0 ] || tail -n 40 "$log"
  return $status
}

logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
failures=0
running=0
finish_one() {
  wait -n || failures=$((failures + 1))
  running=$((running - 1))
}
for target in "${targets[@]}"; do
  [ $running -lt "$MQ_JOBS" ] || finish_one
  fuzz "$target" &
  running=$((running + 1))
done
while [ $running -gt 0 ]; do finish_one; done
[ $failures -eq 0 ]
