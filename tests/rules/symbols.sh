#!/bin/sh
# Checks which symbols object code shows to the linker.
# Usage: symbols.sh isa NM OBJECT...     each object: one table of namespace mq::kernels and nothing else
#        symbols.sh library NM ARCHIVE   only names of namespace mq; undefined ones belong to the C and C++ runtime
# A named tag or an inline function that was not inlined makes a weak symbol: of all its copies the linker keeps one,
# perhaps the AVX-512 one, for every CPU.
set -eu
mode=$1
nm=$2
shift 2
status=0

fail() {
  echo "$1"
  status=1
}

# Defined symbols that other objects can see: "TYPE NAME" lines.
visible() {
  "$nm" --extern-only --defined-only --format=posix "$1" | awk 'NF >= 3 { print $2, $1 }'
}

case $mode in
isa)
  [ $# -gt 0 ] || fail "no objects to check"
  for object in "$@"; do
    # Equal in every object: DW.ref.*, the compiler's reference to the exception personality, and the casts whose
    # addresses xsimd's NEON code takes.
    symbols=$(visible "$object" | grep -Ev ' (DW\.ref\.|_ZN5xsimd6kernel4wrap[0-9]+vreinterpret)' || :)
    count=$(printf '%s\n' "$symbols" | grep -c . || :)
    table=$(printf '%s\n' "$symbols" | grep -c '^[DRB] _ZN2mq7kernels[0-9]' || :)
    if [ "$count" -ne 1 ] || [ "$table" -ne 1 ]; then
      fail "$object: expected one table, found:"
      printf '%s\n' "$symbols" | head -20
    fi
  done
  ;;
library)
  strangers=$(visible "$1" | grep -Ev ' (_ZNK?2mq|_ZT[VITSC]N2mq|_ZT[hvc][0-9nhv_]*N2mq|_ZGVN2mq|_ZG?V?ZNK?2mq)' || :)
  if [ -n "$strangers" ]; then
    fail "$1: symbols that are not of namespace mq:"
    printf '%s\n' "$strangers" | head -20
  fi
  [ "$(visible "$1" | grep -c ' _ZN2mq' || :)" -gt 0 ] || fail "$1: no symbols of namespace mq at all"
  # What it needs from others must come with the compiler.
  needs=$("$nm" --undefined-only --format=posix "$1" | awk 'NF >= 2 { print $1 }' |
    grep -E 'nlohmann|xsimd|Eigen|XXH|^_ZN(K)?2mq|^(inflate|crc32|adler32|zc(alloc|free))' || :)
  if [ -n "$needs" ]; then
    fail "$1: needs symbols that it should hold itself:"
    printf '%s\n' "$needs" | head -20
  fi
  ;;
*)
  fail "symbols.sh: unknown mode $mode"
  ;;
esac
exit $status
