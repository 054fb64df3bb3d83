#!/bin/sh
# Builds the kernels and their tests for AArch64 and runs them under qemu. Exits 77, with the reason, where the tools
# for that are missing.
# Usage: run_neon.sh [BUILD_FOLDER]
set -eu
source_root=$(cd "$(dirname "$0")/../.." && pwd)
build=${1:-$source_root/build/kernels-aarch64}

for tool in cmake ninja aarch64-linux-gnu-g++ qemu-aarch64; do
  if ! command -v "$tool" >/dev/null; then
    echo "run_neon: skipped, there is no $tool"
    exit 77
  fi
done

# The cross compiler does not search /usr/include and must not: header-only packages are offered by name.
third_party=$build/third_party
mkdir -p "$third_party"
for package in xsimd doctest; do
  if [ ! -d "/usr/include/$package" ]; then
    echo "run_neon: skipped, there is no /usr/include/$package"
    exit 77
  fi
  ln -sfn "/usr/include/$package" "$third_party/$package"
done

launcher=
if command -v ccache >/dev/null; then launcher=-DCMAKE_CXX_COMPILER_LAUNCHER=ccache; fi
cmake -S "$source_root/tests/kernels/neon" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release \
  -DCMAKE_TOOLCHAIN_FILE="$source_root/cmake/aarch64-linux-gnu.cmake" $launcher \
  -DMQ_xsimd_INCLUDE_DIR="$third_party" -DMQ_doctest_INCLUDE_DIR="$third_party" >"$build/configure.log" || {
  cat "$build/configure.log"
  exit 1
}
cmake --build "$build" --parallel "${MQ_JOBS:-2}" --target test_kernels
exec qemu-aarch64 "$build/tests/test_kernels"
