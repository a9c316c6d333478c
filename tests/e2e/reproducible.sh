#!/usr/bin/env bash
# The same command with 1 and 2 threads, each run twice, writes the same model.safetensors; a training that is killed at
# random moments and resumed ends with the bytes of one that was not, and with its metrics.jsonl but for wall times. Usage: reproducible.sh BUILD_DIR [KILLS] [SETTING]
set -euo pipefail
build=$(realpath "$1") kills=${2:-6}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
"$build/winnow" data generate --out store --users 300 --items 120 --impressions 12000 >/dev/null
sed 's#data_cache/synthetic#store#' "$OLDPWD/examples/ctr/synthetic.yaml" > config.yaml
settings=(--config config.yaml --batch-size 256 --epochs 3 --set train.patience=5 --set train.checkpoint_steps=7
  --set model.net_dropout=0.1 --set evaluation.ranking=false --set evaluation.resamples=0)
[[ -z ${3:-} ]] || settings+=(--set "$3")
sum() { sha256sum "$1/model.safetensors" | cut -d' ' -f1; }
# metrics.jsonl without what is measured time
lines() { sed -E 's/"(rows_per_second|seconds|time)":[^,}]*//g' "$1/metrics.jsonl"; }

for threads in 1 2; do
  for round in a b; do
    "$build/train_ctr" "${settings[@]}" --threads "$threads" --out "run-$threads$round" >/dev/null 2>&1
  done
done
want=$(sum run-1a)
for run in run-1b run-2a run-2b; do
  [[ $(sum $run) == "$want" ]] || { echo "FAILED: $run/model.safetensors differs from run-1a"; exit 1; }
  cmp <(lines run-1a) <(lines $run) || { echo "FAILED: $run/metrics.jsonl differs from run-1a"; exit 1; }
done
echo "1 and 2 threads, twice each: $want"

RANDOM=7
for ((k = 0; k < kills; ++k)); do
  out=killed-$k resume=()
  deaths=0
  while :; do
    "$build/train_ctr" "${settings[@]}" --out $out "${resume[@]}" >log 2>&1 & pid=$!
    if ((deaths < 4)); then
      sleep "0.$((RANDOM % 40 + 5))"
      if kill -9 $pid 2>/dev/null; then
        deaths=$((deaths + 1)) resume=(--resume)
        wait $pid 2>/dev/null || true
        [[ -f $out/model.safetensors ]] && break
        continue
      fi
    fi
    wait $pid || { cat log; echo "FAILED: resumed training ended with an error"; exit 1; }
    break
  done
  [[ -f $out/model.safetensors ]] || { "$build/train_ctr" "${settings[@]}" --out $out --resume >log 2>&1 || { cat log; exit 1; }; }
  [[ $(sum $out) == "$want" ]] || { echo "FAILED: after $deaths kills the model differs"; exit 1; }
  cmp <(lines run-1a) <(lines $out) || { echo "FAILED: after $deaths kills metrics.jsonl differs"; exit 1; }
  echo "killed $deaths times and resumed: the same bytes"
done
