#!/bin/bash
# Kills an event writer before each of its system calls, or makes the call fail, one after another, and checks what a
# restart finds: all that was acknowledged, nothing half, nothing twice, nothing that was refused, no hole. Needs strace.
#   tests/faults/events.sh <folder of event_writer> [step]     step: every step-th call only; default 1, all of them
set -u
. "$(dirname "$0")/inject.sh"
trap 'rm -rf "$work"' EXIT
log=sqlite:$work/events.db before=0 given=("$log" $batches "$work/acknowledged")
prepare() { rm -f "$work"/events.db*; }

mode=append one=$step
for call in openat pwrite64 write fdatasync fsync ftruncate unlink fcntl mmap; do
  for fault in signal=SIGKILL error=ENOSPC error=EIO error=ENOSPC+ error=EIO+; do
    # locks and maps that fail are another story than a full disk; to be killed there is the same one
    case $call in fcntl | mmap | unlink | openat) [[ $fault = signal=SIGKILL ]] || continue ;; esac
    sweep
  done
done
sweep_refusals
report "event log" 120 60 60
