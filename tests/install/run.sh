#!/bin/sh
# Installs a build into a temporary prefix, looks at what arrived, then configures, builds and runs each consumer here
# with nothing but CMAKE_PREFIX_PATH to help it.
# Usage: run.sh BUILD_DIR CXX
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=$1
cxx=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
prefix=$work/prefix

# quietly WHAT COMMAND...: shows the output only of what fails.
quietly() {
  what=$1
  shift
  if ! "$@" >"$work/log" 2>&1; then
    echo "failed: $what"
    cat "$work/log"
    exit 1
  fi
}

quietly install cmake --install "$build" --prefix "$prefix"
known='^(include/mq/[a-z0-9_]+\.hp?p?|lib(/.*)?/libmq\.a|lib.*/cmake/mq/mq[A-Za-z]*(-[a-z]+)?\.cmake|bin/mq-convert)$'
strangers=$(find "$prefix" -type f | sed "s|^$prefix/||" | grep -Ev "$known" || :)
if [ -n "$strangers" ]; then
  echo "installed, but not part of the interface:"
  echo "$strangers"
  exit 1
fi
if grep -rlF "$build" "$prefix/include" "$prefix"/lib*/cmake; then
  echo "the files above name the build folder"
  exit 1
fi

for consumer in app shared eigen; do
  quietly "configure $consumer" cmake -S "$here/$consumer" -B "$work/$consumer" -DCMAKE_BUILD_TYPE=Release \
    -DCMAKE_CXX_COMPILER="$cxx" -DCMAKE_PREFIX_PATH="$prefix"
  quietly "build $consumer" cmake --build "$work/$consumer"
  "$work/$consumer/consumer"
done

# Whoever loads the shared library sees its own functions, not ours.
shown=$(nm --dynamic --defined-only --format=posix "$work/shared/libwrap.so" | awk '{ print $1 }' |
  grep -E '_ZN2mq[0-9]+(open_checkpoint|quantize|dequantize|make_plan|convert)|nlohmann|xsimd' || :)
if [ -n "$shown" ]; then
  echo "libwrap.so exports:"
  echo "$shown"
  exit 1
fi
