#!/usr/bin/env bash
# An ensemble of the bundled model: 20 members for 45 days, scored as far as there is truth, and drawn as ensemble.png.
#
#   models/held-suarez-sfno/ensemble.sh [FOLDER FOR THE FORECAST]
#
# PYTHON needs numpy, xarray, zarr and matplotlib.
set -euo pipefail
cd "$(dirname "$0")/../.."
vejr=${VEJR:-target/release/vejr}
model=models/held-suarez-sfno
samples=data-samples/held-suarez
out=${1:-$(mktemp -d)}

"$vejr" forecast --model $model --init $samples-init.nc --reference-time 2001-01-01T00:00Z --lead-time 45d \
    --members 20 --seed 2001 --member-batch 20 --output "$out/ensemble.zarr"
"$vejr" score "$out/ensemble.zarr" $samples-truth-?.nc --model $model --json >"$out/scores.json"
"${PYTHON:-python3}" $model/ensemble.py "$out/ensemble.zarr" "$out/scores.json" $model/climatology.nc $model/ensemble.png
