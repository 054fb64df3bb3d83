#!/usr/bin/env bash
# Builds mq-convert and runs it on a trained network: what a quantization does, what it saves and what it costs.
# Usage: tools/try.sh [CHECKPOINT]     (a .pt, .pth, .bin or .safetensors file, or a model folder)
# Installs the packages it needs first. Results are written to build/try.
set -euo pipefail
cd "$(dirname "$0")/.."

checkpoint=${1:-tests/data/cnn/cnn.pt}
if [ ! -e "$checkpoint" ]; then
  echo "try.sh: $checkpoint does not exist" >&2
  exit 2
fi

tools/setup.sh
. tools/build_env.sh
echo "configure: preset release"
cmake --preset release >/dev/null
echo "build: mq-convert, $MQ_JOBS jobs"
cmake --build --preset release --parallel "$MQ_JOBS" --target mq-convert >/dev/null
PATH=$PWD/build/release/tools:$PATH

# run COMMAND...: shows the command before what it prints.
run() {
  printf '\n$ %s\n' "$*"
  "$@"
}

suffix=.safetensors
[ ! -d "$checkpoint" ] || suffix=
out=build/try
rm -rf "$out"
mkdir -p "$out"
run mq-convert quantize "$checkpoint" "$out/int8$suffix" --scheme int8
run mq-convert compare "$checkpoint" "$out/int8$suffix"
run mq-convert quantize "$checkpoint" "$out/int4$suffix" --scheme int4:channel
run mq-convert compare "$checkpoint" "$out/int4$suffix"
