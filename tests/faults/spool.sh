#!/bin/bash
# events.sh for the spool of a log in Redis: a writer is killed before each of its system calls, or the call made to fail,
# one after another, while Redis is away and events go to the spool, and while they are brought to Redis. A restart must
# find in Redis all that was acknowledged, nothing half, nothing twice, nothing that was refused, in its order. Needs
# strace and redis-server.
#   tests/faults/spool.sh <folder of event_writer> [step]     step: every step-th call only; default 1, all of them
set -u
command -v redis-server redis-cli >/dev/null || { echo "no redis-server: skipped"; exit 77; }
writer=$1/event_writer
step=${2:-1}
work=$(mktemp -d) || exit 1
server=
trap '[ -n "$server" ] && { kill -9 $server; wait $server; } 2>/dev/null; rm -rf "$work"' EXIT
batches=6 spooled=6
runs=0 fired=0 failed=0 killed=0 recovered=0 refused=0

for try in 1 2 3 4 5; do
  port=$((20000 + RANDOM % 30000))
  redis-server --port $port --bind 127.0.0.1 --dir "$work" --save '' --appendonly no >"$work/redis.log" 2>&1 &
  server=$!
  for wait in {1..100}; do
    redis-cli -p $port info server 2>/dev/null | grep -q "process_id:$server" && break 2
    kill -0 $server 2>/dev/null || break
    sleep .05
  done
done
kill -0 $server 2>/dev/null || { cat "$work/redis.log"; echo "redis-server does not start"; exit 1; }

complain() {
  echo "FAILED: $1 (mode=$mode call=$call fault=$fault when=$when rc=$rc acknowledged=$acknowledged)"
  tail -3 "$work/err"
  failed=$((failed + 1))
}

# The log of a run: keys and a spool of its own. Nobody listens at port 1.
log() { echo "redis://127.0.0.1:$1?prefix=run$runs&spool=$work/spool.db"; }

# One run with a fault at the n-th call; false where the run has no n-th.
run() {
  local more=() at=1
  runs=$((runs + 1))
  rm -f "$work"/spool.db*
  : >"$work/acknowledged"
  if [[ $mode = forward ]]; then
    cp "$work"/prepared.db "$work/spool.db"
    at=$port more=($spooled $([[ $fault = *+ ]] && echo 250 || echo 10000))
  fi
  {
    timeout 30 strace -f -o "$work/trace" -e trace="$call" -e inject="$call:${fault%+}:when=$when" \
      "$writer" "$mode" "$(log $at)" $batches "$work/acknowledged" "${more[@]}"
    rc=$?
  } 2>"$work/err"
  acknowledged=$(stat -c %s "$work/acknowledged" 2>/dev/null || echo 0)
  [[ $rc = 124 ]] && complain "hangs"
  grep -q '(INJECTED)\|killed by' "$work/trace" || return 1
  fired=$((fired + 1))
}

judge() {
  local before=0
  [[ $mode = forward ]] && before=$spooled
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
  "$writer" check "$(log $port)" $((before + acknowledged)) $most 2>"$work/err" || complain "after the restart"
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

# Closed in peace, the file alone is the spool.
"$writer" append "redis://127.0.0.1:1?spool=$work/prepared.db" $spooled "$work/acknowledged" ||
  { echo "the spool could not be prepared"; exit 1; }

for mode in append forward; do
  one=$step
  for call in openat pwrite64 fdatasync fsync ftruncate unlink fcntl; do
    for fault in signal=SIGKILL error=ENOSPC error=EIO error=ENOSPC+ error=EIO+; do
      case $call in fcntl | unlink | openat) [[ $fault = signal=SIGKILL ]] || continue ;; esac
      sweep
    done
  done
done
# A command that is not sent, an answer that is lost.
mode=forward
for call in sendto recvfrom; do
  for fault in signal=SIGKILL error=ECONNRESET error=ECONNRESET+; do sweep; done
done
mode=once
for call in pwrite64 fdatasync; do
  [[ $call = fdatasync ]] && one=1  # few calls, and the ones that matter
  for fault in error=ENOSPC error=EIO; do sweep; done
done
echo "spool: $runs runs, $fired faults fired, $killed kills, $recovered failures survived, $refused refusals, $failed failures"
[[ $killed -ge $((80 / step)) && $recovered -ge $((60 / step)) && $refused -ge $((40 / step)) ]] ||
  { echo "the faults did not fire: is strace able to inject here?"; exit 1; }
[[ $failed = 0 ]]
