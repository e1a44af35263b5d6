#!/usr/bin/env bash
# ECMWF's ecCodes for the feature `grib`, into .tools/grib: the libraries as ECMWF packs them for Python, and libclang, which
# makes the bindings. Where a distribution has ecCodes 2.34 or newer with eckit, its packages do as well.
#
#     deploy/grib-tools.sh && source .tools/grib/env && cargo build --release --features grib
set -euo pipefail
cd "$(dirname "$0")/.."
ecCodes=2.50.0.33 libclang=18.1.1
folder="$PWD/.tools/grib"
wanted="eccodeslib==$ecCodes libclang==$libclang"
if [ "$(cat "$folder/installed" 2>/dev/null)" != "$wanted" ]; then
    echo "installing ecCodes $ecCodes into .tools/grib"
    python3 -c 'import ensurepip' 2>/dev/null || { echo "Python's venv is needed: install Debian's python3-venv" >&2; exit 1; }
    rm -rf "$folder"
    python3 -m venv "$folder"
    # shellcheck disable=SC2086
    "$folder/bin/pip" install --quiet $wanted
    echo "$wanted" > "$folder/installed"
fi
packages=$("$folder/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
cat > "$folder/env" <<EOF
export CMAKE_PREFIX_PATH="$packages/eccodeslib;$packages/eckitlib"
export eccodes_DIR="$packages/eccodeslib/lib64/cmake/eccodes" eckit_DIR="$packages/eckitlib/lib64/cmake/eckit"
export LIBCLANG_PATH="$packages/clang/native"
# libclang comes without the compiler's own headers
export BINDGEN_EXTRA_CLANG_ARGS="-I$(cc -print-file-name=include)"
EOF
