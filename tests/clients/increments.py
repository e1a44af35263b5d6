"""Compares a forecast with a reference's: `python increments.py FORECAST INIT EXPECTED`.

Prints, for each variable and each step, the L2 error relative to what the forecast has changed since the analysis; of a
variable that no analysis holds, relative to itself.
"""

import sys

import numpy as np
import xarray

forecast = xarray.open_zarr(sys.argv[1]).isel(reference_time=0).sortby("latitude")
initial, expected = (xarray.open_dataset(path) for path in sys.argv[2:])
assert set(forecast.data_vars) == set(expected.data_vars), (set(forecast.data_vars), set(expected.data_vars))
forecast = forecast.assign_coords(time=("lead_time", forecast.valid_time.values)).swap_dims(lead_time="time")
for name, theirs in expected.items():
    ours = forecast[name].sel(time=theirs.time)
    assert ours.attrs["units"] == theirs.attrs["units"] and ours.attrs["standard_name"] == theirs.attrs["standard_name"], name
    if "level" in theirs.dims:
        ours = ours.sel(pressure=theirs.level.values.astype(float)).transpose("time", "pressure", ...)
    start = initial[name].isel(time=-1).values.astype(float) if name in initial else 0.0
    if name not in initial:
        assert forecast[name].isel(time=0).isnull().all(), f"{name} of an analysis that has none"
    ours, theirs = ours.values.astype(float), theirs.values.astype(float)
    for step, (a, b) in enumerate(zip(ours, theirs, strict=True), 1):
        print(name, step, f"{np.linalg.norm(a - b) / np.linalg.norm(b - start):.2e}")
