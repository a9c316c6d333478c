#!/usr/bin/env bash
# winnow tune on the synthetic store: a planted optimum is found; killed at random moments, stopped by Ctrl-C and resumed
# a study gives the same files and the same table; failures, halving, folds, what is refused.
# Usage: tune.sh BUILD_DIR [KILLS]
set -euo pipefail
build=$(realpath "$1") kills=${2:-3} root=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
fail() { echo "FAILED: $*"; exit 1; }
"$build/winnow" data generate --out store --users 300 --items 120 --impressions 12000 >/dev/null
sed 's#data_cache/synthetic#store#' "$root/examples/ctr/synthetic.yaml" > config.yaml
small=(--set train.epochs=3 --set train.batch_size=256 --set 'model.hidden_units=[16]')
tune() { "$build/winnow" tune "$@"; }

# the learning rate over five powers of ten; with three epochs only about a hundredth is any good
echo 'train.learning_rate: {log_uniform: [1e-5, 1]}
train.optimizer: {choice: [adam, sgd]}' > space.yaml
study=(--config config.yaml --space space.yaml --trials 18 --seed 5 "${small[@]}")
tune "${study[@]}" --out whole >whole.txt 2>/dev/null || fail "the study ended with an error"
grep -q '^trial ' whole.txt || fail "no table"
rate=$(sed -n 's/^  learning_rate: //p' whole/best.yaml)
awk -v r="$rate" 'BEGIN { exit !(r > 3e-3 && r < 1e-1) }' || fail "the best learning rate is $rate, planted between 0.003 and 0.1"
grep -q '<svg' whole/tune.html && ! grep -q 'src=\|href="http' whole/tune.html || fail "no page, or one that needs more than itself"
[[ $(wc -l < whole/trials.jsonl) -eq 18 ]] || fail "not 18 trials"
[[ -z $(grep -L '"split": "valid"' whole/trials/*/evaluation.json) ]] || fail "a trial was not scored on the validation split"
echo "18 trials: best learning rate $rate, $(sed -n 2p whole.txt)"

# same FILES...: of a study that was interrupted and of the one that was not
same() {
  cmp "whole/trials.jsonl" "$1/trials.jsonl" || fail "$1: other trials"
  cmp "whole/best.yaml" "$1/best.yaml" || fail "$1: another best config"
  diff <(sed 's#whole#X#g' whole.txt) <(sed "s#$1#X#g" "$1.txt") >&2 || fail "$1: another table"
}
tune "${study[@]}" --out one --jobs 1 >one.txt 2>/dev/null
same one
echo "one job at a time: the same"

RANDOM=11
for ((k = 0; k < kills; ++k)); do
  out=killed-$k deaths=0 arguments=("${study[@]}")
  for ((death = 0; death < 3; ++death)); do
    "$build/winnow" tune "${arguments[@]}" --out $out >/dev/null 2>&1 & pid=$!
    sleep "0.$((RANDOM % 60 + 10))"
    if kill -9 $pid 2>/dev/null; then deaths=$((deaths + 1)); fi
    wait $pid 2>/dev/null || true
    [[ -f $out/study.json ]] && arguments=(--resume)
  done
  tune "${arguments[@]}" --out $out >$out.txt 2>log || { cat log; fail "$out: the resumed study ended with an error"; }
  same $out
  [[ $deaths -gt 0 ]] || fail "$out: no kill came in time"
  echo "killed $deaths times and resumed: the same"
done

"$build/winnow" tune "${study[@]}" --out stopped >/dev/null 2>log & pid=$!
while [[ ! -d stopped/trials/001 ]] && kill -0 $pid 2>/dev/null; do sleep 0.05; done
kill -INT $pid || true
code=0; wait $pid || code=$?
[[ $code -eq 1 ]] && grep -q 'tune --out stopped --resume' log || { cat log; fail "Ctrl-C: exit $code"; }
tune --resume --out stopped >stopped.txt 2>/dev/null
same stopped
echo "stopped by Ctrl-C and resumed: the same"

# one of the trials cannot be trained
echo 'train.learning_rate: {choice: [0.01, 1e30, 0.02]}' > failing.yaml
tune --config config.yaml --space failing.yaml --method grid "${small[@]}" --out failing >failing.txt 2>/dev/null
grep -q '^trial 1 failed: .*not finite' failing.txt || { cat failing.txt; fail "the failed trial has no message"; }
[[ $(grep -c '"value"' failing/trials.jsonl) -eq 2 ]] || fail "a failed trial stopped others"
echo "a trial that fails is recorded, the others run"

# successive halving: survivors go on from their checkpoints, with the result of a whole training
echo 'train.learning_rate: {log_uniform: [1e-5, 1]}' > rate.yaml
tune --config config.yaml --space rate.yaml --method halving --trials 9 --eta 3 "${small[@]}" --set train.epochs=9 \
  --set train.patience=20 --out halving >halving.txt 2>log || { cat log; fail "halving ended with an error"; }
[[ $(cut -d, -f1 halving/trials.jsonl | sort | uniq -c | tr -s ' \n' ' ') == ' 9 {"rung":0 3 {"rung":1 1 {"rung":2 ' ]] || fail "halving: other rungs"
best=$(sed -n 's/^{"rung":2,"trial":\([0-9]*\),.*/\1/p' halving/trials.jsonl)
"$build/winnow" train ctr --config halving/best.yaml --no-test --set evaluation.ranking=false --set evaluation.resamples=0 --out direct >/dev/null 2>&1
cmp direct/model.safetensors "halving/trials/00$best/model.safetensors" || fail "halving: the survivor is not what a whole training gives"
grep -q 'resumed at epoch 4' "halving/trials/00$best/stderr" || fail "halving: the survivor was trained anew"
echo "successive halving: 9, 3, 1 trials; the last one has the bytes of a training of 9 epochs"

# cross-validation: the mean over the folds, whose test rows are those of the config's own split
for method in time random; do
  out=folds-$method
  tune --config config.yaml --space rate.yaml --method random --trials 2 --folds 3 "${small[@]}" \
    --set "data.split.method=$method" --out $out >$out.txt 2>log || { cat log; fail "folds ended with an error"; }
  "$build/winnow" train ctr --config $out/best.yaml --no-test --set train.epochs=1 --set evaluation.ranking=false \
    --set evaluation.resamples=0 --out $out/best >/dev/null 2>own
  for fold in 0 1 2; do
    [[ $(grep '^test ' $out/trials/000/fold-$fold/stderr) == "$(grep '^test ' own)" ]] || fail "fold $fold ($method) has another test split"
  done
  awk -v line="$(head -1 $out/trials.jsonl)" 'BEGIN {
    match(line, /"value":[0-9.]*/); mean = substr(line, RSTART + 8, RLENGTH - 8)
    match(line, /"folds":\[[^]]*/); n = split(substr(line, RSTART + 9, RLENGTH - 9), v, ",")
    if (n != 3 || (v[1] + v[2] + v[3]) / 3 - mean > 1e-9 || mean - (v[1] + v[2] + v[3]) / 3 > 1e-9 || v[1] == v[2]) exit 1 }' ||
    fail "the value is not the mean of three folds"
  grep -q ' std ' $out.txt || fail "no deviation in the table"
done
echo "three folds: the mean of three trainings, the test split apart"

# what is refused, before anything was trained
expect() {
  local code=$1 text=$2 got=0
  shift 2
  tune "$@" >out 2>err || got=$?
  { [[ $got -eq $code ]] && grep -qF -- "$text" err; } || { cat err; fail "tune $*: exit $got, expected $code and: $text"; }
}
echo 'train.learn_rate: {uniform: [0, 1]}' > unknown.yaml
expect 1 "did you mean 'train.learning_rate'" --config config.yaml --space unknown.yaml --out r1
echo 'model.net_dropout: {uniform: [0, 2]}' > outside.yaml
expect 1 'model.net_dropout' --config config.yaml --space outside.yaml --out r1
expect 1 'must be one of' --config config.yaml --space space.yaml --metric rmse --out r1
[[ ! -e r1/trials ]] || fail "a trial of a refused study was run"
echo 'data.split.test: {uniform: [0.1, 0.3]}' > split.yaml
expect 1 'is set by --folds' --config config.yaml --space split.yaml --folds 2 --out r1
expect 1 '--resume' --config config.yaml --space space.yaml --out whole
expect 1 'not the search space' --config config.yaml "${small[@]}" --space rate.yaml --out whole --resume
expect 1 'holds no study' --resume --out r2
expect 2 '--space' --config config.yaml --out r3
expect 2 '--method' --resume --method grid --out whole
echo "refused as it should be"
