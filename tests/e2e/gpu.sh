#!/usr/bin/env bash
# --device cuda on the emulated device: training has the losses of the CPU and the same bytes twice; encode, fill-mask,
# match and tune give what they give on the CPU; doctor finds the device right.
# Usage: gpu.sh BUILD_DIR
set -euo pipefail
build=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
"$build/winnow" data generate --out store --users 60 --items 80 --impressions 600 >/dev/null
losses() { sed -nE 's/.*"loss":([0-9.e+-]+).*/\1/p' "$1/metrics.jsonl"; }
weights() { sha256sum "$1/model.safetensors" | cut -d' ' -f1; }
close() {  # two files of numbers, one a line, and the difference that is allowed, relative above 1: 1e-4 by default
  paste "$1" "$2" | awk -v most="${3:-1e-4}" 'function abs(x) {return x < 0 ? -x : x}
    abs($1 - $2) > most * (1 + abs($1)) || NF != 2 {print "differ: " $0; bad = 1} END {exit bad || NR == 0}'
}
# both NAME PATTERN COMMAND...: what it prints with --json has the same numbers within 1e-5 where the pattern stands
both() {
  local name=$1 pattern=$2
  shift 2
  "$build/winnow" "$@" --json > cpu.json 2>log && "$build/winnow_emulated" "$@" --device cuda --json > gpu.json 2>log ||
    { tail -5 log; echo "FAILED: $name"; exit 1; }
  numbers() { tr -d ' \n' < "$1" | grep -oE "$pattern" | grep -oE -- '-?[0-9]+(\.[0-9]+)?(e[-+]?[0-9]+)?' || true; }
  close <(numbers cpu.json) <(numbers gpu.json) 1e-5 || { echo "FAILED: $name on the device is not the CPU's"; exit 1; }
  echo "$name: $(numbers gpu.json | wc -l) numbers are the CPU's"
}

sed 's#data_cache/synthetic#store#' "$OLDPWD/examples/ctr/synthetic.yaml" > ctr.yaml
ctr=(train ctr --config ctr.yaml --epochs 1 --batch-size 64 --set model.hidden_units='[16, 8]')
"$build/winnow" "${ctr[@]}" --out cpu >/dev/null 2>&1
for run in a b; do "$build/winnow_emulated" "${ctr[@]}" --device cuda --out gpu-$run >log 2>&1 || { tail -5 log; exit 1; }; done
[[ $(weights gpu-a) == "$(weights gpu-b)" ]] || { echo "FAILED: two runs on the device differ"; exit 1; }
close <(losses cpu) <(losses gpu-a) || { echo "FAILED: ctr losses on the device are not the CPU's"; exit 1; }
echo "train ctr: the same losses on the device, the same bytes twice"

printf '%s\n' '[PAD]' '[UNK]' '[CLS]' '[SEP]' '[MASK]' red blue cotton linen bag shirt hat > vocab.txt
{ echo text,label; for i in {1..4}; do echo "red cotton bag,a"; echo "blue linen hat $i,b"; echo "cotton shirt $i,c"; done; } > texts.csv
encoder='{tokenizer: vocab.txt, hidden_size: 8, num_hidden_layers: 1, num_attention_heads: 1, intermediate_size: 16, max_len: 8}'
cat > match.yaml <<YAML
job: match
encoder: $encoder
data: {labelled: {file: texts.csv}, split: {valid: 0.2, test: 0.2}}
train: {epochs: 1, batch_size: 8}
evaluation: {resamples: 0, ks: [1]}
YAML
cat > mlm.yaml <<YAML
job: mlm
data: {path: ., sources: [{file: texts.csv, columns: [text]}], valid: 0.2}
encoder: $encoder
train: {epochs: 1, max_tokens: 64}
YAML
"$build/winnow" train match --config match.yaml --out matched >/dev/null 2>log || { tail -5 log; exit 1; }
"$build/winnow" train mlm --config mlm.yaml --out mlm >/dev/null 2>log || { tail -5 log; exit 1; }
both encode '"vectors":.*' encode --model mlm --text 'red cotton bag' --text 'blue hat'
both fill-mask '"probability":[^,}]*' fill-mask --model mlm --text 'red [MASK] bag' --k 12
both match '"cosine":[^,}]*' match --run matched --items texts.csv --column text --text 'red bag' --k 3 --no-cache
echo 'train.learning_rate: {choice: [0.01, 0.02]}' > space.yaml
tune() { "$1" tune --config ctr.yaml --space space.yaml --method grid --set train.max_steps=2 --set train.batch_size=32 --set train.monitor=logloss \
  --set model.hidden_units='[8]' "${@:2}" >log 2>&1 || { tail -5 log; echo "FAILED: tune"; exit 1; }; }
tune "$build/winnow" --out tuned-cpu
tune "$build/winnow_emulated" --device cuda --out tuned-gpu
values() { sed -nE 's/.*"value":([-0-9.e+]+).*/\1/p' "$1/trials.jsonl"; }
close <(values tuned-cpu) <(values tuned-gpu) 1e-5 || { echo "FAILED: tune on the device is not the CPU's"; exit 1; }
echo "tune: the CPU's value"

"$build/winnow_emulated" doctor --device cuda > found || { cat found; echo "FAILED: doctor"; exit 1; }
[[ $(grep -c 'self test *right' found) -eq 2 ]] || { cat found; echo "FAILED: doctor tests the CPU and the device"; exit 1; }
echo "doctor: the device computes right"

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
  last=$(ls whole/checkpoints | sort | tail -1)  # those before it know how many epochs there were to be
  cmp whole/checkpoints/$last $run/checkpoints/$last || { echo "FAILED: rows in host memory ($run) have other checkpoints"; exit 1; }
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
