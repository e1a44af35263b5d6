"""Compares a forecast with a reference's fields: `python compare.py FORECAST EXPECTED_FOLDER`.

`EXPECTED_FOLDER` has a file for each variable, (time, [pressure,] y, x), in physical units. Prints, for each variable, the
largest relative L2 error of its levels over all steps.
"""

import pathlib
import sys

import numpy as np
import xarray

forecast = xarray.open_zarr(sys.argv[1]).isel(reference_time=0)
files = sorted(pathlib.Path(sys.argv[2]).glob("*.nc"))
assert files
for file in files:
    theirs = xarray.open_dataset(file)[file.stem]
    ours = forecast[file.stem].assign_coords(time=forecast.valid_time.isel(reference_time=0, missing_dims="ignore"))
    ours = ours.swap_dims(lead_time="time").rename(yc="y", xc="x").sel(time=theirs.time, y=theirs.y, x=theirs.x)
    if "pressure" in theirs.dims:
        ours = ours.sel(pressure=theirs.pressure)
    assert set(ours.dims) == set(theirs.dims), (ours.dims, theirs.dims)
    ours, theirs = ours.transpose(*theirs.dims).values.astype(float), theirs.values.astype(float)
    axes = (0, -2, -1)
    error = np.sqrt(((ours - theirs) ** 2).sum(axes) / (theirs**2).sum(axes)).max()
    print(file.stem, f"{error:.2e}")
