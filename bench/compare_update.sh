#!/usr/bin/env bash
# What is kept and what is won by ways to go on learning: a click model of the earlier ratings of MovieLens-100k learns
# the later ones as events. AUC and logloss on held-out old rows, and on the rows after the events.
# Usage: bench/compare_update.sh [CUT] [SEEDS] [WORK]     BUILD=build DATA=data_cache/ml-100k
#   CUT   time: the first 60 % of all ratings, the next 20 % as events, the last 20 % to judge by (most of their users
#         are new); user: the same shares of each user's ratings
# The old rows are a random tenth of the first part, which no way ever learns from. Mean over the seeds.
set -euo pipefail
cut=${1:-user} seeds=${2:-"1 2 3"} work=${3:-$(mktemp -d)} build=$(realpath "${BUILD:-build}") data=$(realpath "${DATA:-data_cache/ml-100k}")
config=$PWD/examples/ctr/movielens100k.yaml winnow=$build/winnow
mkdir -p "$work"
cp "$data/ml-100k.user" "$data/ml-100k.item" "$work"
cd "$work"
tab=$'\t'
tail -n +2 "$data/ml-100k.inter" | sort -s -t "$tab" -k4,4n >sorted
head -1 "$data/ml-100k.inter" | tee old.inter more.inter >/dev/null
awk -F'\t' -v cut="$cut" 'NR == FNR {n[$1]++; total++; next}
  {i = cut == "time" ? k++ : seen[$1]++; m = cut == "time" ? total : n[$1]
   part = i < int(.6 * m) ? "old" : i < int(.8 * m) ? "events" : "later"; print part "\t" $0}' sorted sorted >parts
sed -n 's/^old\t//p' parts >>old.inter
for part in events later; do
  { echo user,item,kind,value,time_us; awk -F'\t' -v part="$part" '$1 == part {print $2 "," $3 ",rating," $4 "," $5 "000000"}' parts; } >"$part.csv"
done
sed -e "s#data_cache/ml-100k#$PWD#; s#file: ml-100k.inter#file: old.inter#; s#split: {.*#split: {method: random, train: 0.8, valid: 0.1, test: 0.1}#" "$config" >base.yaml
"$winnow" events append events.csv --store sqlite:events.db --quiet >/dev/null
"$winnow" data split --config base.yaml --out splits --quiet >/dev/null 2>&1 || "$winnow" data split --config base.yaml --out splits >/dev/null
{ echo user,item,value; tail -n +2 splits/test.csv | awk -F, '{print $1 "," $2 "," $3}'; } >test_rows.csv
{ head -1 old.inter; tail -q -n +2 splits/train.csv splits/valid.csv | tr , '\t'; sed -n 's/^events\t//p' parts; } >more.inter
sed -e "s#file: old.inter#file: more.inter#; s#split: {.*#split: {method: random, train: 0.88, valid: 0.1, test: 0.02}#" base.yaml >more.yaml

learn() {  # NAME OPTION...: a copy of the run learns the events once
  local name=$1 before; shift
  rm -rf "$name"; mkdir "$name"; cp base/*.yaml base/*.json base/*.safetensors "$name"
  before=$(date +%s%N)
  [[ $name == none ]] || "$winnow" update --run "$name" --store sqlite:events.db --once --quiet "$@" >/dev/null
  row "$name" $((($(date +%s%N) - before) / 1000000))
}
row() { echo "$1 $("$build/update_check" "$1" 4 test_rows.csv later.csv | tr '\n' ' ') $2" >>results; }
: >results
for seed in $seeds; do
  "$winnow" train ctr --config base.yaml --seed "$seed" --out base --quiet >/dev/null 2>&1
  learn none
  learn fine-tuning --replay 0 --distill 0
  learn replay --replay 0.5 --distill 0
  learn replay+distill --replay 0.5 --distill 0.5
  learn ewc --replay 0 --distill 0 --ewc 1e6
  learn all --replay 0.5 --distill 0.5 --ewc 1e6
  before=$(date +%s%N)
  "$winnow" train ctr --config more.yaml --seed "$seed" --out retrained --quiet >/dev/null 2>&1
  row retrained $((($(date +%s%N) - before) / 1000000))
  rm -rf base retrained
done
printf '%-16s %9s %9s %9s %9s %8s\n' way 'old AUC' logloss 'later AUC' logloss seconds
awk '{if (!($1 in n)) order[++k] = $1; n[$1]++; a[$1] += $2; b[$1] += $3; c[$1] += $6; d[$1] += $7; s[$1] += $10; if (!rows) {rows = $4; later = $8; strange = $9}}
  END {for (i = 1; i <= k; ++i) {w = order[i]; printf "%-16s %9.4f %9.4f %9.4f %9.4f %8.2f\n", w, a[w] / n[w], b[w] / n[w], c[w] / n[w], d[w] / n[w], s[w] / n[w] / 1000}
       printf "%d old rows, %d later rows (%d of users unknown)\n", rows, later, strange}' results
