#!/usr/bin/env bash
# Builds vejr for NVIDIA GPUs, on a machine that needs neither CUDA nor a GPU: the compiler comes from NVIDIA's Python packages
# and lies in .tools/cuda. What for, and what the machine with the GPU needs: deploy/cuda.md.
#
#     deploy/cuda-build.sh                          for Hopper
#     CUDA_COMPUTE_CAP=80 deploy/cuda-build.sh      for Ampere and all that came after it
#     deploy/cuda-build.sh --features grib          arguments are cargo's
set -euo pipefail
cd "$(dirname "$0")/.."
# what a compiler of CUDA 13.0 makes is loaded by every driver from 580 on; a newer one's only by newer drivers
wanted="nvidia-cuda-nvcc==13.0.88 nvidia-nvvm==13.0.88 nvidia-cuda-crt==13.0.88 nvidia-cuda-cccl==13.0.85 nvidia-cuda-runtime==13.0.96"
folder="$PWD/.tools/cuda"

export PATH="$PWD/.tools/bin:$PATH"
deploy/build-tools.sh
command -v c++ >/dev/null || { echo "vejr needs a C++ compiler for its CUDA build: install Debian's build-essential" >&2; exit 1; }
if [ "$(cat "$folder/installed" 2>/dev/null)" != "$wanted" ]; then
    echo "installing NVIDIA's CUDA compiler into .tools/cuda (300 MB)"
    python3 -c 'import ensurepip' 2>/dev/null || { echo "Python's venv is needed: install Debian's python3-venv" >&2; exit 1; }
    rm -rf "$folder"
    python3 -m venv "$folder"
    # shellcheck disable=SC2086
    "$folder/bin/pip" install --quiet --no-deps $wanted
    echo "$wanted" > "$folder/installed"
fi
toolkit=$("$folder/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/nvidia/cu13

# candle-kernels links with cudart: the static one, which needs nothing where vejr runs
mkdir -p "$folder/link"
ln -sf "$toolkit/lib/libcudart_static.a" "$folder/link/libcudart.a"

export PATH="$toolkit/bin:$PATH" NVCC="$toolkit/bin/nvcc" CUDA_COMPUTE_CAP="${CUDA_COMPUTE_CAP:-90}"
export LIBRARY_PATH="$folder/link${LIBRARY_PATH:+:$LIBRARY_PATH}" RUSTC_WRAPPER="$PWD/deploy/cuda-rustc.sh"
target="${CARGO_TARGET_DIR:-target}/cuda"
cargo build --release --locked --features cuda --target-dir "$target" "$@"

program="$target/release/vejr"
if readelf --dynamic --wide "$program" | grep -E 'NEEDED.*\[lib(cu|nv)'; then
    echo "$program does not start without these" >&2
    exit 1
fi
"$program" --version
echo "built for compute capability $CUDA_COMPUTE_CAP: $program"
