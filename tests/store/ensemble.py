"""xarray opens an ensemble with no options: the dimension of the members, its attributes, values. Run by the test command."""

import sys

import numpy as np
import xarray as xr

for place in (sys.argv[1], sys.argv[1] + "/series"):
    data = xr.open_zarr(place)
    assert data.t.dims == ("reference_time", "lead_time", "member", "pressure", "latitude", "longitude"), data.t.dims
    assert data.t2m.dims == ("reference_time", "lead_time", "member", "latitude", "longitude")
    assert data.member.values.tolist() == [0, 1, 2] and data.member.attrs["standard_name"] == "realization"
    rows, columns = np.indices((5, 8))
    for member in range(3):
        for step in range(5):
            phase = 0.7 * member + 6 + 0.11 * step + 0.05 * rows + 0.013 * columns
            expected = 150.0 + 200.0 * (0.5 + 0.45 * np.sin(phase))
            found = data.t2m.sel(member=member).isel(reference_time=0, lead_time=step).values
            assert np.abs(found - expected).max() < 1e-4, (member, step)
