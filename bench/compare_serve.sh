#!/usr/bin/env bash
# DeepFM over 100 candidates a request, over HTTP, beside a FastAPI + PyTorch service of the same shapes: 13 ids and 13
# numbers of the user, 13 ids of each candidate, 1e6 rows of 16, layers 1024, 512, 256. In turn, medians of the pairs.
# Usage: bench/compare_serve.sh PYTHON PEERS [PAIRS] [WORK]
#   PYTHON  an interpreter with torch, fastapi, uvicorn and orjson, outside the repository
#   PEERS   folder with serve.py and serve_app.py
#   WORK    folder for the run that is served, kept for the next time (default: a temporary one)
# CONCURRENCY, SECONDS_EACH, THREADS, SERVE_FLAGS (such as "--int8") from the environment.
set -euo pipefail
python=$1 peers=$2 pairs=${3:-3} work=${4:-$(mktemp -d)}
build=${BUILD:-build} threads=${THREADS:-2} seconds=${SECONDS_EACH:-8} concurrency=${CONCURRENCY:-4} port=${PORT:-8091}
mkdir -p "$work"
names() { for i in $(seq 0 12); do printf '%s%d%s' "$1" "$i" "$2"; done; }
if [ ! -f "$work/run/model.safetensors" ]; then
  awk -v seed=1 'BEGIN {
    srand(seed); printf "user,item,time,label"
    for (i = 0; i < 13; ++i) printf ",u%d,x%d,c%d", i, i, i
    print ""
    for (n = 0; n < 20000; ++n) {
      printf "%d,%d,%d,%d", rand() * 500, rand() * 2000, n, rand() < .3
      for (i = 0; i < 13; ++i) printf ",%d,%.4f,%d", rand() * 1e6, rand(), rand() * 1e6
      print ""
    }
  }' >"$work/log.csv"
  {
    printf 'data:\n  path: %s\n  interactions: {file: log.csv}\n  user_id: user\n  item_id: item\n' "$work"
    printf '  timestamp: {column: time, format: unix}\n  label: {column: label}\n  leak_check: off\n  features:\n'
    for i in $(seq 0 12); do
      printf '    - {name: u%d, source: user, hash_bucket_size: 38460}\n' "$i"
      printf '    - {name: x%d, source: user, type: numeric}\n' "$i"
      printf '    - {name: c%d, source: item, hash_bucket_size: 38460}\n' "$i"
    done
    printf 'model: {name: DeepFM, embedding_dim: 16, hidden_units: [1024, 512, 256]}\ntrain: {epochs: 1, batch_size: 1024}\n'
  } >"$work/config.yaml"
  "$build/winnow" train ctr --config "$work/config.yaml" --out "$work/run" --quiet >/dev/null
fi
awk 'BEGIN {
  srand(2); printf "{\"user_features\":{"
  for (i = 0; i < 13; ++i) printf "%s\"u%d\":%d,\"x%d\":%.6f", i ? "," : "", i, rand() * 1e6, i, rand()
  printf "},\"candidates\":{\"columns\":["
  for (i = 0; i < 13; ++i) printf "%s\"c%d\"", i ? "," : "", i
  printf "],\"rows\":["
  for (r = 0; r < 100; ++r) { printf "%s[", r ? "," : ""; for (i = 0; i < 13; ++i) printf "%s%d", i ? "," : "", rand() * 1e6; printf "]" }
  print "]}}"
}' >"$work/request.json"

median() { sort -g | awk '{x[NR] = $1} END {print x[int((NR + 1) / 2)]}'; }
log=$(mktemp -d)
trap 'kill "${server:-}" 2>/dev/null || true; rm -rf "$log"' EXIT
for ((i = 0; i < pairs; ++i)); do
  # shellcheck disable=SC2086
  "$build/winnow" serve "$work/run" --port "$port" --threads "$threads" --max-wait 1000 --quiet ${SERVE_FLAGS:-} &
  server=$!
  for _ in $(seq 100); do curl -sf -o /dev/null "localhost:$port/v2/health/ready" && break; sleep .1; done
  "$build/http_load" --connections "$concurrency" --seconds "$seconds" --warmup 2 --body "$work/request.json" --json \
    "http://127.0.0.1:$port/v1/score" >"$log/ours.json"
  kill "$server"; wait "$server" 2>/dev/null || true
  "$python" "$peers/serve.py" --conc "$concurrency" --n 2000 --port $((port + 1)) >"$log/peer" 2>&1
  python3 - "$log" <<'PY'
import json, re, sys
log = sys.argv[1]
ours = json.load(open(log + "/ours.json"))
line = [l for l in open(log + "/peer") if "req/s" in l or "p50" in l]
text = " ".join(line)
rate = float(re.search(r"\]\s+([\d.]+)", text)[1])
p50, p99 = re.search(r"p50 (\d+) ms p99 (\d+)", text).groups()
q = ours["latency_ms"]
print(f'ours {ours["requests_per_second"]:.0f} req/s p50 {q["p50"]:.1f} p99 {q["p99"]:.1f} ms | peer {rate:.0f} p50 {p50} p99 {p99} | ratio {ours["requests_per_second"] / rate:.2f}')
open(log + "/ratio", "a").write(f'{ours["requests_per_second"] / rate}\n')
PY
done
echo "median ratio $(median <"$log/ratio")"
