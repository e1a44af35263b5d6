#!/usr/bin/env bash
# For cargo in place of rustc: instruments our own crates, and leaves what is below them as the service has it, so that a
# build takes minutes. The address sanitizer's allocator is that of the whole program, C libraries included.
set -euo pipefail
ours=""
previous=""
for argument in "$@"; do
    # a target may be called as a crate is
    case "$previous $argument" in
    "--crate-name vejr" | "--crate-name vejr_fuzz" | *" fuzz_targets/"*.rs) ours=yes ;;
    esac
    previous=$argument
done
[ -n "$ours" ] || exec "$@"
export RUSTC_BOOTSTRAP=1
exec "$@" --cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Cdebug-assertions -Coverflow-checks -Zsanitizer=address
