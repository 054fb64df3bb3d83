#!/bin/sh
# The table of bench/lm.md: what each encoding leaves of a language model. Minutes for each row; more models and options
# of mq-bench-lm may follow.
# Usage: lm_table.sh MQ_BENCH_LM FOLDER [ARGUMENT...]     (FOLDER holds model/ and tokens.safetensors)
set -eu
evaluate=$1
folder=$2
shift 2

# Scales in float32 and rounding to the nearest, as the reference figures have them; int8:g32 and int4:g32:signed are
# ggml's Q8_0 and Q4_0. Then what searching makes of the same bits.
schemes='
int8,fast
fp8_e4m3,fast
int4:channel:narrow,fast
int4:channel:asym,fast
int4:g128:narrow,fast
int4:g128:asym,fast
int4:g64:narrow,fast
int4:g64:asym,fast
int4:g32:narrow,fast
int4:g32:asym,fast
int3:g128:asym,fast
int3:g64:asym,fast
int2:g64:asym,fast
int8:g32@f16,fast
int4:g32:signed@f16,fast
int4:channel@f16
int4:channel:asym@f16
int4:g128@f16
int4:g128:signed@f16
int4:g128:asym@f16
int4:g32@f16
int4:g32:signed@f16
int4:g32:asym@f16
int3:g64:asym@f16
int2:g64:asym@f16
'

for scheme in $schemes; do set -- "$@" --scheme "$scheme"; done
exec "$evaluate" --tokens "$folder/tokens.safetensors" --reference "$folder/model" "$folder/model" "$@"
