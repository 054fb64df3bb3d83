#!/bin/sh
# A static mq-convert runs where nothing is installed: no loader, no libraries, and, where this machine lets us, in a
# root folder that holds the program and its input alone.
# Usage: static_binary.sh MQ_CONVERT CHECKPOINT
set -eu
program=$1
input=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if readelf --program-headers "$program" | grep -q INTERP; then
  echo "$program: asks for a dynamic loader"
  exit 1
fi
if readelf --dynamic "$program" | grep -q NEEDED; then
  echo "$program: asks for shared libraries"
  exit 1
fi

cp "$program" "$work/mq-convert"
cp "$input" "$work/model.pt"
if [ "$(id -u)" -eq 0 ] && chroot "$work" /mq-convert --version >/dev/null 2>&1; then
  run="chroot $work"
elif unshare --user --map-root-user chroot "$work" /mq-convert --version >/dev/null 2>&1; then
  run="unshare --user --map-root-user chroot $work"
else
  "$program" --version >/dev/null
  echo "no libraries needed; not run in an empty root, this machine does not let us"
  exit 0
fi
# shellcheck disable=SC2086 # two words and more
$run /mq-convert quantize /model.pt /model.int8.safetensors --scheme int8
# shellcheck disable=SC2086
$run /mq-convert compare /model.pt /model.int8.safetensors
echo "runs in an empty root"
