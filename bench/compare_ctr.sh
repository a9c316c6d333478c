#!/usr/bin/env bash
# Training steps beside the PyTorch peer, in turn on the same shapes: median of the pairs' ratios.
# Usage: bench/compare_ctr.sh PYTHON PEER_SCRIPT [PAIRS] [MODELS] [BATCHES] [ROWS] [TABLES]
#   PYTHON       an interpreter with torch, outside the repository
#   PEER_SCRIPT  ctr_train.py, whose options are --model wdl|deepfm|dcnv2|dlrm --emb sparse_adagrad|dense_adam
#   TABLES       adagrad against sparse_adagrad with fused optimizers; adam and adam_lazy against its default, Adam on the
#                dense gradient of the whole table
# %peak: the step's matrix-product flops against the FMA peak measured in the same run.
set -euo pipefail
python=$1 peer=$2 pairs=${3:-3}
models=${4:-"WideDeep DeepFM DCNv2 DLRM"} batches=${5:-"2048 8192"} rows=${6:-"1e6 1e7"} tables=${7:-"adagrad adam"}
build=${BUILD:-build} threads=${THREADS:-2} seconds=${SECONDS_EACH:-4}
declare -A theirs=([WideDeep]=wdl [DeepFM]=deepfm [DCNv2]=dcnv2 [DLRM]=dlrm [adagrad]="sparse_adagrad --fused" [adam]=dense_adam [adam_lazy]=dense_adam)
median() { sort -g | awk '{x[NR] = $1} END {print x[int((NR + 1) / 2)]}'; }
field() { sed -nE "s/.* $1 ([0-9.]+).*/\1/p" "$2" | tail -1; }
log=$(mktemp -d)
trap 'rm -rf "$log"' EXIT
printf '%-9s %6s %6s %-8s %12s %12s %7s %10s %6s %9s %9s\n' model batch rows tables ours/s peer/s ratio GFLOP/s '%peak' MB peerMB
for table in $tables; do for row in $rows; do for batch in $batches; do for model in $models; do
  : >"$log/ratio"; : >"$log/a"; : >"$log/b"
  for ((i = 0; i < pairs; ++i)); do
    a=$("$build/stepbench" --model "$model" --embedding "$table" --batch "$batch" --rows "$row" --threads "$threads" --seconds "$seconds" 2>"$log/ours" | awk '{print $2}')
    # shellcheck disable=SC2086
    b=$(MALLOC_MMAP_THRESHOLD_=2000000000 MALLOC_TRIM_THRESHOLD_=4000000000 MALLOC_TOP_PAD_=200000000 OMP_PROC_BIND=true \
      "$python" "$peer" --model "${theirs[$model]}" --emb ${theirs[$table]} --batch "$batch" --rows "$row" --threads "$threads" --budget "$seconds" 2>"$log/peer" | awk '{print $2}')
    echo "$a" >>"$log/a"; echo "$b" >>"$log/b"
    awk -v a="$a" -v b="$b" 'BEGIN {print a / b}' >>"$log/ratio"
  done
  printf '%-9s %6s %6s %-8s %12.0f %12.0f %7.2f %10s %6s %9s %9s\n' "$model" "$batch" "$row" "$table" "$(median <"$log/a")" "$(median <"$log/b")" \
    "$(median <"$log/ratio")" "$(field '->' "$log/ours")" "$(field share "$log/ours")" "$(field RSS "$log/ours")" "$(field RSS "$log/peer")"
done; done; done; done
