#!/usr/bin/env bash
# What a server does at 70 % of its capacity, at ten times of it, and right after, and while its run is loaded again
# 1,000 times: the run of bench/compare_serve.sh, 100 candidates a request.
# Usage: bench/serve_overload.sh WORK      WORK: the folder that compare_serve.sh made (run/, request.json)
# SECONDS_EACH, THREADS, RELOADS from the environment.
set -euo pipefail
work=$1 build=${BUILD:-build} threads=${THREADS:-2} seconds=${SECONDS_EACH:-8} port=${PORT:-8095} reloads=${RELOADS:-1000}
log=$(mktemp -d)
cp -r "$work/run" "$log/run"
trap 'kill "${server:-}" 2>/dev/null || true; rm -rf "$log"' EXIT
"$build/winnow" serve "$log/run" --port "$port" --threads "$threads" --reload 20 --quiet &
server=$!
for _ in $(seq 100); do curl -sf -o /dev/null "localhost:$port/v2/health/ready" && break; sleep .1; done
load() { "$build/http_load" --body "$work/request.json" --json "http://127.0.0.1:$port/v1/score" "$@"; }
resident() { awk '/VmRSS/ {print int($2 / 1024)}' "/proc/$server/status"; }
show() { # name file
  python3 - "$1" "$2" <<'PY'
import json, sys
j = json.load(open(sys.argv[2]))
parts = [f'{s}: {v["replies"]} p50 {v["latency_ms"]["p50"]:.2f} p99 {v["latency_ms"]["p99"]:.2f} max {v["latency_ms"]["max"]:.1f} ms' for s, v in j["statuses"].items()]
print(f'{sys.argv[1]}: rate {j["rate"]:.0f}/s | ' + " | ".join(parts) + f' | errors {j["errors"]} unanswered {j["unanswered"]}')
PY
}
load --warmup 1 --connections 8 --seconds "$seconds" >"$log/full"
show "closed loop, 8 connections" "$log/full"
capacity=$(python3 -c "import json; print(json.load(open('$log/full'))['statuses']['200']['replies'] / $seconds)")
load --warmup 1 --connections 60 --seconds "$seconds" --rate "$(awk -v c="$capacity" 'BEGIN {print .7 * c}')" >"$log/part"
show "70 %" "$log/part"
load --warmup 1 --connections 60 --seconds "$seconds" --rate "$(awk -v c="$capacity" 'BEGIN {print 10 * c}')" >"$log/over"
show "ten times" "$log/over"
load --connections 60 --seconds 2 --warmup 0 --rate "$(awk -v c="$capacity" 'BEGIN {print .7 * c}')" >"$log/after"
show "the two seconds after" "$log/after"
load --warmup 1 --connections 60 --seconds "$seconds" --rate "$(awk -v c="$capacity" 'BEGIN {print .3 * c}')" >"$log/idle"
show "30 %" "$log/idle"
before=$(resident)
cp "$log/run/model.safetensors" "$log/a" && cp "$log/a" "$log/b"  # renamed in turn: another file each time, no copying
( for ((i = 0; i < reloads; ++i)); do
    if ((i % 2)); then ln "$log/a" "$log/run/next"; else ln "$log/b" "$log/run/next"; fi
    mv "$log/run/next" "$log/run/model.safetensors"; sleep .1
  done ) &
reloader=$!
load --warmup 1 --connections 60 --seconds "$(awk -v n="$reloads" 'BEGIN {print int(n * .1)}')" --rate "$(awk -v c="$capacity" 'BEGIN {print .3 * c}')" >"$log/reload"
kill "$reloader" 2>/dev/null || true
show "30 % while files are replaced" "$log/reload"
loads=$(curl -s "localhost:$port/metrics" | sed -nE 's/^winnow_model_loads_total\{.*\} ([0-9]+)/\1/p')
echo "loaded $loads times; resident before $before MB, after $(resident) MB"
