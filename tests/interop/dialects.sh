#!/bin/sh
# Holds what mq-convert writes for other tools against what those tools make of it: values, bit for bit where both
# compute alike. Needs Python with torch, transformers, safetensors, compressed-tensors, bitsandbytes, accelerate and,
# without their dependencies, autoawq, auto-gptq, comfy-kitchen, torchao, optimum-quanto and gptqmodel.
# Usage: dialects.sh MQ_CONVERT MODEL_FOLDER
#   MQ_INTEROP_PYTHON   the interpreter that has the packages
#   MQ_INTEROP_INSTALL  a folder to make a virtual environment in instead, by pip
# Exit code 77, and one line, where there is neither.
set -eu
program=$1
model=$2
here=$(cd "$(dirname "$0")" && pwd)
skip() { echo "skipped: $1"; exit 77; }
[ -d "$model" ] || skip "no model in $model"
python=${MQ_INTEROP_PYTHON:-}
if [ -z "$python" ] && [ -n "${MQ_INTEROP_INSTALL:-}" ]; then
  python3 -m venv "$MQ_INTEROP_INSTALL" || skip "no virtual environment can be made"
  "$MQ_INTEROP_INSTALL/bin/pip" install -q torch transformers safetensors compressed-tensors bitsandbytes accelerate &&
    "$MQ_INTEROP_INSTALL/bin/pip" install -q --no-deps autoawq auto-gptq comfy-kitchen torchao optimum-quanto gptqmodel || skip "the packages cannot be installed"
  python=$MQ_INTEROP_INSTALL/bin/python
fi
[ -n "$python" ] || skip "set MQ_INTEROP_PYTHON, or MQ_INTEROP_INSTALL to a folder for the packages"
"$python" -c 'import torch, transformers, safetensors, compressed_tensors, bitsandbytes, accelerate' 2>/dev/null ||
  skip "$python lacks torch, transformers, safetensors, compressed_tensors, bitsandbytes or accelerate"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for checks in dialects activations comfyui torch_packages; do
  "$python" "$here/$checks.py" "$program" "$model" "$work"
  rm -rf "$work"/*
done
