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
