#!/usr/bin/env bash
# Installs what building needs beside Rust and a C compiler: cmake, for the bundled HDF5 and NetCDF.
set -euo pipefail
cd "$(dirname "$0")/.."

need() { # need COMMAND REASON
    command -v "$1" >/dev/null || { echo "vejr needs $1 to build: $2" >&2; exit 1; }
}
need cargo "install Rust from https://rustup.rs"
need cc "install a C compiler, for instance Debian's package build-essential"

command -v cmake >/dev/null && exit 0
as_root=""
if [ "$(id -u)" -ne 0 ]; then
    sudo -n true 2>/dev/null && as_root="sudo -n" || as_root="none"
fi
if [ "$as_root" != none ] && command -v apt-get >/dev/null; then
    echo "installing cmake (Debian package)"
    $as_root apt-get update -qq && $as_root apt-get install -y -qq cmake >/dev/null && exit 0
fi
if command -v python3 >/dev/null; then
    echo "installing cmake into .tools (Python package)"
    python3 -m venv .tools && .tools/bin/pip install --quiet cmake && exit 0
fi
echo "vejr needs cmake to build, and could not install it: install the package cmake and try again" >&2
exit 1
