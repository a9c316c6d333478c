#!/usr/bin/env bash
# A newcomer's way: train, verify, serve, ask with curl, use the page in a browser, learn from what was clicked, kill.
# Usage: serve.sh BUILD_DIR [SCREENSHOT.png]
set -euo pipefail
build=$(realpath "$1") root=$PWD screenshot=${2:+$(realpath -m "$2")}
browser=$(command -v chromium || command -v chromium-browser || true)
[[ -n $browser ]] || { echo "FAILED: no chromium; install it with scripts/install_packages.sh --tests"; exit 1; }
work=$(mktemp -d)
trap 'kill -9 ${server:-} ${updater:-} 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"
fail() { echo "FAILED: $*"; tail -5 ./*.log 2>/dev/null || true; exit 1; }
winnow=$build/winnow
"$winnow" data generate --out store --users 200 --items 80 >/dev/null
sed 's#data_cache/synthetic#store#' "$root/examples/ctr/synthetic.yaml" >config.yaml
"$winnow" train ctr --config config.yaml --model DeepFM --epochs 2 --quiet --out run --set evaluation.resamples=200 >/dev/null
"$winnow" verify run --users 5 --json >verify.json || fail "verify: $(cat verify.json)"
"$build/json_document" <verify.json || fail "verify --json"
grep -q '"equal": true' verify.json || fail "verify does not find the same bits"
"$winnow" verify run --users 1 --int8 >verify.txt || fail "verify --int8: $(cat verify.txt)"
grep -q '^auc .* in int8$' verify.txt || fail "verify --int8 does not say what bytes cost: $(cat verify.txt)"

start() {
  : >address.json  # of the server before
  "$winnow" serve run --port 0 --store sqlite:events.db --reload 100 --json >address.json 2>serve.log &
  server=$!
  until grep -q '"address":"[^"]*"' address.json; do
    kill -0 "$server" 2>/dev/null || break
    sleep .1
  done
  address=$(sed -nE 's/.*"address":"([^"]*)".*/\1/p' address.json)
  [[ -n $address ]] || fail "the server did not start"
}
ask() { curl -sS -m 60 "$address$1" ${2:+-d "$2"}; }
start
ask /v1/users >users.json
grep -q '"user":' users.json || fail "/v1/users"
user=$(ask '/v1/users?k=1' | sed -nE 's/.*"user":"([^"]*)".*/\1/p')
ask /v1/recommend "{\"user\":\"$user\",\"k\":5}" >list.json
[[ $(grep -o '"item":' list.json | wc -l) == 5 ]] || fail "recommend: $(cat list.json)"
title=$(sed -nE 's/.*"items":\[\{"item":"[^"]*","title":"([^"]*)".*/\1/p' list.json)
[[ -n $title ]] || fail "no title: $(cat list.json)"
word=$(tr ' ' '\n' <<<"$title" | awk '{ if (length($0) > length(best)) best = $0 } END { print tolower(best) }')
[[ $(ask /v1/score "{\"user\":\"$user\",\"item\":[]}") == *'did you mean'* ]] || fail "an error that does not help"

"$build/page_driver" "$browser" "$address/" "$word" shot.png "$work/profile" 2>driver.log || fail "the page: $(tail -1 driver.log)"
[[ $(head -c 4 shot.png | tail -c 3) == PNG ]] || fail "no screenshot"
[[ -z $screenshot ]] || cp shot.png "$screenshot"
"$winnow" events stats --store sqlite:events.db --json >stats.json
grep -q '"click"' stats.json || fail "the click of the page is not in the log"

# learning: a version comes and is served
score() { ask /v1/score "{\"user\":\"$user\",\"items\":[\"$(sed -nE 's/.*"items":\[\{"item":"([^"]*)".*/\1/p' list.json)\"]}"; }
# of a version that comes to be served; loading waits for an idle core
served() { for _ in $(seq 1200); do [[ $(score) == *"\"version\":$1"* ]] && break; sleep .1; done; }
before=$(score)
for n in $(seq 30); do ask /v1/feedback "{\"user\":\"$user\",\"item\":\"$(sed -nE 's/.*"items":\[\{"item":"([^"]*)".*/\1/p' list.json)\",\"kind\":\"click\"}" >/dev/null; done
"$winnow" update --run run --store sqlite:events.db --once --quiet >update.log 2>&1 || fail "update"
served 1
after=$(score)
[[ $after == *'"version":1'* && ${after##*scores} != "${before##*scores}" ]] || fail "the update is not served: $before, $after"
echo 0 >run/deltas/pin
served 0
[[ $(score) == "$before" ]] || fail "rollback: $before, $(score)"
rm run/deltas/pin

# what was acknowledged outlives kill -9; a start goes on with it
"$winnow" events stats --store sqlite:events.db --json >stats.json
kept=$(grep -m 1 '"events":' stats.json | sed -nE 's/.*"events": *([0-9]+).*/\1/p')
kill -9 "$server"; wait "$server" 2>/dev/null || true
start
last=$(ask /v1/stats | sed -nE 's/.*"last_event":([0-9]+).*/\1/p')
[[ $last == "$kept" ]] || fail "$kept events were kept, $last are there after kill -9"
kill -TERM "$server"
wait "$server" || fail "SIGTERM: exit code $?"
grep -q "requests under way" serve.log || fail "no word at the end"
echo "serve: trained, verified, served, browsed, learnt, rolled back, killed and started again"
