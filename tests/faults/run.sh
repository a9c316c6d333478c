#!/bin/sh
# Lets every system call of an atomic write fail, or the process die before it, one call after another, and checks what
# is left: the old file or the whole new one, no success without the new one, no temporary after an error, and a next
# write that succeeds. Needs strace. Usage: tests/faults/run.sh <folder of atomic_writer>
set -u
writer=$1/atomic_writer
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
bytes=700000
file=$work/a/b/file
runs=0 fired=0 failed=0
mkdir -p "$work/a/b"
head -c $bytes /dev/zero | tr '\0' o >"$work/old"
head -c $bytes /dev/zero | tr '\0' n >"$work/new"

complain() { echo "FAILED: $1 (call=$call fault=$fault when=$when rc=$rc)"; cat "$work/err"; failed=$((failed + 1)); }

for call in openat fstat newfstatat flock ftruncate write fsync rename close unlink mkdir; do
  for fault in signal=SIGKILL error=ENOSPC error=EIO error=EINTR error=EDQUOT error=EMFILE error=EROFS; do
    for persistent in '' +; do
      # A persistent EINTR is no error but an interrupted call repeated for ever.
      [ "$fault$persistent" = "error=EINTR+" ] && continue
      [ "$fault$persistent" = "signal=SIGKILL+" ] && continue
      n=0
      while :; do
        n=$((n + 1)) when=$n$persistent
        cp "$work/old" "$file"
        [ "$call" = mkdir ] && rm -rf "$work/a"
        timeout 300 strace -f -o "$work/trace" -e trace="$call" -e inject="$call:$fault:when=$when" \
          "$writer" "$file" n $bytes 2>"$work/err"
        rc=$?
        runs=$((runs + 1))
        [ $rc = 124 ] && complain "hangs"
        grep -q '(INJECTED)\|killed by' "$work/trace" || break  # beyond the last call
        # Faults of the program loader, before main, and of its exit.
        fired=$((fired + 1))
        if [ -e "$file" ]; then
          if cmp -s "$file" "$work/new"; then state=new; elif cmp -s "$file" "$work/old"; then state=old; else state=torn; fi
        else
          state=absent
        fi
        [ $state = torn ] && complain "torn file"
        [ $state = absent ] && [ "$call" != mkdir ] && complain "the old file is gone"
        [ $rc = 0 ] && [ $state != new ] && complain "success without the new file"
        [ $rc = 3 ] && [ $state != new ] && complain "said to be in place, is not"
        [ $rc = 1 ] && [ $state = new ] && complain "an error, yet the new file is in place"
        if [ $rc = 1 ] && [ "$call" != unlink ] && [ -e "$file.winnow-tmp" ]; then complain "the temporary file is left"; fi
        "$writer" "$file" n $bytes 2>"$work/err" && cmp -s "$file" "$work/new" && [ ! -e "$file.winnow-tmp" ] ||
          complain "the next write does not succeed"
      done
      [ $n -gt 200 ] && complain "more calls than an atomic write has"
    done
  done
done
echo "atomic write: $runs runs, $fired faults fired, $failed failures"
[ $fired -ge 100 ] || { echo "the faults did not fire: is strace able to inject here?"; exit 1; }
[ $failed = 0 ]
