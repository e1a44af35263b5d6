#!/usr/bin/env bash
# Installs what building needs beside Rust and a C compiler: cmake 3.26 or newer, for the bundled HDF5 and NetCDF.
# Debian 12's own is older; the Python package, in .tools/ here, is new enough everywhere.
set -euo pipefail
cd "$(dirname "$0")/.."

need() { # need COMMAND ADVICE
    command -v "$1" >/dev/null || { echo "vejr needs $1 to build: $2" >&2; exit 1; }
}
need cargo "install Rust from https://rustup.rs"
need cc "install a C compiler, for instance Debian's package build-essential"

cmake_is_new() {
    command -v cmake >/dev/null || return 1
    local found
    found=$(cmake --version | sed -n '1s/[^0-9]*\([0-9.]*\).*/\1/p')
    [ "$(printf '3.26\n%s\n' "$found" | sort -V | head -n 1)" = 3.26 ]
}
cmake_is_new && exit 0

if ! python3 -c 'import ensurepip' 2>/dev/null; then
    as_root=""
    [ "$(id -u)" -eq 0 ] || as_root="sudo -n"
    echo "installing python3-venv (Debian package), which fetches cmake"
    $as_root apt-get update -qq && $as_root apt-get install -y -qq --no-install-recommends python3-venv >/dev/null
fi
echo "installing cmake into .tools (Python package)"
python3 -m venv .tools && .tools/bin/pip install --quiet 'cmake>=3.26' && exit 0
echo "vejr needs cmake 3.26 or newer to build, and could not install it: install it and try again" >&2
exit 1
