#!/bin/sh
# Checks every #include of a source tree against floors.txt. Prints one line for each violation.
# Usage: includes.sh ROOT [FLOORS]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$1
floors=${2:-$here/floors.txt}
cd "$root"

list=$(mktemp)
trap 'rm -f "$list"' EXIT
for folder in include src kernels formats tools tests bench examples; do
  if [ -d "$folder" ]; then
    find "$folder" -type f \( -name '*.hpp' -o -name '*.cpp' -o -name '*.h' -o -name '*.c' \)
  fi
done | LC_ALL=C sort >"$list"
[ -s "$list" ] || { echo "$root: no source files"; exit 1; }

# Consumers in tests/install are projects of their own, seen from outside.
grep -v '^tests/install/' "$list" | LC_ALL=C awk -v floors="$floors" -f "$here/includes.awk"
