#!/usr/bin/env bash
# Installs the Debian 12 packages that Winnow builds with. Needs root or sudo; does nothing when all are there.
# Usage: scripts/install_packages.sh [--tests]
set -euo pipefail
packages=(g++ cmake ninja-build ccache libdnnl-dev libyaml-cpp-dev nlohmann-json3-dev libcli11-dev libfmt-dev libicu-dev
  libsentencepiece-dev libpng-dev libjpeg-dev zlib1g-dev libzstd-dev libsqlite3-dev libpq-dev libboost-dev libssl-dev
  libhiredis-dev libsimdjson-dev librdkafka-dev zstd unzip python3-pip)
if [[ "${1:-}" == --tests ]]; then
  packages+=(libgtest-dev libbenchmark-dev clang-14 libclang-rt-14-dev libomp-14-dev strace clang-format clang-tidy
    postgresql sqlite3 curl redis-server chromium)
fi
missing=()
for p in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'install ok installed' || missing+=("$p")
done
if [[ ${#missing[@]} -eq 0 ]]; then exit 0; fi
as_root=()
if [[ $(id -u) -ne 0 ]]; then
  command -v sudo >/dev/null || { echo "install_packages: needs root or sudo to install: ${missing[*]}" >&2; exit 1; }
  as_root=(sudo)
fi
echo "installing: ${missing[*]}"
"${as_root[@]}" apt-get update -qq
DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
