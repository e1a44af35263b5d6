"""The same fields as NetCDF and as Zarr in every form that pipelines write: what tests/ingest/zarr.rs reads."""

import sys
import zipfile
from pathlib import Path

import numpy as np
import xarray as xr
import zarr

folder = Path(sys.argv[1])
random = np.random.default_rng(3)
shape = (2, 3, 9, 12)
dims = ("time", "level", "latitude", "longitude")
temperature = (250 + 20 * random.standard_normal(shape)).astype("f4")
temperature[0, 0, 4, 5] = np.nan
coords = {
    "time": np.array(["2024-02-28T18", "2024-02-29T00"], dtype="M8[ns]"),
    "level": ("level", np.array([850, 500, 250]), {"units": "hPa"}),
    "latitude": ("latitude", np.linspace(-40, 40, 9), {"units": "degrees_north"}),
    "longitude": ("longitude", np.arange(0, 360, 30.0), {"units": "degrees_east"}),
}
data = xr.Dataset(
    {
        "t": (dims, temperature, {"units": "K", "standard_name": "air_temperature"}),
        "q": (dims, np.abs(random.standard_normal(shape)) * 1e-3, {"units": "kg kg-1"}),
        "lsm": (dims[2:], (random.random(shape[2:]) > 0.5).astype("i1"), {"units": "1"}),
    },
    coords=coords,
    attrs={"Conventions": "CF-1.8"},
)
packed = {
    "t": {"dtype": "i2", "scale_factor": 0.01, "add_offset": 273.15, "_FillValue": -32767},
    "q": {"dtype": "f8", "_FillValue": np.nan},
}
data.to_netcdf(folder / "reference.nc", encoding=packed)

chunks = {"t": {"chunks": (1, 2, 5, 7)}, "q": {"chunks": (2, 3, 9, 12)}}
for version in (2, 3):
    for consolidated in (True, False):
        name = f"v{version}{'' if consolidated else '-alone'}.zarr"
        encoding = {key: {**packed[key], **chunks[key]} for key in packed}
        data.to_zarr(folder / name, zarr_format=version, consolidated=consolidated, encoding=encoding)
# sharded; big-endian and Fortran order with a filter; half precision; compressors
sharded = {"t": {**packed["t"], "chunks": (1, 1, 3, 4), "shards": (1, 3, 9, 12)}}
data.to_zarr(folder / "sharded.zarr", zarr_format=3, consolidated=True, encoding=sharded)

from numcodecs import BZ2, Blosc, GZip, LZ4, Zlib, Zstd

for name, compressor in {"blosc": Blosc("lz4", shuffle=2), "gzip": GZip(), "zlib": Zlib(), "zstd": Zstd(), "bz2": BZ2(), "none": None}.items():
    encoding = {key: {**packed[key], "compressors": compressor} for key in packed}
    data.to_zarr(folder / f"{name}.zarr", zarr_format=2, consolidated=True, encoding=encoding)

# as other programs write it: big-endian numbers in Fortran order, no consolidated metadata, bare NaN as the fill value
store = zarr.open_group(folder / "foreign.zarr", mode="w", zarr_format=2)
for name, values in {
    "t": temperature.astype(">f4"),
    "q": data.q.values,
    "lsm": data.lsm.values,
    "time": np.array([0, 6], dtype=">i4"),
    "level": data.level.values,
    "latitude": data.latitude.values,
    "longitude": data.longitude.values,
}.items():
    array = store.create_array(name, data=values, chunks=values.shape, order="F", compressors=None)
    array.attrs["_ARRAY_DIMENSIONS"] = list(data[name].dims)
    array.attrs.update({k: v for k, v in data[name].attrs.items()})
store["time"].attrs["units"] = "hours since 2024-02-28 18:00:00"
for metadata in (folder / "foreign.zarr").glob("*/.zarray"):
    metadata.write_text(metadata.read_text().replace('"fill_value": 0.0', '"fill_value": NaN').replace('"fill_value": 0', '"fill_value": null'))

for source, top in [("v2.zarr", ""), ("v3.zarr", "v3.zarr/"), ("v2-alone.zarr", "")]:
    with zipfile.ZipFile(folder / f"{source}.zip", "w", zipfile.ZIP_DEFLATED if top else zipfile.ZIP_STORED) as archive:
        for path in sorted((folder / source).rglob("*")):
            if path.is_file():
                archive.write(path, top + str(path.relative_to(folder / source)))
