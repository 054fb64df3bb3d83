#!/bin/sh
# The first C++ block of README.md is examples/quickstart.cpp, which is compiled and run.
# Usage: readme_example.sh ROOT
set -eu
cd "$1"
block=$(mktemp)
trap 'rm -f "$block"' EXIT
awk '/^```cpp$/ { inside = 1; next } /^```$/ { if (inside) exit } inside' README.md >"$block"
[ -s "$block" ] || { echo "README.md: no \`\`\`cpp block"; exit 1; }
diff -u "$block" examples/quickstart.cpp || { echo "README.md: its first C++ block is not examples/quickstart.cpp"; exit 1; }
echo "README.md shows examples/quickstart.cpp"
