#!/usr/bin/env bash
# From an acknowledged click to a score that another version gives, while the server answers others: `winnow serve` and
# `winnow update` beside each other. Prints quantiles of the seconds.
# Usage: bench/serve_freshness.sh RUN USER ITEM [TIMES]      RUN: a finished run, which is copied
# RATE: requests a second beside it (default 40).
set -euo pipefail
run=$1 user=$2 item=$3 times=${4:-40} build=${BUILD:-build} port=${PORT:-8096}
work=$(mktemp -d)
trap 'kill ${server:-} ${updater:-} ${load:-} 2>/dev/null || true; rm -rf "$work"' EXIT
cp -r "$run" "$work/run"
"$build/winnow" serve "$work/run" --store "sqlite:$work/events.db" --port "$port" --reload 50 --quiet &
server=$!
for _ in $(seq 100); do curl -sf -o /dev/null "localhost:$port/v2/health/ready" && break; sleep .1; done
"$build/winnow" update --run "$work/run" --store "sqlite:$work/events.db" --every 200ms --quiet &
updater=$!
echo "{\"user\":\"$user\",\"k\":10}" >"$work/recommend.json"
"$build/http_load" --connections 8 --rate "${RATE:-40}" --seconds 3600 --body "$work/recommend.json" "http://127.0.0.1:$port/v1/recommend" >/dev/null &
load=$!
sleep 4
python3 - "$port" "$user" "$item" "$times" <<'PY'
import json, sys, time, urllib.error, urllib.request
port, user, item, times = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
def post(path, body):
    while True:
        try: return once(path, body)
        except urllib.error.HTTPError as e:
            if e.code != 503: raise
            time.sleep(.005)
def once(path, body):
    return json.load(urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}{path}", json.dumps(body).encode(), {"Content-Type": "application/json"})))
score = lambda: post("/v1/score", {"user": user, "items": [item]})["scores"][0]
seconds = []
for n in range(times):
    before = score()
    post("/v1/feedback", {"events": [{"user": user, "item": item, "kind": "click"}] * 8})
    start = time.monotonic()
    while score() == before:
        if time.monotonic() - start > 30: sys.exit("no other score within 30 s")
        time.sleep(.01)
    seconds.append(time.monotonic() - start)
    time.sleep(.3)
seconds.sort()
q = lambda p: seconds[min(len(seconds) - 1, int(p * len(seconds)))]
print(f"{times} times: p50 {q(.5):.2f} s, p95 {q(.95):.2f} s, longest {seconds[-1]:.2f} s")
PY
