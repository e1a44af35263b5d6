#!/usr/bin/env bash
# The test command: format, lints, documentation, tests. One profile for all of it, so that nothing is built twice.
set -euo pipefail
cd "$(dirname "$0")/.."
export VEJR_TEST_PYTHON="${VEJR_TEST_PYTHON:-$PWD/.venv/bin/python}"

# with GRIB, which is also how everything is built; what is built without it is looked at once
[ -f .tools/grib/env ] || deploy/grib-tools.sh
source .tools/grib/env
echo "== format";        cargo fmt --check
echo "== lints";         cargo clippy --release --locked --all-targets --quiet --features grib -- -D warnings
                         cargo clippy --release --locked --lib --quiet -- -D warnings
echo "== map page";      (cd src/serve/web; export PATH="$PWD/../../../.tools/bin:$PATH"
                         [ node_modules/.package-lock.json -nt package-lock.json ] || npm ci --no-progress --loglevel=error
                         npm run --silent check && npm test --silent)
echo "== documentation"; RUSTDOCFLAGS="-D warnings" cargo doc --release --locked --no-deps --quiet --features grib
echo "== tests"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
cargo test --release --locked --no-fail-fast --features grib -- --nocapture 2>&1 | tee "$log" || status=$?
sed -n 's/^test result: .* \([0-9]*\) passed; \([0-9]*\) failed; \([0-9]*\) ignored;.*/\1 \2 \3/p' "$log" |
    awk '{ p += $1; f += $2; i += $3 } END { printf "%d passed, %d failed, %d skipped\n", p, f, i }'
exit "$status"
