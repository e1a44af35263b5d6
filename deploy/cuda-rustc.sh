#!/usr/bin/env bash
# Called by cargo in place of rustc, as deploy/cuda-build.sh asks: rustc ARGUMENTS…
#
# candle-core has its CUDA bindings, cudarc, linked with NVIDIA's libraries, and such a program does not start where there is
# no driver. Here cudarc is compiled the other way that it has: it looks for them when they are needed. Nothing else changes.
set -euo pipefail
if [ "${CARGO_PKG_NAME:-}" = cudarc ]; then
    changed=0
    for argument in "$@"; do
        if [ "$argument" = 'feature="dynamic-linking"' ]; then
            argument='feature="dynamic-loading"' changed=$((changed + 1))
        fi
        set -- "${@:2}" "$argument"
    done
    if [ "$changed" -ne 1 ]; then
        echo "cudarc ${CARGO_PKG_VERSION:-} is not compiled as expected: its feature dynamic-linking is named $changed times" >&2
        exit 1
    fi
fi
exec "$@"
