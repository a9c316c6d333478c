#!/bin/bash
# events.sh for the spool of a log in Redis: a writer is killed before each of its system calls, or the call made to fail,
# one after another, while Redis is away and events go to the spool, and while they are brought to Redis. A restart must
# find in Redis all that was acknowledged, nothing half, nothing twice, nothing that was refused, in its order. Needs
# strace and redis-server.
#   tests/faults/spool.sh <folder of event_writer> [step]     step: every step-th call only; default 1, all of them
set -u
command -v redis-server redis-cli >/dev/null || { echo "no redis-server: skipped"; exit 77; }
. "$(dirname "$0")/inject.sh"
spooled=6
server=
trap '[ -n "$server" ] && { kill -9 $server; wait $server; } 2>/dev/null; rm -rf "$work"' EXIT

for try in 1 2 3 4 5; do
  port=$((20000 + RANDOM % 30000))
  redis-server --port $port --bind 127.0.0.1 --dir "$work" --save '' --appendonly no >"$work/redis.log" 2>&1 &
  server=$!
  while kill -0 $server 2>/dev/null; do
    redis-cli -p $port info server 2>/dev/null | grep -q "process_id:$server" && break 2
    sleep .05
  done
done
kill -0 $server 2>/dev/null || { cat "$work/redis.log"; echo "redis-server does not start"; exit 1; }

# Each run has keys and a spool of its own. Nobody listens at port 1.
prepare() {
  local more=() at=1 rest="?prefix=run$runs&spool=$work/spool.db"
  before=0
  rm -f "$work"/spool.db*
  if [[ $mode = forward ]]; then
    cp "$work"/prepared.db "$work/spool.db"
    before=$spooled at=$port more=($spooled $([[ $fault = *+ ]] && echo 250 || echo 60000))
  fi
  log="redis://127.0.0.1:$port$rest"
  given=("redis://127.0.0.1:$at$rest" $batches "$work/acknowledged" "${more[@]}")
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
sweep_refusals
report spool 80 60 40
