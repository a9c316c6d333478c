# Sourced by events.sh and spool.sh with their arguments: an event writer is killed before each of its system calls, or
# the call made to fail, one after another. The script defines prepare(), called before each run, which sets
#   given   the writer's arguments behind its mode
#   log     where a restart looks for the events
#   before  how many were there already
writer=$1/event_writer
step=${2:-1}
work=$(mktemp -d) || exit 1
batches=6
runs=0 fired=0 failed=0 killed=0 recovered=0 refused=0

complain() {
  echo "FAILED: $1 (mode=$mode call=$call fault=$fault when=$when rc=$rc acknowledged=$acknowledged)"
  tail -3 "$work/err"
  failed=$((failed + 1))
}

# One run with a fault at the n-th call; false where the run has no n-th.
run() {
  runs=$((runs + 1))
  : >"$work/acknowledged"
  prepare
  {
    timeout 300 strace -f -o "$work/trace" -e trace="$call" -e inject="$call:${fault%+}:when=$when" \
      "$writer" "$mode" "${given[@]}"
    rc=$?
  } 2>"$work/err"
  acknowledged=$(stat -c %s "$work/acknowledged" 2>/dev/null || echo 0)
  [[ $rc = 124 ]] && complain "hangs"
  grep -q '(INJECTED)\|killed by' "$work/trace" || return 1
  fired=$((fired + 1))
}

judge() {
  local most=$((before + acknowledged + 1))  # the one under way
  case $mode,$fault,$rc in
    *,signal*,137) killed=$((killed + 1)) ;;
    *,signal*) complain "was killed, and yet" ;;
    *,127) [[ $acknowledged = 0 ]] || complain "the loader failed late"; return ;;  # before main
    append,error*,0 | forward,error*,0)
      [[ $acknowledged = "$batches" ]] && recovered=$((recovered + 1)) || complain "success without all batches" ;;
    append,error*+,3 | forward,error*+,3) ;;  # the disk stayed full, Redis away
    once,error*,0) [[ $acknowledged = "$batches" ]] || complain "success without all batches" ;;
    once,error*,3) refused=$((refused + 1)) most=$acknowledged ;;
    *) complain "one failing call ended the writer" ;;
  esac
  "$writer" check "$log" $((before + acknowledged)) $most 2>"$work/err" || complain "after the restart"
}

sweep() {
  local n=$((1 - one)) persistent=
  [[ $fault = *+ ]] && persistent=+
  while :; do
    n=$((n + one)) when=$n$persistent
    run || break
    judge
    [[ $n -gt 2000 ]] && complain "more calls than a run has" && break
  done
}

# Of one batch: what is refused was not kept.
sweep_refusals() {
  mode=once
  for call in pwrite64 fdatasync; do
    [[ $call = fdatasync ]] && one=1  # few calls, and the ones that matter
    for fault in error=ENOSPC error=EIO; do sweep; done
  done
}

# report NAME KILLED RECOVERED REFUSED: how many of each a whole sweep has at least
report() {
  echo "$1: $runs runs, $fired faults fired, $killed kills, $recovered failures survived, $refused refusals, $failed failures"
  [[ $killed -ge $(($2 / step)) && $recovered -ge $(($3 / step)) && $refused -ge $(($4 / step)) ]] ||
    { echo "the faults did not fire: is strace able to inject here?"; exit 1; }
  [[ $failed = 0 ]]
}
