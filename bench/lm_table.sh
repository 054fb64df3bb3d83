#!/bin/sh
# The table of bench/lm.md: what each encoding leaves of a language model. Minutes for each row; more models and options
# of mq-bench-lm may follow.
# Usage: lm_table.sh MQ_BENCH_LM FOLDER [ARGUMENT...]     (FOLDER holds model/ and tokens.safetensors)
set -eu
evaluate=$1
folder=$2
shift 2

# Scales in float32, as the reference figures have them; the last two are ggml's Q8_0 and Q4_0.
schemes='
int8
fp8_e4m3
int4:channel
int4:channel:asym
int4:g128
int4:g128:asym
int4:g64
int4:g64:asym
int4:g32
int4:g32:asym
int3:g128:asym
int3:g64:asym
int2:g64:asym
int8:g32@f16
int4:g32:signed@f16
'

for scheme in $schemes; do set -- "$@" --scheme "$scheme"; done
exec "$evaluate" --tokens "$folder/tokens.safetensors" --reference "$folder/model" "$folder/model" "$@"
