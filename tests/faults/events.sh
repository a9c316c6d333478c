#!/bin/bash
# Kills an event writer before each of its system calls, or makes the call fail, one after another, and checks what a
# restart finds: all that was acknowledged, nothing half, nothing twice, nothing that was refused, no hole. Needs strace.
#   tests/faults/events.sh <folder of event_writer> [step]     step: every step-th call only; default 1, all of them
set -u
writer=$1/event_writer
step=${2:-1}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
batches=6
runs=0 fired=0 failed=0 killed=0 recovered=0 refused=0

complain() {
  echo "FAILED: $1 (mode=$mode call=$call fault=$fault when=$when rc=$rc acknowledged=$acknowledged)"
  tail -3 "$work/err"
  failed=$((failed + 1))
}

# One run with a fault at the n-th call; false where the run has no n-th.
run() {
  rm -f "$work"/events.db*
  : >"$work/acknowledged"
  {
    timeout 30 strace -f -o "$work/trace" -e trace="$call" -e inject="$call:${fault%+}:when=$when" \
      "$writer" "$mode" "sqlite:$work/events.db" $batches "$work/acknowledged"
    rc=$?
  } 2>"$work/err"
  runs=$((runs + 1))
  acknowledged=$(stat -c %s "$work/acknowledged" 2>/dev/null || echo 0)
  [[ $rc = 124 ]] && complain "hangs"
  grep -q '(INJECTED)\|killed by' "$work/trace" || return 1
  fired=$((fired + 1))
}

judge() {
  local most=$((acknowledged + 1))  # the one under way
  case $mode,$fault,$rc in
    *,signal*,137) killed=$((killed + 1)) ;;
    *,signal*) complain "was killed, and yet" ;;
    *,127) [[ $acknowledged = 0 ]] || complain "the loader failed late"; return ;;  # before main
    append,error*+,0 | append,error*,0)
      [[ $acknowledged = "$batches" ]] && recovered=$((recovered + 1)) || complain "success without all batches" ;;
    append,error*+,3) ;;  # the disk stayed full
    once,error*,0) [[ $acknowledged = "$batches" ]] || complain "success without all batches" ;;
    once,error*,3) refused=$((refused + 1)) most=$acknowledged ;;
    *) complain "one failing call ended the writer" ;;
  esac
  "$writer" check "sqlite:$work/events.db" "$acknowledged" $most 2>"$work/err" || complain "after the restart"
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

mode=append one=$step
for call in openat pwrite64 write fdatasync fsync ftruncate unlink fcntl mmap; do
  for fault in signal=SIGKILL error=ENOSPC error=EIO error=ENOSPC+ error=EIO+; do
    # locks and maps that fail are another story than a full disk; to be killed there is the same one
    case $call in fcntl | mmap | unlink | openat) [[ $fault = signal=SIGKILL ]] || continue ;; esac
    sweep
  done
done
mode=once
for call in pwrite64 fdatasync; do
  [[ $call = fdatasync ]] && one=1  # few calls, and the ones that matter
  for fault in error=ENOSPC error=EIO; do sweep; done
done
echo "event log: $runs runs, $fired faults fired, $killed kills, $recovered failures survived, $refused refusals, $failed failures"
[[ $killed -ge $((120 / step)) && $recovered -ge $((60 / step)) && $refused -ge $((60 / step)) ]] ||
  { echo "the faults did not fire: is strace able to inject here?"; exit 1; }
[[ $failed = 0 ]]
