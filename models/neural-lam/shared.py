"""What the makers of fixtures share: made-up fields on DANRA's projection, configurations, random weights, files."""

import argparse
import contextlib
import logging
import os
import pathlib
import warnings
import zipfile

import numpy as np
import pyproj
import torch
import xarray as xr
import yaml
from loguru import logger

STEP_HOURS = 3
TRAINING = np.datetime64("2020-03-16T00", "ns"), 88  # first time, number of times
INPUTS = np.datetime64("2020-03-27T00", "ns"), 8
GRID = dict(nx=26, ny=32, x0=-1200000.0, y0=-150000.0, spacing=2500.0)  # no grid point has ambiguous mesh neighbours
STORED_LEVELS, MODEL_LEVELS = [500, 850, 1000], [850, 500]  # hPa
RADIUS, LATITUDE, LONGITUDE = 6367470.0, 56.7, 25.0

# name -> units, standard name, long name
FIELDS = {
    "t2m": ("K", "air_temperature", "2 metre temperature"),
    "u10m": ("m s-1", "eastward_wind", "10 metre u wind"),
    "v10m": ("m s-1", "northward_wind", "10 metre v wind"),
    "pres_seasurface": ("Pa", "air_pressure_at_mean_sea_level", "Mean sea level pressure"),
    "swavr0m": ("W m-2", "surface_net_downward_shortwave_flux", "Net shortwave radiation at surface"),
    "lsm": ("1", "land_binary_mask", "Land-sea mask"),
    "orography": ("m", "surface_altitude", "Orography"),
    "z": ("m2 s-2", "geopotential", "Geopotential"),
    "t": ("K", "air_temperature", "Temperature"),
    "r": ("1", "relative_humidity", "Relative humidity"),
}
LEVEL_FIELDS = ["z", "t", "r"]


def coordinates(first, count):
    """Coordinates of both stores, with the grid mapping that CF asks for."""
    crs = pyproj.CRS.from_cf(
        {
            "grid_mapping_name": "lambert_conformal_conic", "standard_parallel": [LATITUDE, LATITUDE],
            "longitude_of_central_meridian": LONGITUDE, "latitude_of_projection_origin": LATITUDE, "earth_radius": RADIUS,
        }
    )  # fmt: skip
    x, y = (GRID[f"{axis}0"] + GRID["spacing"] * np.arange(GRID[f"n{axis}"]) for axis in "xy")
    lon, lat = pyproj.Transformer.from_crs(crs, crs.geodetic_crs, always_xy=True).transform(*np.meshgrid(x, y))
    axes = {
        axis: (axis, values, dict(standard_name=f"projection_{axis}_coordinate", units="m", axis=axis.upper()))
        for axis, values in (("x", x), ("y", y))
    }
    times = first + np.arange(count) * np.timedelta64(STEP_HOURS, "h")
    return xr.Dataset(
        {"danra_projection": ((), np.int32(0), crs.to_cf())},
        coords=axes | {
            "time": ("time", times, dict(standard_name="time", axis="T")),
            "lat": (("y", "x"), lat, dict(standard_name="latitude", units="degrees_north")),
            "lon": (("y", "x"), lon, dict(standard_name="longitude", units="degrees_east")),
        },
        attrs={"Conventions": "CF-1.8", "title": "synthetic DANRA-like fields (not real)"},
    )  # fmt: skip


def waves(seed, store, steady=False):
    """A smooth field of order one [time, y, x]; the same seed continues the same waves in another period."""
    random = np.random.default_rng(seed)
    hours = ((store.time - np.datetime64("2020-01-01")) / np.timedelta64(1, "h")).values[:, None, None]
    x, y = store.x.values[None, None, :], store.y.values[None, :, None]
    total = np.zeros((store.sizes["time"], store.sizes["y"], store.sizes["x"]))
    for _ in range(6):
        length, heading, phase, period = random.uniform([30e3, 0, 0, 15], [150e3, 2 * np.pi, 2 * np.pi, 60])
        distance = np.cos(heading) * x + np.sin(heading) * y
        total += np.sin(2 * np.pi * (distance / length + (0 if steady else hours / period)) + phase)
    return total / 6**0.5 / 0.7


def stores(first, count):
    """The single level and the pressure level store of a period, rounded to few bits so that they compress."""
    single, levels = coordinates(first, count), coordinates(first, count)
    hour_angle = np.radians(15 * (single.time.dt.hour - 12) + single.lon)
    sun = np.clip(np.cos(hour_angle) - 0.2, 0, None).transpose("time", "y", "x").values
    fields = {
        "t2m": np.round((284 + 3 * waves(1, single) + 2 * sun) * 16) / 16,
        "u10m": np.round((3 + 4 * waves(2, single)) * 16) / 16,
        "v10m": np.round((-1 + 4 * waves(3, single)) * 16) / 16,
        "pres_seasurface": np.round(101300 + 600 * waves(4, single)),
        "swavr0m": np.round(sun * (400 + 100 * waves(5, single))),
    }
    single = single.assign({name: (("time", "y", "x"), values.astype(np.float32)) for name, values in fields.items()})
    land, height = (waves(seed, single, steady=True)[0] for seed in (6, 7))
    single["lsm"] = ("y", "x"), np.round(np.clip(0.5 + land, 0, 1) * 16).astype(np.float32) / 16
    single["orography"] = ("y", "x"), np.round(np.clip(60 + 50 * height, 0, None) * 4).astype(np.float32) / 4
    level = dict(standard_name="air_pressure", long_name="pressure", units="hPa", positive="down", axis="Z")
    levels = levels.assign_coords(pressure=("pressure", np.array(STORED_LEVELS), level))
    base = {500: (54700, 248, 0.5), 850: (14200, 275, 0.7), 1000: (1000, 283, 0.6)}
    stacked = {name: [] for name in LEVEL_FIELDS}
    for index, pressure in enumerate(STORED_LEVELS):
        z, t, r = base[pressure]
        stacked["z"].append(np.round(z + 300 * waves(10 + index, levels)))
        stacked["t"].append(np.round((t + 3 * waves(20 + index, levels)) * 16) / 16)
        stacked["r"].append(np.round(np.clip(r + 0.3 * waves(30 + index, levels), 0, 1) * 256) / 256)  # both limits occur
    for name, values in stacked.items():
        levels[name] = ("time", "pressure", "y", "x"), np.stack(values, axis=1).astype(np.float32)
    for store in (single, levels):
        for name in set(store.data_vars) & set(FIELDS):
            keys = ("units", "standard_name", "long_name", "grid_mapping")
            store[name].attrs = dict(zip(keys, (*FIELDS[name], "danra_projection")))
    return {"single_levels": single, "pressure_levels": levels}


def datastore_config():
    """What a training run would have given to mllam-data-prep, with the training period's paths and splits."""
    first, count = TRAINING

    def time(index):
        return str((first + index * np.timedelta64(STEP_HOURS, "h")).astype("datetime64[m]"))

    def source(store, target, **content):
        dims = [dim for dim in ("time", "x", "y") if dim != "time" or target != "static"]
        levels = {"dims": ["pressure"]} if store == "pressure_levels" else {}
        name_format = "{var_name}{pressure}" if levels else "{var_name}"
        mapping = {
            "grid_index": {"method": "stack", "dims": ["x", "y"]},
            f"{target}_feature": {"method": "stack_variables_by_var_name", "name_format": name_format, **levels},
        }
        if target != "static":
            mapping["time"] = {"method": "rename", "dim": "time"}
        return {
            "path": f"train/{store}.zarr", "dims": dims + levels.get("dims", []), **content,
            "dim_mapping": mapping, "target_output_variable": target,
        }  # fmt: skip

    def derived(function, **kwargs):
        return {"function": f"mllam_data_prep.ops.derive_variable.{function}", "kwargs": {"time": "ds_input.time", **kwargs}}

    statistics = {"ops": ["mean", "std", "diff_mean", "diff_std"], "dims": ["grid_index", "time"]}
    at_levels = {"pressure": {"values": MODEL_LEVELS, "units": "hPa"}}
    globe = {"semimajor_axis": RADIUS, "semiminor_axis": RADIUS}
    return {
        "schema_version": "v0.6.0",
        "dataset_version": "v0.1.0",
        "output": {
            "variables": {
                "static": ["grid_index", "static_feature"],
                "state": ["time", "grid_index", "state_feature"],
                "forcing": ["time", "grid_index", "forcing_feature"],
            },
            "coord_ranges": {"time": {"start": time(0), "end": time(count - 1), "step": f"PT{STEP_HOURS}H"}},
            "chunking": {"time": 1},
            "splitting": {
                "dim": "time",
                "splits": {
                    "train": {"start": time(0), "end": time(count - 9), "compute_statistics": statistics},
                    "val": {"start": time(count - 8), "end": time(count - 5)},
                    "test": {"start": time(count - 4), "end": time(count - 1)},
                },
            },
        },
        "inputs": {
            "danra_sl_state": source("single_levels", "state", variables=["t2m", "u10m", "v10m", "pres_seasurface"]),
            "danra_pl_state": source("pressure_levels", "state", variables={name: at_levels for name in LEVEL_FIELDS}),
            "danra_static": source("single_levels", "static", variables=["lsm", "orography"]),
            "danra_forcing": source(
                "single_levels", "forcing",
                variables=["swavr0m"],
                derived_variables={
                    "toa_radiation": derived("physical_field.calculate_toa_radiation", lat="ds_input.lat", lon="ds_input.lon"),
                    "hour_of_day_sin": derived("time_components.calculate_hour_of_day", component="sin"),
                    "hour_of_day_cos": derived("time_components.calculate_hour_of_day", component="cos"),
                    "day_of_year_sin": derived("time_components.calculate_day_of_year", component="sin"),
                    "day_of_year_cos": derived("time_components.calculate_day_of_year", component="cos"),
                },
            ),
        },
        "extra": {
            "projection": {
                "class_name": "LambertConformal",
                "kwargs": {
                    "central_longitude": LONGITUDE, "central_latitude": LATITUDE,
                    "standard_parallels": [LATITUDE, LATITUDE], "globe": globe,
                },
            }
        },
    }  # fmt: skip


def write_yaml(path, content):
    class Plain(yaml.SafeDumper):
        def ignore_aliases(self, data):
            return True

    path.write_text(yaml.dump(content, Dumper=Plain, sort_keys=False))


@contextlib.contextmanager
def inside(folder):
    """Relative paths, so that no file tells where it was made."""
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def write_zip(folder, path):
    """Stored entries relative to the folder, folders included, as DMI's builder writes them; all of one date."""
    with zipfile.ZipFile(path, "w") as archive:
        for entry in sorted(folder.rglob("*")):
            name = entry.relative_to(folder).as_posix() + ("/" if entry.is_dir() else "")
            archive.writestr(zipfile.ZipInfo(name, (2020, 4, 1, 0, 0, 0)), b"" if entry.is_dir() else entry.read_bytes())


def write_netcdf(dataset, path):
    compressed = dict(zlib=True, complevel=9, shuffle=True)
    encoding = {name: compressed for name in (*dataset.data_vars, *dataset.coords) if dataset[name].ndim > 1}
    encoding |= {name: {"_FillValue": None} | encoding.get(name, {}) for name in dataset.variables}
    dataset.to_netcdf(path, format="NETCDF4", encoding=encoding)


def write_expected(prediction, folder):
    """One file a variable, (time, [pressure,] y, x), levels in the configuration's order."""
    folder.mkdir()
    names = prediction.state_feature.values.tolist()
    for name, (units, standard_name, long_name) in FIELDS.items():
        levels = [level for level in MODEL_LEVELS if f"{name}{level}" in names]
        if levels:
            array = prediction.sel(state_feature=[f"{name}{level}" for level in levels]).rename(state_feature="pressure")
            array = array.assign_coords(pressure=("pressure", levels, dict(units="hPa", standard_name="air_pressure")))
        elif name in names:
            array = prediction.sel(state_feature=name)
        else:
            continue
        array = array.transpose("time", *(["pressure"] if levels else []), "y", "x").reset_coords(drop=True)
        array.attrs = dict(units=units, standard_name=standard_name, long_name=long_name)
        for axis in "xy":
            array[axis].attrs = dict(standard_name=f"projection_{axis}_coordinate", units="m")
        write_netcdf(array.astype(np.float32).to_dataset(name=name), folder / f"{name}.nc")


def randomise(module, seed):
    """Every parameter random, also those of the layer norms, scaled so that values stay of order one.

    Only what enters the embedders' layer norms is small, so that their epsilon counts.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in module.named_parameters():
            values = torch.randn(tensor.shape, generator=generator)
            if tensor.dim() == 2:
                tensor.copy_(values * tensor.shape[1] ** -0.5)
            else:
                tensor.copy_(values * 0.3 + (1.0 if name.endswith("weight") else 0.0))  # 1-D weight: layer norm
        for name, child in module.named_modules():
            if "embedder" in name and isinstance(child, torch.nn.Sequential):
                for tensor in child[-2].parameters():
                    tensor.mul_(0.01)


def write_cases(description, cases, write_case, first_seed):
    """What a maker of several cases does when it is called: each with a seed of its own, or only those that are named."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=pathlib.Path)
    parser.add_argument("cases", nargs="*", metavar="case", help=f"default: all of {', '.join(cases)}")
    args = parser.parse_args()
    quieten()
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)
    for seed, (name, changes) in enumerate(cases.items(), first_seed):
        if not args.cases or name in args.cases:
            write_case(args.output.resolve() / name, seed, **changes)


def quieten():
    """Leaves out the packages' progress reports and remarks; errors still show."""
    logger.remove()
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
