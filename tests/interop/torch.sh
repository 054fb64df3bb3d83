#!/bin/sh
# Holds the PyTorch checkpoints that mq-convert writes against PyTorch: loaded with weights_only, mapped too, they give
# the tensors and quantized tensors, bit for bit. Needs Python with torch, numpy and safetensors.
# Usage: torch.sh MQ_CONVERT MODEL_FOLDER
#   MQ_INTEROP_PYTHON   the interpreter that has the packages
#   MQ_INTEROP_INSTALL  a folder to make a virtual environment in instead, by pip
# Exit code 77, and one line, where there is neither.
set -eu
program=$1
here=$(cd "$(dirname "$0")" && pwd)
skip() { echo "skipped: $1"; exit 77; }
python=${MQ_INTEROP_PYTHON:-}
if [ -z "$python" ] && [ -n "${MQ_INTEROP_INSTALL:-}" ]; then
  python3 -m venv "$MQ_INTEROP_INSTALL" || skip "no virtual environment can be made"
  "$MQ_INTEROP_INSTALL/bin/pip" install -q torch numpy safetensors || skip "the packages cannot be installed"
  python=$MQ_INTEROP_INSTALL/bin/python
fi
[ -n "$python" ] || skip "set MQ_INTEROP_PYTHON, or MQ_INTEROP_INSTALL to a folder for the packages"
"$python" -c 'import torch, numpy, safetensors' 2>/dev/null || skip "$python lacks torch, numpy or safetensors"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python" "$here/torch_check.py" "$program" "$here/../data" "$work"
