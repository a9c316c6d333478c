#!/usr/bin/env bash
# Transformer training steps and encoding beside PyTorch and ONNX Runtime, in turn: medians, and the median of the pairs'
# ratios to the best peer of each pair.
# Usage: bench/compare_text.sh PYTHON PEERS LENGTHS [PAIRS] [JOBS]
#   PYTHON   an interpreter with torch, transformers, onnx and onnxruntime, outside the repository
#   PEERS    folder with mlm_train.py and embed_text.py (full sequences, equal lengths, one query)
#   LENGTHS  token counts of real texts, one a line (winnow tokenizer encode FILE | awk '{print NF}'); the peer of these
#            is bench/peers/text_lengths.py
#   JOBS     of: tiny mini minilm base titles encode equal query
# MB: peak memory of the process, ours and the peer's that was last (training).
set -euo pipefail
python=$1 peers=$2 lengths=$3 pairs=${4:-3} jobs=${5:-"tiny mini minilm base titles encode equal query"}
build=${BUILD:-build} threads=${THREADS:-2} seconds=${SECONDS_EACH:-6}
here=$(dirname "$0")
log=$(mktemp -d)
trap 'rm -rf "$log"' EXIT
median() { sort -g | awk '{x[NR] = $1} END {print x[int((NR + 1) / 2)]}'; }
ours() { "$build/textbench" "$@" --threads "$threads" --seconds "$seconds" 2>"$log/ours.err" | tee "$log/ours.out" | awk '{print $2}'; }
peer() {
  MALLOC_MMAP_THRESHOLD_=2000000000 MALLOC_TRIM_THRESHOLD_=4000000000 MALLOC_TOP_PAD_=200000000 OMP_PROC_BIND=true \
    "$python" "$@" --threads "$threads" --budget "$seconds" 2>"$log/peer.err" | grep '\[' | tee "$log/peer.out" | awk '{print $2}'
}
# The candidates of one job, one a line: the peer's command.
candidates() {
  case $1 in
    tiny | mini | minilm | base)
      echo "$peers/mlm_train.py --config $1 --head masked --fused"
      echo "$peers/mlm_train.py --config $1 --head masked --fused --compile" ;;
    titles)
      echo "$here/peers/text_lengths.py mlm --lengths $lengths"
      echo "$here/peers/text_lengths.py mlm --lengths $lengths --compile" ;;
    encode)
      echo "$here/peers/text_lengths.py encode --lengths $lengths --backend compile"
      echo "$here/peers/text_lengths.py encode --lengths $lengths --backend onnxruntime" ;;
    equal)
      echo "$peers/embed_text.py --backend hf_compile --batch 32 --len 20"
      echo "$peers/embed_text.py --backend ort_fp32 --batch 32 --len 20" ;;
    query) echo "$peers/embed_text.py --backend ort_fp32 --latency --len 16" ;;
    *) echo "unknown job $1" >&2; exit 2 ;;
  esac
}
arguments() {
  case $1 in
    titles) echo "mlm --config minilm --lengths $lengths" ;;
    encode) echo "encode --batch 32 --lengths $lengths" ;;
    equal) echo "encode --batch 32 --len 20" ;;
    query) echo "encode --latency --len 16" ;;
    *) echo "mlm --config $1" ;;
  esac
}
printf '%-8s %12s %12s %7s %8s %6s %8s %8s  %s\n' job ours 'best peer' ratio GFLOP/s '%peak' MB peerMB best
for job in $jobs; do
  : >"$log/ratio"; : >"$log/a"; : >"$log/b"
  for ((i = 0; i < pairs; ++i)); do
    # shellcheck disable=SC2046
    a=$(ours $(arguments "$job")) best=
    while read -r command; do
      # shellcheck disable=SC2086
      b=$(peer $command)
      if [ -z "$best" ] || awk -v j="$job" -v b="$b" -v best="$best" 'BEGIN {exit !(j == "query" ? b < best : b > best)}'; then
        best=$b name=$(sed -nE 's/.*\[([^]]*)\].*/\1/p' "$log/peer.out")
        memory=$(cat "$log/peer.out" "$log/peer.err" | sed -nE "s/.*peakRSS ([0-9.]+).*/\1/p" | tail -1)
      fi
    done < <(candidates "$job")
    echo "$a" >>"$log/a"; echo "$best" >>"$log/b"
    awk -v a="$a" -v b="$best" 'BEGIN {print a / b}' >>"$log/ratio"  # of the query: times, so smaller is better
  done
  field() { sed -nE "s/.* $1 ([0-9.]+).*/\1/p" "$log/ours.err" | tail -1; }
  printf '%-8s %12.5g %12.5g %7.2f %8s %6s %8s %8s  %s\n' "$job" "$(median <"$log/a")" "$(median <"$log/b")" "$(median <"$log/ratio")" \
    "$(field '->')" "$(field share)" "$(field RSS)" "${memory:--}" "$name"
  if [ "$job" = query ]; then sed -E 's/.*\| /         ours /' "$log/ours.out"; sed -E 's/.*\| /         peer /' "$log/peer.out"; fi
done
