"""xarray opens forecasts on projections, curvilinear grids and points: CF attributes, places by pyproj, values."""

import sys
import warnings

import numpy as np
import pyproj
import xarray as xr

warnings.simplefilter("error", FutureWarning)
path, kind, definition = sys.argv[1:]
rotated = kind == "rotated_latitude_longitude"
y = 10.0 - 0.5 * np.arange(20) if rotated else 500e3 - 10e3 * np.arange(110)
x = 350.0 + 0.5 * np.arange(30) if rotated else -1200e3 + 10e3 * np.arange(130)
X, Y = np.meshgrid(x, y)
if rotated:
    steps = "+proj=pipeline +step +proj=unitconvert +xy_in=deg +xy_out=rad +step {} +step +proj=unitconvert +xy_in=rad +xy_out=deg"
    transformer = pyproj.Transformer.from_pipeline(steps.format(definition))
    longitude, latitude = transformer.transform(X, Y, direction="INVERSE")
else:
    longitude, latitude = pyproj.Proj(definition)(X, Y, inverse=True)

for place in (path, path + "/series"):
    data = xr.open_zarr(place)
    dimensions = ("grid_index",) if kind == "points" else ("yc", "xc")
    assert data.latitude.dims == data.longitude.dims == dimensions, data.latitude.dims
    found = [data.latitude.values.reshape(Y.shape), data.longitude.values.reshape(Y.shape)]
    assert np.abs(found[0] - latitude).max() < 1e-7 and np.abs((found[1] - longitude + 180) % 360 - 180).max() < 1e-7
    assert (data.latitude.attrs["standard_name"], data.latitude.attrs["units"]) == ("latitude", "degrees_north")
    assert (data.longitude.attrs["standard_name"], data.longitude.attrs["units"]) == ("longitude", "degrees_east")
    assert set(data.data_vars) == {"t", "u", "z", "u100", "q", "sp", "t2m"}, set(data.data_vars)
    assert data.t2m.dims == ("reference_time", "lead_time", *dimensions), data.t2m.dims
    assert data.t.dims == ("reference_time", "lead_time", "pressure", *dimensions)
    assert {"latitude", "longitude", "valid_time"} <= set(data.t2m.coords)
    assert {**data.t2m.attrs, **data.t2m.encoding}["grid_mapping"] == "crs"
    if kind in ("lambert_conformal_conic", "rotated_latitude_longitude"):
        crs = data.crs.attrs
        assert crs["grid_mapping_name"] == kind
        names = ("grid_latitude", "grid_longitude") if rotated else ("projection_y_coordinate", "projection_x_coordinate")
        units = "degrees" if rotated else "m"
        for name, standard, axis, values in zip(("yc", "xc"), names, "YX", (y, x)):
            assert np.array_equal(data[name].values, values)
            attributes = data[name].attrs
            assert (attributes["standard_name"], attributes["units"], attributes["axis"]) == (standard, units, axis)
        # pyproj understands the attributes as the same system
        theirs = pyproj.CRS.from_cf(crs)
        if rotated:
            wanted = {"grid_north_pole_latitude": 39.25, "grid_north_pole_longitude": -162.0}
            assert wanted.items() <= crs.items() and crs["earth_radius"] == 6371229.0, crs
        else:
            wanted = {"standard_parallel": 56.7, "longitude_of_central_meridian": 25.0,
                      "latitude_of_projection_origin": 56.7, "earth_radius": 6367470.0, "false_easting": 0.0}
            assert wanted.items() <= crs.items(), crs
            far, near = pyproj.Proj(theirs)(12.57, 55.67), pyproj.Proj(definition)(12.57, 55.67)
            assert np.allclose(far, near, atol=1e-3), (far, near)
    # t2m is the last output; its values are known at every point, in rows and columns of the grid
    shape = (1, y.size * x.size) if kind == "points" else Y.shape
    rows, columns = np.indices(shape)
    for step in range(5):
        values = data.t2m.values[0, step].reshape(shape)
        expected = 150.0 + 200.0 * (0.5 + 0.45 * np.sin(6 + 0.11 * step + 0.05 * rows + 0.013 * columns))
        assert np.abs(values - expected).max() < 1e-3, (step, np.abs(values - expected).max())
