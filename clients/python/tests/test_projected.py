"""Fields on a map projection, which a model that predicts nothing carries from its analysis to the server."""

import json
import os
import shutil
import subprocess

import numpy as np
import pyproj
import pytest
import xarray
from conftest import ROOT

MAPPING = {
    "grid_mapping_name": "lambert_conformal_conic",
    "standard_parallel": [48.0, 52.0],
    "longitude_of_central_meridian": -5.0,
    "latitude_of_projection_origin": 48.0,
    "earth_radius": 6371000.0,
}
PACKAGE = """
format = 1
[model]
name = "cone"
title = "Persistence on a cone"
arch = "persistence"
version = "1"
licence = "none"
origin = "this test"
time_step = "6h"
input_states = 1
predicts = "state"
[arch]
[grid]
kind = "projected"
projection = { grid_mapping_name = "lambert_conformal_conic", standard_parallel = [48.0, 52.0], \
longitude_of_central_meridian = -5.0, latitude_of_projection_origin = 48.0, earth_radius = 6371000.0 }
y = { first = 15e5, step = -5e4, count = 9 }
x = { first = 7e5, step = 5e4, count = 11 }
[[channel]]
name = "t2m"
standard_name = "air_temperature"
units = "K"
level = "surface"
role = "prognostic"
mean = 280.0
std = 10.0
plausible = [150.0, 350.0]
"""


@pytest.fixture(scope="module")
def cone(site, tmp_path_factory):
    """The name of a forecast of two steps, and its store."""
    folder = tmp_path_factory.mktemp("cone")
    (folder / "package").mkdir()
    (folder / "package/model.toml").write_text(PACKAGE)
    y, x = 15e5 - 5e4 * np.arange(9), 7e5 + 5e4 * np.arange(11)
    axis = {"units": "m"}
    values = np.random.default_rng(1).normal(280, 10, (1, 9, 11)).astype("f4")
    described = {"standard_name": "air_temperature", "units": "K", "grid_mapping": "crs"}
    xarray.Dataset(
        {"t2m": (("time", "y", "x"), values, described), "crs": ((), 0, MAPPING)},
        {
            "time": [np.datetime64("2026-01-01T00:00", "ns")],
            "y": ("y", y, axis | {"standard_name": "projection_y_coordinate"}),
            "x": ("x", x, axis | {"standard_name": "projection_x_coordinate"}),
        },
    ).to_netcdf(folder / "analysis.nc")
    program = os.environ.get("VEJR_BIN", str(ROOT / "target/release/vejr"))
    command = [program, "forecast", "--model", folder / "package", "--init", folder / "analysis.nc", "--steps", "2"]
    done = subprocess.run([*command, "--output", folder / "f.zarr"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    run_key = json.loads((folder / "f.zarr/forecast.json").read_text())["run_key"]
    name = f"forecasts/cone/2026-01-01T0000Z/{run_key}"
    shutil.move(folder / "f.zarr", site.folder / name / "forecast.zarr")
    return name, xarray.open_zarr(site.folder / name / "forecast.zarr", chunks=None).squeeze("reference_time")


def test_a_projected_field_says_where_it_is(client, cone):
    name, published = cone
    found = client.field(name, "t2m", "surface", "12h")
    expected = published.t2m.sel(lead_time=12)
    assert found.dims == ("y", "x") and found.shape == (9, 11)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(found.y, expected.yc)
    np.testing.assert_array_equal(found.x, expected.xc)
    assert found.y.attrs == {"standard_name": "projection_y_coordinate", "units": "m", "axis": "Y"}
    assert found.attrs["grid_mapping"] == "crs"
    # the same places on the globe
    plane = pyproj.Proj(pyproj.CRS.from_cf(found.crs.attrs))
    longitude, latitude = plane(*np.meshgrid(found.x, found.y), inverse=True)
    np.testing.assert_allclose(latitude, expected.latitude, atol=1e-6)
    np.testing.assert_allclose(longitude, expected.longitude, atol=1e-6)
    assert client.forecast(name).grid.x == list(found.x)


def test_an_area_is_around_the_points_in_the_box(client, cone):
    name, published = cone
    place = published.isel(yc=slice(2, 6), xc=slice(3, 8))
    west, east = float(place.longitude.min()) - 0.01, float(place.longitude.max()) + 0.01
    south, north = float(place.latitude.min()) - 0.01, float(place.latitude.max()) + 0.01
    found = client.area(name, "t2m", "surface", "12h", bbox=(west, south, east, north))
    latitude, longitude = published.latitude, published.longitude
    inside = (latitude >= south) & (latitude <= north) & (longitude >= west) & (longitude <= east)
    rows, columns = np.flatnonzero(inside.any("xc")), np.flatnonzero(inside.any("yc"))
    expected = published.t2m.sel(lead_time=12).isel(
        yc=slice(rows[0], rows[-1] + 1), xc=slice(columns[0], columns[-1] + 1)
    )
    assert found.dims == ("y", "x") and found.size < published.t2m.isel(lead_time=0).size
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(found.y, expected.yc)
    np.testing.assert_array_equal(found.x, expected.xc)
    assert found.crs.attrs == client.field(name, "t2m", "surface", "12h").crs.attrs


def test_a_series_is_of_the_nearest_point(client, cone):
    name, published = cone
    place = published.isel(yc=3, xc=4)
    found = client.series(name, "t2m", "surface", latitude=float(place.latitude), longitude=float(place.longitude))
    np.testing.assert_array_equal(found, place.t2m)
    np.testing.assert_allclose([found.latitude, found.longitude], [place.latitude, place.longitude], atol=1e-9)
