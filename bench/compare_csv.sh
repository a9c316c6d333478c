#!/usr/bin/env bash
# Reading a click log of 1 GB into typed columns: Winnow, pandas and pyarrow in turn, two threads each; the column sums of
# all must agree. Usage: compare_csv.sh BUILD_DIR [megabytes] [rounds]; PYTHON=python3 with pandas and pyarrow.
set -euo pipefail
build=$1 megabytes=${2:-1000} rounds=${3:-3} python=${PYTHON:-python3}
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$build/csv_bench" --generate "$work/clicks.csv" --megabytes "$megabytes"
for round in $(seq "$rounds"); do
  taskset -c 0,1 "$build/csv_bench" "$work/clicks.csv" --threads 2 --repeat 1 >"$work/winnow"
  head -1 "$work/winnow"
  for peer in pyarrow pandas; do
    taskset -c 0,1 "$python" "$here/peers/read_csv.py" "$work/clicks.csv" --threads 2 --repeat 1 --only $peer >"$work/$peer"
    head -1 "$work/$peer"
    diff <(grep ^sum "$work/winnow") <(grep ^sum "$work/$peer") || { echo "compare_csv: the column sums of $peer differ" >&2; exit 1; }
  done
done
