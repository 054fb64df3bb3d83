#!/usr/bin/env bash
# Line coverage of the readers, twice: by files that are committed (fuzz corpus, fixtures, attacks, a sample of the sweeps),
# and by those and the tests of the readers, which also know folders, options and writers.
# Usage: tests/fuzz/coverage.sh [FOLDER]     (of the sources to report; default: formats)
# Prints both sums, then a table by file and every line that nothing reached. Needs Clang 14 with llvm-profdata and
# llvm-cov.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tools/build_env.sh
build=build/coverage
sources=${1:-formats}

cmake --preset release-clang -B "$build" -DMQ_BUILD_TOOLS=OFF -DMQ_INSTALL=OFF -DCMAKE_BUILD_TYPE=Debug \
  -DCMAKE_CXX_FLAGS_DEBUG="-O1 -fprofile-instr-generate -fcoverage-mapping" >/dev/null
cmake --build "$build" --parallel "$MQ_JOBS" --target fuzzers test_attacks test_sweeps test_formats test_torch >/dev/null

rm -f "$build"/*.profraw
objects=()
# run NAME PROGRAM ARGUMENT...
run() {
  local name=$1
  shift
  LLVM_PROFILE_FILE=$build/$name.profraw "$@" >/dev/null 2>&1
  objects+=(-object "$1")
}
# Hits of every line: file, line, count.
lines() {
  llvm-profdata-14 merge -o "$build/all.profdata" "$build"/*.profraw
  llvm-cov-14 export -format=lcov -instr-profile="$build/all.profdata" "${objects[@]}" 2>/dev/null |
    awk -F'[:,]' -v below="/$sources/" '
      $1 == "SF" { keep = index($2, below) && $2 !~ /\/tests\//; file = $2; sub(".*" below, substr(below, 2), file) }
      $1 == "DA" && keep { print file, $2, $3 }'
}
sum() { awk -v what="$1" '{ ++all; hit += $3 > 0 } END { printf "%5.1f %%  %d of %d lines  %s\n", 100 * hit / all, hit, all, what }'; }

data=tests/data
run test_attacks "$build/tests/attacks/test_attacks"
run test_sweeps "$build/tests/attacks/test_sweeps"
for corpus in tests/fuzz/corpus/*/; do
  run "$(basename "$corpus")" "$build/tests/fuzz/fuzz_$(basename "$corpus")" "$corpus"
done
run torch_zip-fixtures "$build/tests/fuzz/fuzz_torch_zip" "$data"/pt/*.pt "$data"/pt/*.pt2 "$data"/cnn/*.pt
run torch_legacy-fixtures "$build/tests/fuzz/fuzz_torch_legacy" "$data"/pt/*legacy*.pt
run torch_tar-fixtures "$build/tests/fuzz/fuzz_torch_tar" "$data"/pt/tar*.pt
run gguf-fixtures "$build/tests/fuzz/fuzz_gguf" "$data"/gguf/*.gguf
run numpy-fixtures "$build/tests/fuzz/fuzz_numpy" "$data"/numpy/*.np?
run convert-fixtures "$build/tests/fuzz/fuzz_convert" "$data"/pt/*.pt
lines | sum "corpus, fixtures, attacks and sweeps"
run test_formats "$build/tests/formats/test_formats"
run test_torch "$build/tests/formats/test_torch"
lines >"$build/lines"
sum "with the tests of the readers" <"$build/lines"

printf '\nby file:\n'
awk '{ ++all[$1]; if ($3 > 0) ++hit[$1]; else missed[$1] = missed[$1] " " $2 }
  END {
    for (file in all) printf "%6.1f %%  %4d of %4d  %s\n", 100 * hit[file] / all[file], hit[file], all[file], file | "sort -n"
    close("sort -n")
    print "\nlines not reached:"
    for (file in missed) print file ":" missed[file] | "sort"
  }' "$build/lines"
