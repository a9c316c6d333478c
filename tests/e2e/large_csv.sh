#!/usr/bin/env bash
# A CSV larger than what may be used of memory: trained with storage: disk, its peak memory and loading speed asserted.
# Usage: large_csv.sh BUILD_DIR [GIGABYTES] [WORK_DIR]; 5 GB of rows need 12 GB of disk.
set -euo pipefail
build=$(realpath "$1") gigabytes=${2:-5}
work=$(mktemp -d "${3:-${TMPDIR:-/tmp}}/winnow-large-XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work"
# About 70 bytes a row: ids with a heavy head, a click that depends on user, item, device and price.
rows=$(awk -v g="$gigabytes" 'BEGIN { printf "%d", g * 1e9 / 70 }')
awk -v n="$rows" 'BEGIN {
  srand(1); print "user,item,time,country,device,hour,category,brand,campaign,price,clicked"
  for (r = 0; r < n; ++r) {
    u = int(500000 * rand() ^ 2); i = int(100000 * rand() ^ 3); d = int(4 * rand()); p = int(10000 * rand() ^ 2) / 100
    z = -1.5 + (u % 7 - 3) / 4 + (i % 5 - 2) / 3 + d / 4 - p / 60
    printf "user_%06d,item_%05d,%d,c%02d,device%d,%02d,cat%03d,brand%04d,camp%03d,%.2f,%d\n",
      u, i, 1700000000 + r / 8, u % 60, d, (r / 28800) % 24, i % 300, i % 2000, int(500 * rand()), p, rand() < 1 / (1 + exp(-z))
  }
}' > views.csv
bytes=$(stat -c %s views.csv)
cat > config.yaml <<'YAML'
data:
  path: .
  interactions: {file: views.csv}
  user_id: user
  item_id: item
  timestamp: {column: time}
  label: {column: clicked}
  storage: disk
  split: {train: 0.98, valid: 0.01, test: 0.01}
  features:
    - {name: user, min_categr_count: 2}
    - {name: item}
    - {name: country, source: user}
    - {name: device, source: context}
    - {name: hour, source: context}
    - {name: category, source: item}
    - {name: brand, source: item}
    - {name: campaign, source: context}
    - {name: price, type: numeric, source: item, normalizer: log_standard}
model: {name: LR, embedding_dim: 4}
train: {batch_size: 16384, epochs: 1, learning_rate: 0.02, embedding_optimizer: adagrad}
evaluation: {ranking: false, resamples: 0, importance_rows: 0}
YAML
"$build/winnow" train ctr --config config.yaml --out run >log 2>&1 & pid=$!
peak=0
while kill -0 $pid 2>/dev/null; do
  now=$(awk '/^VmHWM/ { print $2 }' /proc/$pid/status 2>/dev/null || true)
  [[ -n $now ]] && peak=$now
  sleep 0.2
done
wait $pid || { tail -5 log; echo "FAILED: training ended with an error"; exit 1; }
number() { tr -d ' \n' <"run/$1" | grep -oE "$2" | head -1 | grep -oE '[-+0-9.e]+$'; }
seconds=$(number data_report.json '"seconds":[-+0-9.e]+')
kept=$(number data_report.json '"kept":[0-9]+')
rows_read=$(number data_report.json '"rows_read":[0-9]+')
auc=$(awk '/^  "metrics"/ { m = 1 } m && /^    "auc"/ { a = 1 } a && /"value"/ { print $2; exit }' run/evaluation.json)
speed=$(awk -v b="$bytes" -v s="$seconds" 'BEGIN { printf "%d", b / s / 1e6 }')
echo "$rows rows, $bytes bytes: loaded in $seconds s ($speed MB/s), peak $((peak / 1024)) MiB, AUC $auc"
[[ $kept -eq $rows && $rows_read -eq $rows ]] || { echo "FAILED: $kept of $rows rows kept"; exit 1; }
awk -v a="$auc" 'BEGIN { exit !(a > 0.6) }' || { echo "FAILED: AUC $auc"; exit 1; }
[[ $peak -lt 1000000 ]] || { echo "FAILED: a peak of $peak KiB is 1 GB or more"; exit 1; }
[[ $speed -ge ${LARGE_CSV_MB_PER_S:-0} ]] || { echo "FAILED: $speed MB/s"; exit 1; }
