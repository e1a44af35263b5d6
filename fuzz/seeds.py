"""Writes the corpora that fuzzing begins with: small real files where there are any, and files made here.

fuzz/seeds.py FOLDER [REAL_DATA]"""

import io
import struct
import sys
import tempfile
import zipfile
from pathlib import Path

import netCDF4
import numpy as np
import xarray as xr
import zarr
from numcodecs import BZ2, Blosc, GZip, Zlib

HERE = Path(__file__).resolve().parent
FIXTURES = HERE.parent / "tests/fixtures"
OUT = Path(sys.argv[1])
REAL = Path(sys.argv[2]) if len(sys.argv) > 2 else HERE.parent / "../shared/real-data"
# larger ones take long, and tell no more
LARGEST = 40_000


def seed(target, name, data):
    folder = OUT / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


def packed(folder, largest=LARGEST):
    """A folder as a zip file, without its large files."""
    with tempfile.TemporaryFile() as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for path in sorted(Path(folder).rglob("*")):
                if path.is_file() and path.stat().st_size <= largest:
                    archive.write(path, path.relative_to(folder), zipfile.ZIP_STORED)
        file.seek(0)
        return file.read()


def real(*endings):
    """Real files that are small; damaged ones, too."""
    for path in sorted(REAL.rglob("*")) if REAL.is_dir() else []:
        if path.is_file() and path.suffix in endings and 0 < path.stat().st_size <= LARGEST:
            yield path


# ---- NetCDF -------------------------------------------------------------------------------------------------------------

LAMBERT = {
    "grid_mapping_name": "lambert_conformal_conic", "standard_parallel": [56.7, 56.7], "earth_radius": 6367470.0,
    "latitude_of_projection_origin": 56.7, "longitude_of_central_meridian": 25.0,
}


def axis(file, name, values, kind="f8", unlimited=False, **attributes):
    file.createDimension(name, None if unlimited else len(values))
    variable = file.createVariable(name, kind, (name,))
    variable.setncatts(attributes)
    variable[:] = values


def field(file, name, dimensions, kind="f4", create=None, **attributes):
    variable = file.createVariable(name, kind, dimensions, **(create or {}))
    variable.setncatts(attributes)
    variable.set_auto_maskandscale(False)
    shape = [len(file.dimensions[d]) for d in dimensions]
    variable[:] = (270 + np.arange(np.prod(shape)) % 9).reshape(shape).astype(kind)


def plain(file, create=None, unlimited=False):
    axis(file, "time", [0, 6], units="hours since 2024-02-28 18:00", calendar="standard", unlimited=unlimited)
    axis(file, "level", [850, 500], kind="i4", units="hPa")
    axis(file, "latitude", [10, 0, -10], units="degrees_north")
    axis(file, "longitude", [0, 90, 180, 270], units="degrees_east")
    dimensions = ("time", "level", "latitude", "longitude")
    field(file, "t", dimensions, create=create, units="K", standard_name="air_temperature")
    field(file, "r", dimensions, "i2", create, units="%", scale_factor=0.1, add_offset=3.0, missing_value=np.int16(-1))


def projected(file):
    axis(file, "y", [20000, 10000, 0], units="m", standard_name="projection_y_coordinate")
    axis(file, "x", [0, 10000, 20000, 30000], units="m", standard_name="projection_x_coordinate")
    axis(file, "height", [2], units="m", standard_name="height")
    for name, value in (("lat", 56.7), ("lon", 25.0)):
        table = file.createVariable(name, "f8", ("y", "x"))
        table.units = {"lat": "degrees_north", "lon": "degrees_east"}[name]
        table[:] = value + np.arange(12).reshape(3, 4) / 10
    file.createVariable("crs", "i4").setncatts(LAMBERT)
    field(file, "t2m", ("height", "y", "x"), units="K", grid_mapping="crs", coordinates="lat lon")


def forecasts(file):
    axis(file, "forecast_reference_time", [0, 12], units="hours since 2024-01-01", standard_name="forecast_reference_time")
    axis(file, "step", [0, 6, 12], units="hours", standard_name="forecast_period")
    axis(file, "number", [1, 2], kind="i4", standard_name="realization")
    axis(file, "cell", [0, 1, 2, 3])
    for name, values in (("lat", [1, 2, 3, 4]), ("lon", [5, 6, 7, 8])):
        points = file.createVariable(name, "f4", ("cell",))
        points.units = {"lat": "degrees_north", "lon": "degrees_east"}[name]
        points[:] = values
    dimensions = ("forecast_reference_time", "step", "number", "cell")
    field(file, "msl", dimensions, units="Pa", coordinates="lat lon", cell_methods="time: mean")


def deep(file):
    plain(file, {"zlib": True, "shuffle": True, "fletcher32": True, "chunksizes": (1, 1, 3, 4)}, unlimited=True)
    file.createGroup("inside").createDimension("d", 2)
    label = file.createVariable("label", str, ("level",))
    label[:] = np.array(["low", "high"], dtype=object)
    many = file.createVariable("many", "u1")
    many.setncatts({f"attribute_{n}": float(n) for n in range(12)})


FORMATS = ("NETCDF3_CLASSIC", "NETCDF3_64BIT_OFFSET", "NETCDF3_64BIT_DATA", "NETCDF4_CLASSIC", "NETCDF4")
with tempfile.TemporaryDirectory() as folder:
    for form in FORMATS:
        for content in (plain, projected, forecasts, deep):
            if content is deep and form != "NETCDF4":
                continue
            path = Path(folder) / f"{form}-{content.__name__}.nc"
            with netCDF4.Dataset(path, "w", format=form) as file:
                content(file)
            seed("netcdf", path.name, path.read_bytes())
for path in real(".nc"):
    seed("netcdf", path.name, path.read_bytes())

# ---- Zarr ---------------------------------------------------------------------------------------------------------------


def store(name, data, **options):
    with tempfile.TemporaryDirectory() as folder:
        data.to_zarr(Path(folder) / name, **options)
        seed("zarr", f"{name}.zip", packed(Path(folder) / name))


coords = {
    "time": np.array(["2024-02-28T18", "2024-02-29T00"], dtype="M8[ns]"),
    "level": ("level", np.array([850, 500]), {"units": "hPa"}),
    "latitude": ("latitude", [10.0, 0.0, -10.0], {"units": "degrees_north"}),
    "longitude": ("longitude", [0.0, 90.0, 180.0, 270.0], {"units": "degrees_east"}),
}
temperature = (270 + np.arange(48.0)).reshape(2, 2, 3, 4).astype("f4")
kelvin = {"units": "K", "standard_name": "air_temperature"}
data = xr.Dataset({"t": (tuple(coords), temperature, kelvin)}, coords=coords, attrs={"Conventions": "CF-1.8"})
labelled = data.assign_coords(label=("level", ["low", "high"]))
integers = {"t": {"dtype": "i2", "scale_factor": 0.01, "add_offset": 273.15, "_FillValue": -32767, "chunks": (1, 1, 2, 3)}}
for version in (2, 3):
    for whole in (True, False):
        store(f"v{version}-{whole}", data, zarr_format=version, consolidated=whole, encoding=integers)
    store(f"v{version}-texts", labelled, zarr_format=version, consolidated=True)
for name, compressor in {"blosc": Blosc("lz4", shuffle=2), "gzip": GZip(), "zlib": Zlib(), "bz2": BZ2(), "none": None}.items():
    store(f"v2-{name}", data, zarr_format=2, consolidated=True, encoding={"t": {"compressors": compressor}})
store("v3-sharded", data, zarr_format=3, encoding={"t": {"chunks": (1, 1, 3, 2), "shards": (2, 2, 3, 4)}})
y, x = np.array([20000.0, 10000.0, 0.0]), np.array([0.0, 10000.0, 20000.0, 30000.0])
lambert = xr.Dataset(
    {"t2m": (("y", "x"), temperature[0, 0], {**kelvin, "grid_mapping": "crs"}), "crs": ((), 0, LAMBERT)},
    coords={"y": ("y", y, {"units": "m"}), "x": ("x", x, {"units": "m"}),
            "lat": (("y", "x"), 56.7 + temperature[0, 0] / 1000, {"units": "degrees_north"}),
            "lon": (("y", "x"), 25.0 + temperature[0, 0] / 1000, {"units": "degrees_east"})},
)
store("v3-lambert", lambert, zarr_format=3, consolidated=True)
for path in sorted(REAL.glob("*.zarr")) if REAL.is_dir() else []:
    # the fields are too large: what their chunks would hold is then missing
    small = packed(path, 8_000)
    if len(small) <= LARGEST:
        seed("zarr", f"{path.name}.zip", small)

# ---- GRIB ---------------------------------------------------------------------------------------------------------------


def grib2():
    """A message as WMO's manual on codes, FM 92, has it: 3 × 4 points, 8 bits, simple packing."""
    sections = [
        (1, struct.pack(">HHBBBHBBBBBBB", 98, 0, 5, 0, 1, 2024, 2, 28, 18, 0, 0, 0, 1)),
        (3, struct.pack(">BIBBH", 0, 12, 0, 0, 0) + struct.pack(
            ">BBIBIBIIIIIiIBiIIIB", 6, 255, 2**32 - 1, 255, 2**32 - 1, 255, 2**32 - 1, 4, 3, 0, 2**32 - 1,
            10_000_000, 0, 48, 2**31 + 10_000_000 - 2**32, 270_000_000, 90_000_000, 10_000_000, 0)),
        (4, struct.pack(">HH", 0, 0) + struct.pack(">BBBBBHBBIBBIBBI", 0, 0, 2, 255, 255, 0, 0, 1, 6, 100, 0, 50000, 255, 255, 2**32 - 1)),
        (5, struct.pack(">IHfHHBB", 12, 0, 270.0, 0, 0, 8, 0)),
        (6, struct.pack(">B", 255)),
        (7, bytes(range(12))),
    ]
    body = b"".join(struct.pack(">IB", len(content) + 5, number) + content for number, content in sections) + b"7777"
    return b"GRIB" + struct.pack(">HBBQ", 0, 0, 2, 16 + len(body)) + body


def grib1():
    """A message as FM 92 edition 1 has it: the same field."""
    three = lambda n: struct.pack(">I", n)[1:]
    product = bytes([128, 98, 255, 255, 128, 130, 100]) + struct.pack(">H", 500) + bytes([24, 2, 28, 18, 0, 1, 6, 0, 0]) + bytes([0, 0, 0, 21, 0, 0, 0])
    degrees = lambda n: three(n if n >= 0 else 0x800000 - n)
    grid = bytes([0, 255, 0]) + struct.pack(">HH", 4, 3) + degrees(10_000) + degrees(0) + bytes([128]) + degrees(-10_000) + degrees(270_000) + struct.pack(">HH", 65535, 10_000) + bytes([0, 0, 0, 0, 0])
    values = bytes([0]) + struct.pack(">H", 0) + struct.pack(">I", 0x43_10E000) + bytes([8]) + bytes(range(12)) + b"\0"
    body = b"".join(three(len(section) + 3) + section for section in (product, grid, values)) + b"7777"
    return b"GRIB" + three(8 + len(body)) + bytes([1]) + body


seed("grib", "made.grib1", grib1())
seed("grib", "made.grib2", grib2())
seed("grib", "both.grib", grib1() + grib2())
for path in real(".grib", ".grib1", ".grib2"):
    seed("grib", path.name, path.read_bytes())

# ---- what training leaves behind, and packages --------------------------------------------------------------------------

for path in sorted(FIXTURES.rglob("*.pt")):
    if path.stat().st_size <= 12_000:
        seed("checkpoint", "-".join(path.relative_to(FIXTURES).parts[-3:]), path.read_bytes())
for path in sorted(FIXTURES.rglob("artifact.zip")):
    seed("artifact", path.parent.name, path.read_bytes())


def narrow(path):
    """Parameters of GraphCast with a latent size of 1: what is read is the same, in a fifth of the bytes."""
    parameters = dict(np.load(path))
    latent = int(parameters["model_config:latent_size"])
    parameters["model_config:latent_size"] = np.array(1)
    for key, values in parameters.items():
        # a product's rows are several latents side by side
        divisor = lambda n: latent if n % latent == 0 else 1
        if key.startswith("params:"):
            parameters[key] = values[tuple(slice(n // divisor(n)) for n in values.shape)]
    file = io.BytesIO()
    np.savez(file, **parameters)
    return file.getvalue()


for path in sorted(FIXTURES.rglob("params.npz")):
    seed("npz", path.parent.name, narrow(path))
for manifest in sorted(FIXTURES.rglob("model.toml")):
    seed("package", manifest.parent.name, packed(manifest.parent, 8_000))


def package(name, manifest):
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "model.toml").write_text(manifest)
        seed("package", name, packed(folder))


HEAD = """format = 1
[model]
name = "n"
title = "t"
version = "1"
licence = "MIT"
origin = "here"
time_step = "3h"
input_states = 2
predicts = "tendency"
arch = """
CHANNELS = """
[[channel]]
name = "t2m"
standard_name = "air_temperature"
units = "K"
level = { height = 2 }
role = "prognostic"
mean = 280.0
std = 10.0
tendency_std = 1.0
[[channel]]
name = "toa"
standard_name = "toa_incoming_shortwave_flux"
units = "J m-2"
role = "forcing"
formula = "toa_radiation"
mean = 0.0
std = 1.0
"""
LAM = HEAD + """"neural-lam"
[arch]
network = "hi_lam"
hidden_dim = 4
processor_layers = 2
mesh_levels = 3
[arch.graph]
levels = 3
[grid]
kind = "projected"
projection = { grid_mapping_name = "lambert_conformal_conic", standard_parallel = [56.7, 56.7], longitude_of_central_meridian = 25.0, latitude_of_projection_origin = 56.7, earth_radius = 6367470.0 }
y = { first = 100000.0, step = -2500.0, count = 30 }
x = { first = 0.0, step = 2500.0, count = 30 }
[boundary]
width = 3
""" + CHANNELS
package("neural-lam", LAM)
package("research", LAM.replace("mesh_levels = 3\n", "mesh_levels = 3\ndialect = \"research\"\n[arch.boundary]\ntime_delta_enc_dim = 4\nstep_length_ratio = 2.0\n").replace("width = 3", "nodes = \"nodes.nc\""))
GRAPHCAST = (HERE.parent / "models/graphcast/manifest.toml").read_text()
package("graphcast", GRAPHCAST)
package("persistence", HEAD + '"persistence"\n[grid]\nkind = "from-input"\n' + CHANNELS)
package("held-suarez", (HERE.parent / "models/held-suarez-sfno/model.toml").read_text())

# ---- texts --------------------------------------------------------------------------------------------------------------

import pyproj

TEXTS = [
    "hours since 1800-1-1 00:00:0.0\nstandard\n0 1946016 1e9", "days since 2024-1-1T00:00:00-7:00\n360_day\n59 -1 2.5",
    "seconds since 1970-01-01 00:00:00 +00:00\nproleptic_gregorian\n1577836800", "day as %Y%m%d.%f\n\n20240131.25",
    "months since 2001-01-01\n360_day\n2", "2024-02-29T06:00Z\n1d12h", "20240229T06\nPT6H", "Hour since 2021-01-30T12:00:00 UTC+1\nnoleap\n6",
    "kg m**-2 s**-1", "degrees Celsius", "m2/s2", "g/kg", "(0 - 1)", "air_temperature", "Temperature_height_above_ground",
    "\n".join(f"{key} = {' '.join(map(str, value)) if isinstance(value, list) else value}" for key, value in LAMBERT.items()),
    "grid_mapping_name = rotated_latitude_longitude\ngrid_north_pole_latitude = 39.25\ngrid_north_pole_longitude = -162\nnorth_pole_grid_longitude = 0",
    "grid_mapping_name = polar_stereographic\nlatitude_of_projection_origin = 90\nstandard_parallel = 60\nstraight_vertical_longitude_from_pole = 10\nsemi_major_axis = 6378137\ninverse_flattening = 298.257",
    "+proj=ob_tran +o_proj=longlat +o_lat_p=39.25 +lon_0=18 +R=6371229 +to_meter=0.0174532925199433", "+proj=utm +zone=32 +south +ellps=WGS84",
]
for n, text in enumerate(TEXTS):
    seed("cf_text", f"text-{n}", text.encode())
for n, definition in enumerate([
    "+proj=lcc +lat_1=56.7 +lat_2=56.7 +lat_0=56.7 +lon_0=25 +R=6367470", "+proj=stere +lat_0=90 +lat_ts=60 +lon_0=10 +a=6378137 +b=6356752.3",
    "+proj=laea +lat_0=54.9 +lon_0=-2.5 +ellps=WGS84", "+proj=merc +lat_ts=20 +lon_0=5 +R=6371229", "+proj=tmerc +lat_0=49 +lon_0=-2 +k=0.9996 +ellps=airy",
    "+proj=aea +lat_1=20 +lat_2=60 +lat_0=40 +lon_0=-96 +ellps=GRS80", "+proj=stere +lat_0=45 +lon_0=10 +k=0.99 +R=6371000",
]):
    seed("cf_text", f"proj-{n}", definition.encode())
    for version in ("WKT1_GDAL", "WKT2_2019"):
        seed("cf_text", f"wkt-{n}-{version}", pyproj.CRS(definition).to_wkt(version).encode())

# ---- words that mutations may put in ------------------------------------------------------------------------------------

WORDS = {
    "netcdf": ["CDF\1", "CDF\2", "CDF\5", "OHDR", "OCHK", "units", "calendar", "standard_name", "scale_factor", "add_offset",
               "_FillValue", "missing_value", "valid_range", "coordinates", "grid_mapping", "grid_mapping_name", "bounds",
               "latitude", "longitude", "degrees_north", "degrees_east", "hours since ", "time", "level", "hPa", "positive", "_Unsigned", "true"],
    "grib": ["GRIB", "7777"],
    "zarr": ['"shape":', '"chunks":', '"dtype":', '"<f4"', '"<i8"', '"<M8[ns]"', '"<U4"', '"|O"', '"fill_value":', '"compressor":', '"filters":',
             '"order":', '"node_type":', '"group"', '"array"', '"data_type":', '"float32"', '"chunk_grid":', '"regular"', '"chunk_shape":',
             '"codecs":', '"bytes"', '"zstd"', '"gzip"', '"blosc"', '"transpose"', '"sharding_indexed"', '"crc32c"', '"vlen-utf8"', '"dimension_names":',
             '"_ARRAY_DIMENSIONS":', '"units":', '"scale_factor":', '"_FillValue":', '"consolidated_metadata":', "null", "NaN", "-Infinity", "1e308",
             "4294967296", "18446744073709551615", "9223372036854775807", "268435456"],
    "cf_text": ["since ", "PROJCS[", "PROJCRS[", "GEOGCS[", "CONVERSION[", "METHOD[", "PARAMETER[", "ELLIPSOID[", "SPHEROID[", "UNIT[", "LENGTHUNIT[",
                "+proj=", "+lat_0=", "+lon_0=", "+lat_1=", "+lat_2=", "+lat_ts=", "+k_0=", "+R=", "+a=", "+b=", "+rf=", "+ellps=", "+zone=", "+o_proj=longlat",
                "standard_parallel = ", "grid_mapping_name = ", "latitude_of_projection_origin = ", "earth_radius = ", "90", "-90", "1e300", "NaN", "inf", "0.0"],
    "package": ["[[channel]]", "[[file]]", "[boundary]", "[arch]", "[grid]", "[parity]", "role = ", "level = ", "count = ", "plausible = ", "formula = ",
                "4294967296", "9223372036854775807", "1e308", "-1", "0", "nan", "inf"],
    "checkpoint": [f"\\x{code:02x}" for code in (0x80, 0x28, 0x29, 0x52, 0x71, 0x72, 0x68, 0x6A, 0x81, 0x62, 0x58, 0x8C, 0x94, 0x51, 0x75, 0x65, 0x85, 0x86, 0x87, 0x93)]
                  + ["ctorch._utils\\x0a_rebuild_tensor_v2\\x0a", "cbuiltins\\x0aset\\x0a", "storage", "FloatStorage"],
}
WORDS["artifact"] = WORDS["checkpoint"] + ["kind: ", "mdp", "dims: ", "config_path: ", "method: ", "&a [*a, *a]", "name_format: "]
WORDS["npz"] = ["'descr': ", "'<f4'", "'<U8'", "'|O'", "'fortran_order': ", "True", "'shape': ", "(1,)", "()", "(4294967296, 4294967296)"]
for target, words in WORDS.items():
    escape = lambda c: c if " " <= c <= "~" and c not in '"' else f"\\x{ord(c):02x}"
    lines = ['"' + (word if word.startswith("\\x") or "\\x0a" in word else "".join(map(escape, word))) + '"' for word in words]
    (OUT / f"{target}.dict").write_text("\n".join(lines) + "\n")

for target in sorted(path for path in OUT.iterdir() if path.is_dir()):
    print(f"{target.name}: {len(list(target.iterdir()))} files, {sum(path.stat().st_size for path in target.iterdir()) // 1000} kB")
