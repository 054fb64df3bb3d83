#!/usr/bin/env bash
# Line coverage of the readers by what is committed: fuzz corpus, attacks and a sample of the sweeps.
# Usage: tests/fuzz/coverage.sh [PATH...]     (sources to report; default: formats)
# Prints a table by file, then every line that nothing reached. Needs Clang 14 with llvm-profdata and llvm-cov.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tools/build_env.sh
build=build/coverage
sources=("$@")
[ ${#sources[@]} -gt 0 ] || sources=(formats)

cmake --preset release-clang -B "$build" -DMQ_BUILD_TOOLS=OFF -DMQ_INSTALL=OFF -DCMAKE_BUILD_TYPE=Debug \
  -DCMAKE_CXX_FLAGS_DEBUG="-O1 -fprofile-instr-generate -fcoverage-mapping" >/dev/null
cmake --build "$build" --parallel "$MQ_JOBS" --target fuzzers test_attacks test_sweeps >/dev/null

rm -f "$build"/*.profraw
objects=()
run() {
  LLVM_PROFILE_FILE=$build/$(basename "$1").profraw "$@" >/dev/null
  objects+=(-object "$1")
}
run "$build/tests/attacks/test_attacks"
run "$build/tests/attacks/test_sweeps"
for corpus in tests/fuzz/corpus/*/; do run "$build/tests/fuzz/fuzz_$(basename "$corpus")" "$corpus"; done
llvm-profdata-14 merge -o "$build/all.profdata" "$build"/*.profraw

echo "lines reached, by file:"
llvm-cov-14 export -format=lcov -instr-profile="$build/all.profdata" "${objects[@]}" "${sources[@]}" 2>/dev/null |
  awk -F'[:,]' -v root="$PWD/" '
    $1 == "SF" { file = $2; sub(root, "", file) }
    $1 == "DA" { ++lines[file]; ++total; if ($3 > 0) { ++hit[file]; ++reached } else missed[file] = missed[file] " " $2 }
    END {
      for (file in lines) printf "%6.1f %%  %4d of %4d  %s\n", 100 * hit[file] / lines[file], hit[file], lines[file], file | "sort -n"
      close("sort -n")
      printf "%6.1f %%  %4d of %4d  all\n\nlines not reached:\n", 100 * reached / total, reached, total
      for (file in missed) print file ":" missed[file] | "sort"
    }'
