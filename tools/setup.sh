#!/usr/bin/env bash
# Installs the Debian 12 packages that building and testing mono-quant needs: only those that are missing.
# Usage: tools/setup.sh [--with-clang] [--with-cross] [--with-peers]
#   --with-clang   the Clang compiler with its sanitizers and clang-tidy
#   --with-cross   compiler and emulator for 64-bit Arm
#   --with-peers   oneDNN and OpenBLAS, whose products mq-bench shows beside ours
set -euo pipefail

packages=(cmake ninja-build g++ binutils nlohmann-json3-dev libxsimd-dev libxxhash-dev libeigen3-dev libcli11-dev libyaml-cpp-dev
  doctest-dev libbenchmark-dev zlib1g-dev)
for argument in "$@"; do
  case $argument in
    --with-clang) packages+=(clang libclang-rt-dev clang-tidy) ;;
    --with-cross) packages+=(g++-aarch64-linux-gnu qemu-user) ;;
    --with-peers) packages+=(libdnnl-dev libopenblas-dev) ;;
    *)
      echo "setup.sh: unknown option $argument (there are --with-clang, --with-cross and --with-peers)" >&2
      exit 2
      ;;
  esac
done

if ! command -v dpkg-query >/dev/null; then
  echo "setup.sh: not a Debian system; needed are the equivalents of: ${packages[*]}" >&2
  exit 1
fi

missing=()
for package in "${packages[@]}"; do
  status=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$status" = installed ] || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
  echo "packages: all ${#packages[@]} are installed"
  exit 0
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "setup.sh: needs root or sudo to install: ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
step() {
  if ! "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive "$@" >"$log" 2>&1 </dev/null; then
    cat "$log" >&2
    echo "setup.sh: failed: $*" >&2
    exit 1
  fi
}
echo "packages: reading the package lists"
step apt-get update -qq
echo "packages: installing ${missing[*]}"
step apt-get install -y -qq --no-install-recommends "${missing[@]}"
