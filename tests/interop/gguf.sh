#!/bin/sh
# GGUF files of this tool against their readers: the gguf package, transformers and, in xllamacpp, llama.cpp itself.
# Usage: gguf.sh MQ_CONVERT [MODEL]     MODEL: a Hugging Face folder of a Llama model (default: of MQ_SHARED_DIR)
#   MQ_INTEROP_PYTHON   an interpreter that has gguf, numpy, torch, transformers, safetensors and maybe xllamacpp
#   MQ_INTEROP_INSTALL  a folder to make a virtual environment in instead, by pip
# Exit code 77, and one line, where there is neither.
set -eu
program=$1
here=$(cd "$(dirname "$0")" && pwd)
model=${2:-${MQ_SHARED_DIR:-$here/../../../shared}/fixtures/lm/model}
skip() { echo "skipped: $1"; exit 77; }
[ -d "$model" ] || skip "no model in $model"
python=${MQ_INTEROP_PYTHON:-}
if [ -z "$python" ] && [ -n "${MQ_INTEROP_INSTALL:-}" ]; then
  python3 -m venv "$MQ_INTEROP_INSTALL" || skip "no virtual environment can be made"
  python=$MQ_INTEROP_INSTALL/bin/python
  "$python" -m pip install -q gguf numpy torch transformers safetensors || skip "the packages cannot be installed"
  "$python" -m pip install -q --only-binary :all: xllamacpp || true
fi
[ -n "$python" ] || skip "set MQ_INTEROP_PYTHON, or MQ_INTEROP_INSTALL to a folder for the packages"
"$python" -c 'import gguf, numpy, torch, transformers, safetensors' 2>/dev/null ||
  skip "$python lacks gguf, numpy, torch, transformers or safetensors"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export HF_HUB_OFFLINE=1
"$python" "$here/gguf_check.py" "$program" "$model" "$work"
if "$python" -c 'import xllamacpp' 2>"$work/import"; then
  "$python" "$here/gguf_llama_cpp.py" "$program" "$model" "$work" 2>"$work/log" || { tail -n 30 "$work/log"; exit 1; }
else
  echo "skipped: llama.cpp, because xllamacpp is not there"
fi
