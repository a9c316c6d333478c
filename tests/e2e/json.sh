#!/usr/bin/env bash
# Every command has --json, and then stdout is exactly one JSON document. Commands are found by walking --help, so a new
# one without an entry here fails. Usage: json.sh BUILD_DIR
set -euo pipefail
build=$1 root=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
failures=0
fail() { echo "FAILED: $*"; failures=$((failures + 1)); }
winnow() { "$build/winnow" "$@"; }
