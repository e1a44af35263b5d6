#!/usr/bin/env bash
# Fuzzes what reads files that others wrote: fuzz/run.sh [TARGET…], each RUNS times (200000). README.md here says more.
set -euo pipefail
cd "$(dirname "$0")/.."
runs="${RUNS:-200000}"
targets=("$@")
[ $# -gt 0 ] || targets=(cf_text checkpoint package zarr netcdf grib npz artifact)
python="${VEJR_TEST_PYTHON:-.venv/bin/python}"

# of the same crates as the service
cp Cargo.lock fuzz/Cargo.lock
source .tools/grib/env
rm -rf fuzz/seeds
"$python" -W ignore fuzz/seeds.py fuzz/seeds ${VEJR_REAL_DATA:+"$VEJR_REAL_DATA"}
RUSTC_WRAPPER="$PWD/fuzz/rustc.sh" cargo build --release --features grib --manifest-path fuzz/Cargo.toml --target-dir target

# files go to memory, and are gone afterwards
scratch=$(mktemp -d -p "$([ -w /dev/shm ] && echo /dev/shm || echo /tmp)" vejr-fuzz-XXXXXX)
trap 'rm -rf "$scratch"' EXIT
export TMPDIR="$scratch"
LD_LIBRARY_PATH=$(tr ';' '\n' <<<"$CMAKE_PREFIX_PATH" | sed 's|$|/lib64|' | paste -sd:)
export LD_LIBRARY_PATH
# what a damaged header asks for is refused, as a process that reads for another has it; C libraries keep what they failed to free
ASAN_OPTIONS=allocator_may_return_null=1:max_allocation_size_mb=2048:detect_leaks=0:detect_odr_violation=0
# where memory was allocated costs more than what is looked for
export ASAN_OPTIONS=$ASAN_OPTIONS:malloc_context_size=0:detect_stack_use_after_return=0
# files this small are not worth a second thread
export RAYON_NUM_THREADS=1

status=0
for target in "${targets[@]}"; do
    corpus=fuzz/corpus/$target artifacts=fuzz/artifacts/$target log=$scratch/$target.log
    mkdir -p "$corpus" "$artifacts"
    options=(-runs="$runs" -timeout=25 -rss_limit_mb=4096 -print_final_stats=1 -detect_leaks=0 -artifact_prefix="$artifacts/")
    [ ! -f "fuzz/seeds/$target.dict" ] || options+=(-dict="fuzz/seeds/$target.dict")
    # ecCodes looks through thousands of names for each message: a few are enough
    [ "$target" != grib ] || options+=(-max_len=1500)
    # freed memory is kept where C libraries see the input: Rust alone does not use it again
    case $target in
    netcdf | grib | zarr) kept=quarantine_size_mb=16 ;;
    *) kept=quarantine_size_mb=0:thread_local_quarantine_size_kb=0 ;;
    esac
    echo "== $target"
    if ASAN_OPTIONS=$ASAN_OPTIONS:$kept "target/release/$target" "$corpus" "fuzz/seeds/$target" "${options[@]}" 2>"$log"; then
        awk '/^stat::number_of_executed_units/ { n = $2 } /^stat::average_exec_per_sec/ { s = $2 } /^stat::peak_rss_mb/ { m = $2 }
            END { printf "%d executions, %d a second, %d MB, no crash\n", n, s, m }' "$log"
    else
        status=1
        tail -60 "$log"
    fi
done
exit "$status"
