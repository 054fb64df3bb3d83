#!/bin/sh
# One input, one plan, one output: the same bytes with every instruction set this machine has, and with any number of
# threads.
# Usage: same_bytes.sh MQ_CONVERT INPUT [SCHEME[@LAYOUT]...]     INPUT: a file or a model folder
# MQ_SUFFIX: of the output, where it is not of the input's kind
set -eu
program=$1
input=$2
shift 2
if [ ! -e "$input" ]; then
  echo "skipped: $input is not here (set MQ_SHARED_DIR)"
  exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
suffix=.safetensors
[ ! -d "$input" ] || suffix=
suffix=${MQ_SUFFIX:-$suffix}

# The sums of all files of an output, without its own name.
sums() {
  (cd "$work" && find "$1"* -type f -exec sha256sum {} + | sed "s/ $1/ out/" | sort -k 2)
}

count=0
for encoding in "$@"; do
  scheme=${encoding%@*}
  layout=
  [ "$scheme" = "$encoding" ] || layout="--dialect ${encoding#*@}"
  first=
  for isa in any reference avx2 avx512bw neon; do
    for threads in 1 2 7; do
      [ "$isa" = any ] || [ "$threads" = 2 ] || continue
      out=run-$isa-$threads
      status=0
      (
        [ "$isa" = any ] || export MQ_FORCE_ISA=$isa
        exec "$program" quantize "$input" "$work/$out$suffix" --scheme "$scheme" $layout --threads "$threads" --no-sync
      ) >/dev/null 2>"$work/error" || status=$?
      if [ "$status" -eq 2 ] && grep -q "$isa" "$work/error"; then continue; fi  # not of this machine
      [ "$status" -eq 0 ] || { cat "$work/error"; exit 1; }
      sums "$out" >"$work/sums"
      if [ -z "$first" ]; then
        first=$out
        cp "$work/sums" "$work/expected"
      elif ! diff "$work/expected" "$work/sums"; then
        echo "$encoding: $first and $out differ"
        exit 1
      fi
      rm -rf "${work:?}/$out"*
      count=$((count + 1))
    done
  done
done
echo "$count runs over $# schemes, equal bytes"
