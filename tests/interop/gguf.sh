#!/bin/sh
# GGUF files of this tool against their readers: the gguf package, transformers and, in xllamacpp, llama.cpp itself.
# Usage: gguf.sh MQ_CONVERT [MODEL]     MODEL: a Hugging Face folder of a Llama model (default: of MQ_SHARED_DIR)
# MQ_PYTHON: an interpreter that has gguf, numpy, torch, transformers, safetensors and maybe xllamacpp; without it they are
# installed into a virtual environment. Exit code 77 where that is not possible.
set -eu
program=$1
here=$(cd "$(dirname "$0")" && pwd)
model=${2:-${MQ_SHARED_DIR:-$here/../../../shared}/fixtures/lm/model}
if [ ! -d "$model" ]; then
  echo "skipped: $model is not here (set MQ_SHARED_DIR)"
  exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python=${MQ_PYTHON:-}
if [ -z "$python" ]; then
  if ! { python3 -m venv "$work/venv" &&
    "$work/venv/bin/pip" install --quiet gguf numpy torch transformers safetensors; } >"$work/install" 2>&1; then
    echo "skipped: gguf, numpy, torch, transformers and safetensors cannot be installed (or set MQ_PYTHON)"
    exit 77
  fi
  python=$work/venv/bin/python
  "$work/venv/bin/pip" install --quiet --only-binary :all: xllamacpp >>"$work/install" 2>&1 || true
fi
export HF_HUB_OFFLINE=1
"$python" "$here/gguf_check.py" "$program" "$model" "$work"
if "$python" -c 'import xllamacpp' 2>"$work/import"; then
  "$python" "$here/gguf_llama_cpp.py" "$program" "$model" "$work" 2>"$work/log" || { tail -n 30 "$work/log"; exit 1; }
else
  echo "skipped: llama.cpp, because xllamacpp is not there"
fi
