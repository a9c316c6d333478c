#!/bin/sh
# Breaks every expression of every gradient in turn and expects optest to notice: see mutation.py.
#   tests/optest/mutation.sh BUILD_DIR [--only FILE] [--every N] [--jobs N]
set -e
[ $# -ge 1 ] || { sed -n '2,3p' "$0"; exit 2; }
cmake --build "$1" --target optest
exec python3 "$(dirname "$0")/mutation.py" "$@"
