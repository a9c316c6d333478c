#!/usr/bin/env bash
# winnow train mlm as users run it: killed at random moments and resumed it ends with the bytes of a run that was not,
# Ctrl-C leaves a checkpoint, its encoder opens again, fill-mask answers. Usage: mlm.sh BUILD_DIR [KILLS]
set -euo pipefail
build=$(realpath "$1") kills=${2:-3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
winnow=$build/winnow
"$winnow" data generate --out store --users 100 --items 400 --impressions 1000 >/dev/null
sed 's#data_cache/synthetic#store#' "$OLDPWD/examples/text/mlm.yaml" > config.yaml
settings=(--config config.yaml --epochs 2 --set encoder.hidden_size=32 --set encoder.intermediate_size=64
  --set 'tokenizer.train={type: unigram, vocab_size: 300, character_coverage: 0.98}' --set train.max_tokens=256
  --set train.accumulate_steps=2 --set train.checkpoint_steps=3)
sum() { sha256sum "$1/encoder/model.safetensors" | cut -d' ' -f1; }
lines() { sed -E 's/"(tokens_per_second|seconds|time)":[^,}]*//g' "$1/metrics.jsonl"; }

for threads in 1 2; do
  "$winnow" train mlm "${settings[@]}" --threads $threads --out run-$threads >/dev/null 2>&1
done
want=$(sum run-1)
[[ $(sum run-2) == "$want" ]] || { echo "FAILED: two threads give other bytes than one"; exit 1; }
cmp <(lines run-1) <(lines run-2) || { echo "FAILED: metrics.jsonl depends on the threads"; exit 1; }

RANDOM=11
for ((k = 0; k < kills; ++k)); do
  out=killed-$k deaths=0
  for ((attempt = 0; attempt < 4; ++attempt)); do
    "$winnow" train mlm "${settings[@]}" --out $out --resume >log 2>&1 & pid=$!
    sleep "0.$((RANDOM % 60 + 10))"
    kill -9 $pid 2>/dev/null && deaths=$((deaths + 1))
    wait $pid 2>/dev/null || true
  done
  "$winnow" train mlm "${settings[@]}" --out $out --resume >log 2>&1 || { cat log; echo "FAILED: resume"; exit 1; }
  [[ $(sum $out) == "$want" ]] || { echo "FAILED: after $deaths kills the model differs"; exit 1; }
  cmp <(lines run-1) <(lines $out) || { echo "FAILED: after $deaths kills metrics.jsonl differs"; exit 1; }
  echo "killed $deaths times and resumed: the same bytes"
done

# Ctrl-C
"$winnow" train mlm "${settings[@]}" --set train.epochs=500 --set train.checkpoint_steps=0 --out stopped >out 2>log & pid=$!
while [[ ! -s stopped/memory.json ]] && kill -0 $pid 2>/dev/null; do sleep 0.05; done
sleep 0.5
kill -INT $pid
code=0
wait $pid || code=$?
[[ $code -eq 1 ]] && grep -q 'Go on with: winnow train mlm --out stopped --resume' log || { cat log; echo "FAILED: Ctrl-C ended with code $code"; exit 1; }
ls stopped/checkpoints/*.safetensors >/dev/null

# Its encoder is where another training begins, and answers.
"$winnow" train mlm --config config.yaml --epochs 1 --encoder run-1/encoder --json --out further 2>log | "$build/json_document" || { cat log; exit 1; }
"$winnow" fill-mask --model run-1 --text 'a [MASK] bag and [MASK]' --k 3 > guesses
[[ $(grep -c '^mask' guesses) -eq 2 && $(wc -l < guesses) -eq 8 ]] || { cat guesses; echo "FAILED: fill-mask"; exit 1; }
if "$winnow" fill-mask --model run-1 --text 'no mask' 2>log; then echo "FAILED: a text without a mask is an error"; exit 1; fi
grep -q 'has no \[MASK\]' log || { cat log; exit 1; }
if "$winnow" train mlm "${settings[@]}" --set train.epoch=3 --out x 2>log; then echo "FAILED: an unknown key"; exit 1; fi
grep -q "unknown key 'train.epoch'" log || { cat log; exit 1; }
echo "mlm: $want"
