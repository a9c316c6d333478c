#!/bin/sh
# Leaves out every barrier and wait and widens every bound of the kernels in turn, and expects a report: see mutation.py.
#   tests/emulation/mutation.sh BUILD_DIR [--kinds LIST] [--sample N] [--seed S] [--only FILE] [--jobs N]
set -e
[ $# -ge 1 ] || { sed -n '2,3p' "$0"; exit 2; }
cmake --build "$1" --target optest_cuda_race optest_cuda_asan program_cuda_plain
exec python3 "$(dirname "$0")/mutation.py" "$@"
