#!/bin/sh
# A disk that is full before the output fits: code 5, one line that names the output, nothing left, the old one intact.
# Usage: full_disk.sh MQ_CONVERT INPUT      INPUT: of more than 100 kB
set -eu
if [ "${3-}" != inside ]; then
  unshare -rm true 2>/dev/null || {
    echo "skipped: no file system can be mounted here"
    exit 77
  }
  exec unshare -rm sh "$0" "$1" "$2" inside
fi
program=$1
input=$2
work=$(mktemp -d)
trap 'cd /; umount "$work" 2>/dev/null; rmdir "$work"' EXIT
mount -t tmpfs -o size=1m tmpfs "$work" || {
  echo "skipped: no file system can be mounted here"
  exit 77
}
cd "$work"

# fails OUT [OPTION...]: the run ends with 5 and changes nothing.
fails() {
  find . -type f -exec sha256sum {} + | sort >/dev/shm/before.$$
  status=0
  message=$("$program" quantize "$input" "$@" 2>&1 >/dev/null) || status=$?
  find . -type f -exec sha256sum {} + | sort >/dev/shm/after.$$
  cmp /dev/shm/before.$$ /dev/shm/after.$$ || status="$status, and files changed"
  rm -f /dev/shm/before.$$ /dev/shm/after.$$
  case "$status $message" in
    5\ *"$1"*) ;;
    *)
      echo "quantize $*: exit $status: $message"
      exit 1
      ;;
  esac
}

for out in out.safetensors out out.pt; do
  "$program" quantize "$input" $out >/dev/null
  head -c 20000000 /dev/zero >fill 2>/dev/null || :
  fails new-$out
  fails $out --overwrite
  rm fill
  # Room for the weights but not for all that goes with them.
  free=$(($(df --output=avail -B1 . | tail -n 1)))
  size=$(find $out* -type f \( -name '*.safetensors' -o -name '*.pt' \) -printf '%s\n' | head -n 1)
  if [ "$free" -gt $((size + 8192)) ]; then
    head -c $((free - size - 8192)) /dev/zero >fill
    fails new-$out
    rm fill
  fi
  rm -r $out*
done
echo "full disks: nothing is left, nothing is lost"
