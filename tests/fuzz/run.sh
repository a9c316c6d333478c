#!/bin/sh
# Builds the fuzz targets, replays their corpora, then fuzzes each for a time. Exit code 1 on any finding.
#   tests/fuzz/run.sh [seconds per target, default 30] [target...]
#   JOBS=<targets side by side, default one a core>
#   SEED=<of the search, 0: of the clock, the default>
#   BUILD=<folder> to build elsewhere than build-fuzz; inputs found on the way are kept in <folder>/found/<target>.
# A finding's input is written to <folder>/findings/<target>-*: add it to corpus/<target> with the fix.
set -u
seconds=${1:-30}
[ $# -gt 0 ] && shift
here=$(cd "$(dirname "$0")" && pwd)
build=${BUILD:-$here/../../build-fuzz}
jobs=${JOBS:-$(nproc)}

mkdir -p "$build" || exit 1
cmake -S "$here" -B "$build" -DCMAKE_CXX_COMPILER="${CXX:-clang++-14}" -DCMAKE_BUILD_TYPE=None >"$build/cmake.log" 2>&1 &&
  cmake --build "$build" --parallel "$jobs" >"$build/build.log" 2>&1 || { tail -n 30 "$build/cmake.log" "$build/build.log"; exit 1; }

[ $# -gt 0 ] || set -- $(cd "$build" && for f in fuzz_*; do [ -x "$f" ] && [ -f "$f" ] && echo "${f#fuzz_}"; done)
[ $# -gt 0 ] || { echo "no fuzz target was built"; exit 1; }

# The quarantine of freed memory must fit the limit of 256 MB; short stacks of allocations make runs faster.
# allocator_may_return_null=0 and -malloc_limit_mb: an allocation from a declared size is a finding, not a null.
export ASAN_OPTIONS=allocator_may_return_null=0:detect_stack_use_after_return=1:quarantine_size_mb=16:malloc_context_size=8
export UBSAN_OPTIONS=print_stacktrace=1
export build here seconds
export seed=${SEED:-0}

one='
  name=$1
  found=$build/found/$name
  mkdir -p "$found" "$build/findings"
  limits="-timeout=20 -seed=$seed -rss_limit_mb=256 -malloc_limit_mb=64 -print_final_stats=1 -artifact_prefix=$build/findings/$name-"
  seeds=$(ls "$here/corpus/$name" | wc -l)
  if ! "$build/fuzz_$name" $limits -runs=0 "$here/corpus/$name" "$found" >"$build/$name.replay.log" 2>&1; then
    tail -n 40 "$build/$name.replay.log"; echo "$name: FAILED on the corpus"; exit 1
  fi
  if [ "$seconds" -eq 0 ]; then echo "$name: $seeds seeds replayed, no finding"; exit 0; fi
  if ! "$build/fuzz_$name" $limits -max_len=8192 -len_control=50 -max_total_time="$seconds" \
      -dict="$here/$name.dict" "$found" "$here/corpus/$name" >"$build/$name.log" 2>&1; then
    tail -n 60 "$build/$name.log"; echo "$name: FAILED"; exit 1
  fi
  runs=$(sed -n "s/^stat::number_of_executed_units: *//p" "$build/$name.log")
  rss=$(sed -n "s/^stat::peak_rss_mb: *//p" "$build/$name.log")
  edges=$(sed -n "s/.* cov: \([0-9]*\) .*/\1/p" "$build/$name.log" | tail -1)
  echo "$name: $seeds seeds, $runs runs in $seconds s, $edges edges, peak $rss MB, no finding"
'
printf '%s\n' "$@" | xargs -P "$jobs" -n 1 sh -uc "$one" fuzz || exit 1
