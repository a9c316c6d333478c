#!/usr/bin/env bash
# Puts the MovieLens-100k files (RecBole atomic form) into a folder: scripts/get_movielens.sh [data_cache/ml-100k]
# They come inside the Python package recbole 1.2.1. GroupLens does not allow redistribution: do not commit them.
set -euo pipefail
target=${1:-data_cache/ml-100k}
files=(ml-100k.inter ml-100k.user ml-100k.item)

complete() {
  local f
  for f in "${files[@]}"; do [[ -s $1/$f ]] || return 1; done
}
fail() {
  echo "get_movielens: $*" >&2
  exit 1
}

if complete "$target"; then
  echo "MovieLens-100k is already in $target"
  exit 0
fi
python=$(command -v python3) || fail "python3 with pip is needed to fetch the package"
"$python" -m pip --version >/dev/null 2>&1 || fail "pip is needed to fetch the package: apt install python3-pip"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if ! "$python" -m pip download --quiet --disable-pip-version-check --retries 1 --timeout 20 --no-deps \
  --dest "$work" recbole==1.2.1 2>"$work/log"; then
  tail -n 3 "$work/log" >&2
  fail "recbole==1.2.1 could not be downloaded: no network, or no access to a Python package index." \
    "Put ${files[*]} into $target by hand, or use the synthetic store: winnow data generate --out data_cache/synthetic"
fi
"$python" -m zipfile -e "$work"/recbole-1.2.1-*.whl "$work/wheel"
source="$work/wheel/recbole/dataset_example/ml-100k"
complete "$source" || fail "the package does not hold the expected files"
mkdir -p "$target"
for f in "${files[@]}"; do
  cp "$source/$f" "$target/.$f.part"
  mv "$target/.$f.part" "$target/$f"
done
echo "MovieLens-100k is in $target"
