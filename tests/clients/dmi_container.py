"""The stores of DMI's container contract.

`make INPUTS STORE FORMAT [CHANGE…]`: one Zarr store of `INPUTS/single_levels.nc` and `pressure_levels.nc`; changes: `flipped`
(rows and columns the other way, another order of dimensions), `latitude` (degrees, no projection), `uneven`, `nameless`
(time without CF attributes), `gap` (a time is missing).
`check STORE INPUT EXPECTED`: the layout of an output, and the largest relative L2 error of each variable and level.
`layout ROOT EXPECTED`: DMI's own stores, as `vejr forecast --dmi-stores` writes them.
`upload ENDPOINT FOLDER PREFIX`, `download ENDPOINT PREFIX FOLDER`: a store to and from the bucket `forecasts`.
"""

import pathlib
import sys

import boto3
import numpy as np
import xarray


def upload(endpoint, folder, prefix):
    client = boto3.client("s3", endpoint_url=endpoint, aws_access_key_id="test", aws_secret_access_key="test")
    for file in pathlib.Path(folder).rglob("*"):
        if file.is_file():
            client.upload_file(str(file), "forecasts", f"{prefix}/{file.relative_to(folder)}")


def download(endpoint, prefix, folder):
    client = boto3.client("s3", endpoint_url=endpoint, aws_access_key_id="test", aws_secret_access_key="test")
    for page in client.get_paginator("list_objects_v2").paginate(Bucket="forecasts", Prefix=f"{prefix}/"):
        for found in page["Contents"]:
            file = pathlib.Path(folder) / found["Key"].removeprefix(f"{prefix}/")
            file.parent.mkdir(parents=True, exist_ok=True)
            client.download_file("forecasts", found["Key"], str(file))


def make(inputs, store, zarr_format, *changes):
    folder = pathlib.Path(inputs)
    files = [xarray.open_dataset(folder / f"{kind}.nc") for kind in ("single_levels", "pressure_levels")]
    data = xarray.merge(files, compat="override", combine_attrs="override").load()
    for change in changes:
        if change == "flipped":
            data = data.isel(y=slice(None, None, -1), x=slice(None, None, -1)).transpose("x", "time", "y", "pressure")
        elif change == "uneven":
            x = data.x.values.copy()
            x[5:] += 1234.0
            data = data.assign_coords(x=("x", x, data.x.attrs))
        elif change == "nameless":
            data = data.drop_vars("time").rename(time="when")
        elif change == "gap":
            data = data.isel(time=[0, 1, 3, 4, 5])
        else:
            raise ValueError(change)
    for name in data.variables:
        data[name].encoding.clear()
    data.to_zarr(store, mode="w", consolidated=True, zarr_format=int(zarr_format))


def check(store, source, expected):
    output = xarray.open_dataset(store, engine="zarr", decode_timedelta=True)
    given = xarray.open_dataset(source, engine="zarr")
    for axis in ("x", "y"):
        assert np.array_equal(output[axis], given[axis]) and output[axis].dtype == given[axis].dtype
        assert output[axis].attrs == given[axis].attrs
    step = given.time.values[1] - given.time.values[0]
    reference = output.forecastReferenceTime
    assert reference.shape == () and reference.attrs["standard_name"] == "forecast_reference_time"
    assert output.leadTime.dims == ("time",) and output.leadTime.attrs["standard_name"] == "forecast_period"
    assert np.array_equal(output.leadTime.values, step * np.arange(1, output.sizes["time"] + 1)), output.leadTime
    assert np.array_equal(output.time.values, reference.values + output.leadTime.values)
    assert output.time.attrs["axis"] == "T" and output.time.attrs["standard_name"] == "time"
    mapping = [name for name in given.variables if "grid_mapping_name" in given[name].attrs]
    print("variables", *sorted(output.data_vars))
    print("coordinates", *sorted(output.coords))
    print("format", "3" if "codecs" in repr(output[list(output.data_vars)[0]].encoding) else "2")
    for name in sorted(output.data_vars):
        ours = output[name]
        if name in mapping:
            assert ours.attrs == given[name].attrs
            continue
        levels = [dimension for dimension in ours.dims if dimension not in ("time", "y", "x")]
        assert ours.dims == ("time", *levels, "y", "x"), ours.dims
        assert ours.encoding["chunks"] == (1, *ours.shape[1:])
        if mapping:
            assert ours.attrs["grid_mapping"] == mapping[0]
        print("attributes", name, ours.attrs.get("standard_name"), ours.attrs.get("units"), sep="|")
        theirs = xarray.open_dataset(pathlib.Path(expected) / f"{name}.nc")[name]
        if ours.attrs["units"] == "degC":
            theirs = theirs - 273.15
        for level in levels:
            assert output[level].attrs["axis"] == "Z" and output[level].attrs["standard_name"] == "air_pressure"
            scale = 100 if output[level].attrs["units"] == "Pa" else 1
            ours = ours.assign_coords({level: ours[level] / scale}).rename({level: "pressure"})
            theirs = theirs.sel(pressure=ours.pressure)
        theirs = theirs.sel(time=ours.time, y=ours.y, x=ours.x).transpose(*ours.dims)
        ours, theirs = ours.values.astype(float), theirs.values.astype(float)
        axes = (0, -2, -1)
        error = np.sqrt(((ours - theirs) ** 2).sum(axes) / (theirs**2).sum(axes)).max()
        assert error < 1e-5, (name, error)
        print("error", name, f"{error:.1e}")


def layout(root, expected):
    """DMI's own stores below `root` hold what is expected, on the coordinates of the analyses."""
    stores = sorted(pathlib.Path(root).rglob("*.zarr"))
    print(*(store.relative_to(root) for store in stores), sep="\n")
    for store in stores:
        data = xarray.open_zarr(store, decode_timedelta=True)
        assert np.array_equal(data.time.values, data.forecastReferenceTime.values + data.leadTime.values)
        assert data.projection.attrs["grid_mapping_name"] == "lambert_conformal_conic"
        for name in data.data_vars:
            if name == "projection":
                continue
            theirs = xarray.open_dataset(pathlib.Path(expected) / f"{name}.nc")[name]
            vertical = ["pressure"] if "pressure" in theirs.dims else []
            assert data[name].dims == ("time", *vertical, "y", "x"), data[name].dims
            assert data[name].attrs["units"] == theirs.attrs.get("units", data[name].attrs["units"])
            theirs = theirs.sel(time=data.time, y=data.y, x=data.x, **({"pressure": data.pressure} if vertical else {}))
            assert np.array_equal(theirs.y, data.y) and data.y[0] < data.y[1] and data.lat.dims == ("y", "x")
            ours, theirs = data[name].values.astype(float), theirs.transpose(*data[name].dims).values.astype(float)
            error = np.sqrt(((ours - theirs) ** 2).sum() / (theirs**2).sum())
            assert error < 1e-5, (name, error)
            print("error", name, f"{error:.1e}")


{"make": make, "layout": layout, "check": check, "upload": upload, "download": download}[sys.argv[1]](*sys.argv[2:])
