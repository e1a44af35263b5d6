#!/usr/bin/env bash
# Scores the bundled model on its test year, which it has never seen:
#   1. 24 forecasts started every 12 hours, every variable at every lead time from 6 h to 10 d;
#   2. 24 forecasts started every 15 days, spread over the year, some variables at days 1, 3, 5 and 10;
#   3. one forecast of 60 days, which must stay within the plausible range of every channel.
#
#   models/held-suarez-sfno/skill.sh [FOLDER FOR THE FORECASTS]
set -euo pipefail
cd "$(dirname "$0")/../.."
vejr=${VEJR:-target/release/vejr}
model=models/held-suarez-sfno
samples=data-samples/held-suarez
out=${1:-$(mktemp -d)}

forecast() { # forecast NAME TIME FILE...
    echo "forecast from $2" >&2
    "$vejr" forecast --model $model --reference-time "$2" --lead-time 10d --output "$out/$1/$2.zarr" --json --init "${@:3}" >/dev/null
}
for hours in $(seq 12 12 288); do
    forecast dense "$(date -u -d "2001-01-01 00:00 UTC +$hours hours" +%Y-%m-%dT%H%MZ)" $samples-truth-?.nc
done
for days in $(seq 0 15 345); do
    forecast spread "$(date -u -d "2001-01-01 00:00 UTC +$days days" +%Y-%m-%dT%H%MZ)" $samples-test-inits-?.nc
done
echo "== 24 forecasts started every 12 hours"
"$vejr" score "$out/dense" $samples-truth-?.nc --model $model
echo
echo "== 24 forecasts spread over the test year"
"$vejr" score "$out/spread" $samples-test-truth-?.nc --model $model
echo
"$vejr" forecast --model $model --init $samples-init.nc --lead-time 60d --output "$out/60d.zarr" --json >/dev/null
echo "== the forecast of 60 days stayed within the plausible range of every channel"
