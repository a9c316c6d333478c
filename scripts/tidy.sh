#!/usr/bin/env bash
# clang-format (check) and clang-tidy over the tree. Usage: scripts/tidy.sh [files..]; needs build/compile_commands.json.
set -euo pipefail
cd "$(dirname "$0")/.."
files=("$@")
if [[ ${#files[@]} -eq 0 ]]; then
  mapfile -t files < <(git ls-files '*.cpp' ':!tests' ':!bench' ':!core/cpu/isa' ':!core/cuda')
  if grep -q core/cuda/emulation build/compile_commands.json; then  # the CUDA toolkit's headers are there
    mapfile -t -O ${#files[@]} files < <(git ls-files 'core/cuda/*.cpp')
  fi
fi
git ls-files '*.cpp' '*.h' | xargs clang-format --dry-run -Werror
# the precompiled header of g++ is not clang's: drop it from the commands
mkdir -p build/tidy
sed -E 's/-include [^ ]*cmake_pch\.hxx//; s/-Winvalid-pch//; s/-fpch-preprocess//; s/-Wno-restrict//' build/compile_commands.json > build/tidy/compile_commands.json
printf '%s\0' "${files[@]}" | xargs -0 -P "$(nproc)" -n 4 clang-tidy --quiet -p build/tidy
