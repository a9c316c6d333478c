#!/usr/bin/env bash
# Exact top-k and HNSW beside faiss, numpy, torch and hnswlib, in turn: medians, and the median of the pairs' ratios.
# Usage: bench/compare_topk.sh PYTHON PEERS [PAIRS] [JOBS]
#   PYTHON  an interpreter with numpy, torch, faiss-cpu and hnswlib, outside the repository
#   PEERS   folder with topk.py (exact search of 1e6 x 128, normal vectors of length 1)
#   JOBS    of: one many hnsw; one: top-100, one query; many: 64 queries; hnsw: 2e5 x 128, recall@10 >= .97
# Ratios over 1: ours is faster (of the build: its time over ours).
set -euo pipefail
python=$1 peers=$2 pairs=${3:-3} jobs=${4:-"one many hnsw"}
build=${BUILD:-build} threads=${THREADS:-2} seconds=${SECONDS_EACH:-6}
here=$(dirname "$0")
log=$(mktemp -d)
trap 'rm -rf "$log"' EXIT
median() { sort -g | awk '{x[NR] = $1} END {print x[int((NR + 1) / 2)]}'; }
value() { grep "^$1\[" "$2" | sed 's/^[^]]*\] *//' | awk '{print $1}'; }
ours() { "$build/topk_bench" "$@" --threads "$threads" --seconds "$seconds" >"$log/ours"; }
peer() {
  MALLOC_MMAP_THRESHOLD_=2000000000 MALLOC_TRIM_THRESHOLD_=4000000000 OMP_PROC_BIND=true "$python" "$@" --threads "$threads" >"$log/peer"
}
# note NAME OURS PEER SMALLER: keeps the pair and its ratio
note() {
  echo "$2" >>"$log/$1.a"; echo "$3" >>"$log/$1.b"
  awk -v a="$2" -v b="$3" -v s="$4" 'BEGIN {print s ? b / a : a / b}' >>"$log/$1.ratio"
}
for ((i = 0; i < pairs; ++i)); do
  for job in $jobs; do
    case $job in
      one | many)
        batch=1; [ "$job" = many ] && batch=64
        ours --what exact --batch "$batch"; a=$(value topk "$log/ours"); cp "$log/ours" "$log/$job.detail"
        for what in faiss_flat numpy torch; do
          peer "$peers/topk.py" --what $what --batch "$batch" --budget "$seconds"
          note "$job.$what" "$a" "$(value topk "$log/peer")" 0
        done ;;
      hnsw)
        ours --what hnsw --n 200000 --k 10
        peer "$here/peers/hnsw_search.py" --seconds "$seconds"
        cat "$log/ours" "$log/peer" >"$log/$job.detail"
        note hnsw.build "$(value ann_build "$log/ours")" "$(value ann_build "$log/peer")" 1
        note hnsw.search "$(value ann_search "$log/ours")" "$(value ann_search "$log/peer")" 0 ;;
      *) echo "unknown job $job" >&2; exit 2 ;;
    esac
  done
done
printf '%-18s %12s %12s %7s\n' job ours peer ratio
for ratio in "$log"/*.ratio; do
  name=$(basename "$ratio" .ratio)
  printf '%-18s %12.5g %12.5g %7.2f\n' "$name" "$(median <"$log/$name.a")" "$(median <"$log/$name.b")" "$(median <"$ratio")"
done
cat "$log"/*.detail
