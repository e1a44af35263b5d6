"""xarray opens a forecast with no options, decoded: times, coordinates, attributes, values. Run by the test command."""

import math
import sys
import warnings

import numpy as np
import xarray as xr

warnings.simplefilter("error", FutureWarning)
path, encoding = sys.argv[1:]
ranges = {"t": (100.0, 360.0), "u": (-250.0, 250.0), "z": (-20_000.0, 1_000_000.0), "t2m": (150.0, 350.0)}
precision = {"t": 0.01, "u": 0.01, "z": 1.0, "t2m": 0.01}
outputs = {"t": 0, "u": 1, "z": 2, "t2m": 6}

for place in (path, path + "/series"):
    data = xr.open_zarr(place)
    assert dict(data.sizes) == {
        "reference_time": 1, "lead_time": 5, "pressure": 2, "pressure_2": 1, "height": 1, "model_level": 1,
        "latitude": 121, "longitude": 250,
    }, data.sizes
    assert data.reference_time.values.tolist() == [np.datetime64("2026-11-23T06:00", "ns").astype(int)]
    lead_time = xr.open_zarr(place, decode_timedelta=True).lead_time
    assert (lead_time.values == np.arange(5) * np.timedelta64(6, "h")).all(), lead_time
    if np.issubdtype(data.lead_time.dtype, np.integer):  # current xarray decodes durations only when asked
        assert data.lead_time.attrs["units"] == "hours" and data.lead_time.values.tolist() == [0, 6, 12, 18, 24]
    assert (data.valid_time == data.reference_time + lead_time).all()
    assert data.valid_time.dims == ("reference_time", "lead_time")
    assert data.reference_time.attrs["standard_name"] == "forecast_reference_time"
    assert data.lead_time.attrs["standard_name"] == "forecast_period"
    assert data.valid_time.attrs["standard_name"] == "time"
    assert data.pressure.values.tolist() == [850.0, 500.0] and data.pressure.attrs["units"] == "hPa"
    assert data.pressure.attrs["positive"] == "down" and data.pressure.attrs["standard_name"] == "air_pressure"
    assert data.height.attrs["positive"] == "up" and data.model_level.values.tolist() == [7.0]
    assert data.latitude.attrs["units"] == "degrees_north" and data.latitude.values[0] == 90.0
    assert data.attrs["Conventions"] == "CF-1.11" and data.attrs["model_digest"] == "abc"
    assert data.attrs["wall_seconds"] == 1.25
    assert set(data.data_vars) == {"t", "u", "z", "u100", "q", "sp", "t2m"}, set(data.data_vars)
    assert data.crs.attrs["grid_mapping_name"] == "latitude_longitude" and data.crs.attrs["earth_radius"] == 6371229.0
    t = data.t
    assert t.dims == ("reference_time", "lead_time", "pressure", "latitude", "longitude")
    assert data.t2m.dims == ("reference_time", "lead_time", "latitude", "longitude")
    assert t.attrs["standard_name"] == "air_temperature" and t.attrs["units"] == "K", t.attrs
    assert {**data.sp.attrs, **data.sp.encoding}["grid_mapping"] == "crs"
    assert "valid_time" in t.coords
    stored = {"float32": ("float32", "float32"), "packed": ("int16", "int32")}[encoding]
    assert (t.encoding["dtype"], data.sp.encoding["dtype"]) == stored, (t.encoding["dtype"], data.sp.encoding["dtype"])
    missing = np.isnan(data.sp.values[0, 0])
    rows, columns = np.indices(missing.shape)
    assert (missing == ((rows * 31 + columns) % 17 == 0)).all()
    for name, (low, high) in ranges.items():
        values = data[name].values[0]
        for level in range(values.shape[1] if values.ndim == 4 else 1):
            for step in range(5):
                found = values[step, level] if values.ndim == 4 else values[step]
                phase = outputs[name] + 0.37 * level + 0.11 * step + 0.05 * rows + 0.013 * columns
                expected = low + (high - low) * (0.5 + 0.45 * np.sin(phase))
                error = np.abs(found - expected).max()
                half = 0.501 * precision[name] if encoding == "packed" else 0.0
                assert error <= half + 1e-6 * max(abs(low), abs(high)), (name, level, step, error)
    assert not math.isnan(float(data.t2m.sel(latitude=55.7, longitude=12.6, method="nearest").isel(lead_time=-1)[0]))
