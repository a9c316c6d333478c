#!/usr/bin/env bash
# winnow train --device cuda on the emulated device: the losses of the CPU, the same bytes twice, exact resume.
# Usage: gpu.sh BUILD_DIR
set -euo pipefail
build=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
"$build/winnow" data generate --out store --users 60 --items 80 --impressions 600 >/dev/null
losses() { sed -nE 's/.*"loss":([0-9.e+-]+).*/\1/p' "$1/metrics.jsonl"; }
weights() { sha256sum "$1/model.safetensors" | cut -d' ' -f1; }
close() {  # files of numbers, one a line: relative difference at most 1e-4
  paste "$1" "$2" | awk '{d = $1 - $2; if (d < 0) d = -d; if (d > 1e-4 * (1 + $1) || NF != 2) {print "differ: " $0; bad = 1}} END {exit bad || NR == 0}'
}

sed 's#data_cache/synthetic#store#' "$OLDPWD/examples/ctr/synthetic.yaml" > ctr.yaml
ctr=(train ctr --config ctr.yaml --epochs 1 --batch-size 64 --set model.hidden_units='[16, 8]')
"$build/winnow" "${ctr[@]}" --out cpu >/dev/null 2>&1
for run in a b; do "$build/winnow_emulated" "${ctr[@]}" --device cuda --out gpu-$run >log 2>&1 || { tail -5 log; exit 1; }; done
[[ $(weights gpu-a) == "$(weights gpu-b)" ]] || { echo "FAILED: two runs on the device differ"; exit 1; }
close <(losses cpu) <(losses gpu-a) || { echo "FAILED: ctr losses on the device are not the CPU's"; exit 1; }
echo "train ctr: the same losses on the device, the same bytes twice"

# Rows of the tables in host memory, and on the device no more of them than the largest batch reads: the bytes of the
# same training with all rows there, also when it is resumed.
ctr+=(--set train.embedding_optimizer=adagrad --set train.embedding_regularizer=0)
"$build/winnow_emulated" "${ctr[@]}" --set train.epochs=2 --device cuda --out whole >log 2>&1 || { tail -5 log; exit 1; }
rows=1
cached() {  # directory, policy, epochs: the error names the rows that a batch needs
  while ! "$build/winnow_emulated" "${ctr[@]}" --set "train.epochs=$3" --set "model.embedding_cache_rows=$rows" \
    --set "model.embedding_cache_policy=$2" --device cuda --resume --out "$1" >log 2>&1; do
    local needed
    needed=$(sed -nE 's/.*embedding_cache_rows to at least ([0-9]+).*/\1/p' log)
    [[ ${needed:-0} -gt $rows ]] || { tail -5 log; exit 1; }
    rows=$needed
    rm -rf "$1"
  done
}
cached lru lru 2
cached lfu lfu 2
cached resumed lru 1
cached resumed lru 2
for run in lru lfu resumed; do
  cmp whole/model.safetensors $run/model.safetensors || { echo "FAILED: rows in host memory ($run) train another model"; exit 1; }
  diff -r whole/checkpoints $run/checkpoints || { echo "FAILED: rows in host memory ($run) have other checkpoints"; exit 1; }
  diff <(losses whole) <(losses $run) || { echo "FAILED: rows in host memory ($run) have other losses"; exit 1; }
  grep -q '"cache_hit_rate":0\.' $run/metrics.jsonl || { echo "FAILED: no cache hit rate, or nothing but hits ($run)"; exit 1; }
done
"$build/winnow_emulated" evaluate --run lru --device cuda --json >evaluation-cuda 2>log || { tail -5 log; exit 1; }
"$build/winnow_emulated" evaluate --run whole --device cuda --json >evaluation-whole 2>log || { tail -5 log; exit 1; }
cmp evaluation-cuda evaluation-whole || { echo "FAILED: evaluated through the cache the metrics differ"; exit 1; }
"$build/winnow" evaluate --run lru --json >/dev/null 2>log || { echo "FAILED: a cached run on the CPU"; tail -5 log; exit 1; }
if "$build/winnow" "${ctr[@]}" --set model.embedding_cache_rows=9 --out refused >/dev/null 2>log; then
  echo "FAILED: a cache on the CPU is silently ignored"; exit 1
fi
grep -q 'device cpu reads them' log || { cat log; exit 1; }
echo "train ctr with rows in host memory: the same bytes by LRU and LFU ($rows rows on the device), resumed too"
