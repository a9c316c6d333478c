#!/usr/bin/env bash
# Every command has --json, and with it stdout is exactly one JSON document. The commands are found by walking --help:
# one without --json fails here, and so does one that is missing from the calls below. Usage: json.sh BUILD_DIR
set -uo pipefail
build=$(realpath "$1") root=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
failures=0
fail() { echo "FAILED: $*"; failures=$((failures + 1)); }
winnow=$build/winnow

# The commands that do something: those without commands of their own.
leaves() {
  local help children child
  help=$("$winnow" "$@" --help)
  children=$(sed -n '/^Subcommands:/,/^$/p' <<<"$help" | sed -nE 's/^  ([a-z][a-z0-9_-]*) .*/\1/p')
  if [[ -z $children ]]; then
    echo "$*"
    return
  fi
  for child in $children; do leaves "$@" "$child"; done
}
leaves > commands
while read -r command; do
  # shellcheck disable=SC2086
  "$winnow" $command --help >help
  grep -q -- '--json' help || fail "winnow $command has no --json"
done < commands

# one COMMAND... : exit code 0 and one JSON document on stdout; the command without its arguments is ticked off
one() {
  local words=()
  for word in "$@"; do
    [[ $word =~ ^[a-z][a-z0-9_-]*$ ]] && grep -q "^${words[*]:+${words[*]} }$word\( \|$\)" commands || break
    words+=("$word")
  done
  echo "${words[*]}" >> called
  if ! "$winnow" "$@" --json >out 2>err; then
    fail "winnow $* --json: $(tail -1 err)"
  elif ! "$build/json_document" <out 2>parse; then
    fail "winnow $* --json: stdout is not one JSON document ($(cat parse)): $(head -c 200 out)"
  elif LC_ALL=C grep -q $'[\x01-\x08\x0b-\x1f]' err; then
    fail "winnow $* --json: control characters in a pipe"
  fi
}

sed 's#data_cache/synthetic#store#' "$root/examples/ctr/synthetic.yaml" > config.yaml
table=store/$(sed -nE 's/^ *interactions: \{file: ([a-z_.]+),.*/\1/p' config.yaml)
settings=(--epochs 1 --set evaluation.resamples=200)
one data generate --out store --users 120 --items 50
one train ctr --config config.yaml "${settings[@]}" --out a
one train ctr --config config.yaml "${settings[@]}" --model LR --out b
one evaluate --run a
one recommend --run a
one candidates evaluate --run a --k 5,20
one inspect a
one doctor
one report a
one compare a b
for _ in {1..40}; do echo 'red cotton bag, blue linen shirt, green wool hat, white paper lamp'; done > titles.txt
one tokenizer train titles.txt --vocab-size 28 --out spiece.model
one tokenizer encode --model spiece.model 'red hat'
one tokenizer decode --model spiece.model '5 6 7'
sed 's#data_cache/synthetic#store#' "$root/examples/text/mlm.yaml" > mlm.yaml
one train mlm --config mlm.yaml --epochs 1 --set 'tokenizer.train={vocab_size: 300, character_coverage: 0.98}' --out m
one fill-mask --model m --text 'red [MASK]'
one encode --model m --text 'red bag' --text ''
one encode --model m --data store/items.csv --column title --out vectors.safetensors
one inspect m/encoder
one index build --vectors vectors.safetensors --out index
one index search --index index --queries vectors.safetensors --k 3
one index stats --index index
sed 's#data_cache/search#store#; s#relevance_en#relevance#; s#data_cache/all-MiniLM-L6-v2#spiece.model#' \
  "$root/examples/rank/text_features.yaml" > rank.yaml
one train rank --config rank.yaml "${settings[@]}" --out r
one rank --run r --data store/relevance.csv
printf 'red\nblue\ngreen hat\n' > terms.txt
one synonyms --run m --terms terms.txt --threshold -1
printf '%s\n' '[PAD]' '[UNK]' '[CLS]' '[SEP]' '[MASK]' red blue cotton linen bag shirt hat > vocab.txt
{ echo text,label; for i in {1..20}; do echo "red cotton bag,a"; echo "blue linen hat $i,b"; echo "cotton shirt $i,c"; done; } > texts.csv
cat > match.yaml <<YAML
job: match
encoder: {tokenizer: vocab.txt, hidden_size: 8, num_hidden_layers: 1, num_attention_heads: 1, max_len: 8}
data: {labelled: {file: texts.csv}, split: {valid: 0.2, test: 0.2}}
train: {epochs: 1, batch_size: 8}
evaluation: {resamples: 200, ks: [1, 5]}
YAML
one train match --config match.yaml --out matched
one evaluate --run matched
one report m
one match --run matched --items texts.csv --column text --text 'red bag' --k 3
text=$'encoder: {path: m/encoder}\nevaluation: {resamples: 200}\ntrain: {epochs: 1, batch_size: 16}'
items=$'data:\n  path: store\n  train: {file: items.csv}\n  text: [title, tags]\n  split: {valid: 0.2, test: 0.2}'
printf 'job: classify\n%s\n  label: department\n%s\n' "$items" "$text" > classify.yaml
printf 'job: value-text\n%s\n  target: [price]\n%s\n' "$items" "$text" > value.yaml
{ sed '/^model:/,$d' config.yaml; printf 'job: click-text\ntext: {history: 3, fuse: false}\n%s\n' "$text"; } > click.yaml
one train classify --config classify.yaml --out c
one train value-text --config value.yaml --out v
one train click-text --config click.yaml --batch-size 256 --set train.max_steps=5 --out t
one predict --run c --text 'red cotton bag' --top 2
one predict --run v --data store/items.csv
for run in c v t; do one evaluate --run $run; done
one bandit simulate --policy epsilon_greedy --epsilon 0.5 --arms 3 --dim 2 --rounds 500 --log played.csv
one bandit simulate --policy squarecb --arms 3 --dim 2 --rounds 500 --seed 2 --world-seed 1 --save policy.safetensors \
  --csv regret.csv --html regret.html
one ope --log played.csv --features 'x_*' --policy policy.safetensors --resamples 200
one events append "$table" --store sqlite:events.db --columns user=user_id,item=item_id,time_us=timestamp --time-unit s \
  --kind view
one events list --store sqlite:events.db --after 5 --limit 3
one events tail --store sqlite:events.db
one events stats --store sqlite:events.db --top 3
one update --run a --store sqlite:events.db --once --label view=1 --every 10ms
one verify a --users 2
# serve prints its document when it is ready, and ends when it is told to
"$winnow" serve a --port 0 --json >served 2>err & pid=$!
until grep -q '"address"' served 2>/dev/null; do
  kill -0 $pid 2>/dev/null || break
  sleep .1
done
kill -TERM $pid 2>/dev/null
wait $pid || fail "winnow serve --json: $(tail -1 err)"
"$build/json_document" <served 2>parse || fail "winnow serve --json: $(cat parse)"
echo serve >>called
one data describe "$table"
one data schema "$table"
one data check --config config.yaml
one data clean --config config.yaml
one data convert "$table" --out rows.jsonl
one data split --config config.yaml --out splits
echo 'train.learning_rate: {log_uniform: [1e-4, 1e-2]}' > space.yaml
one tune --config config.yaml --space space.yaml --trials 2 --out study "${settings[@]:2}" --set train.epochs=1
while read -r command; do
  grep -qxF "$command" called || fail "winnow $command is not called in tests/e2e/json.sh"
done < commands
[[ $failures -eq 0 ]] && echo "json: $(sort -u called | wc -l) commands print one JSON document"
exit $((failures > 0))
