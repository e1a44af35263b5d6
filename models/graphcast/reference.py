"""Makes a case of GraphCast: random weights and inputs, and what the reference forecasts with them.

    python reference.py OUT [--resolution 10] [--mesh 2] [--latent 32] [--message-steps 4] [--levels 13] [--steps 2] ...

Writes `params.npz` and the three statistics files as they are published (the statistics with all 37 levels of ERA5 and with
variables that no model reads), `init.nc` with two analyses six hours apart, and `expected.nc` with every step of the
forecast; `--statics-only` leaves that out. Every weight is random; what enters the encoders' layer norms is small, so that a
wrong epsilon shows. The forecast is in float32, without the cast to bfloat16 of the reference's demo, on a CPU. The same
arguments and package versions on the same machine give the same files byte for byte. Needs weathernext 0.3
(google-deepmind/graphcast) and xarray_jax 0.1.1 on PYTHONPATH.
"""

import argparse
import dataclasses
import pathlib

import haiku as hk
import jax
import numpy as np
import xarray as xr
from graphs import coordinates
from weathernext.utils import autoregressive, checkpoint, data_utils, normalization, rollout, variables
from weathernext.weathernext1_graph import graphcast

STEP = np.timedelta64(6, "h")
STATISTICS = ["mean_by_level", "stddev_by_level", "diffs_stddev_by_level"]

# name in the files -> the reference's name, attributes
FIELDS = {
    "t2m": ("2m_temperature", dict(standard_name="air_temperature", units="K", height="2 m")),
    "msl": ("mean_sea_level_pressure", dict(standard_name="air_pressure_at_mean_sea_level", units="Pa")),
    "u10": ("10m_u_component_of_wind", dict(standard_name="eastward_wind", units="m s-1", height="10 m")),
    "v10": ("10m_v_component_of_wind", dict(standard_name="northward_wind", units="m s-1", height="10 m")),
    "tp": ("total_precipitation_6hr", dict(standard_name="lwe_thickness_of_precipitation_amount", units="m")),
    "t": ("temperature", dict(standard_name="air_temperature", units="K")),
    "z": ("geopotential", dict(standard_name="geopotential", units="m2 s-2")),
    "u": ("u_component_of_wind", dict(standard_name="eastward_wind", units="m s-1")),
    "v": ("v_component_of_wind", dict(standard_name="northward_wind", units="m s-1")),
    "w": ("vertical_velocity", dict(standard_name="lagrangian_tendency_of_air_pressure", units="Pa s-1")),
    "q": ("specific_humidity", dict(standard_name="specific_humidity", units="kg kg-1")),
    "zs": ("geopotential_at_surface", dict(standard_name="surface_geopotential", units="m2 s-2")),
    "lsm": ("land_sea_mask", dict(standard_name="land_binary_mask", units="1")),
}
AXES = {
    "latitude": dict(standard_name="latitude", units="degrees_north", axis="Y"),
    "longitude": dict(standard_name="longitude", units="degrees_east", axis="X"),
    "time": dict(standard_name="time", axis="T"),
    "level": dict(standard_name="air_pressure", units="hPa", axis="Z", positive="down"),
}
LIMITS = {"tp": (0, None), "q": (0, None), "lsm": (0, 1), "zs": (-1000, None)}

# About what ERA5 has: mean and standard deviation; of the fields on levels at these, in hPa
ANCHORS = [1, 10, 50, 100, 200, 300, 500, 700, 850, 1000]
ON_LEVELS = {
    "temperature": ([264, 230, 212, 208, 218, 229, 253, 267, 275, 281], [12, 11, 10, 12.5, 7.5, 10.5, 13, 15, 15.5, 17]),
    "geopotential": (
        [467000, 302000, 199500, 157700, 115300, 89400, 54100, 28900, 13750, 740],
        [13000, 9000, 5880, 5510, 5820, 5090, 3350, 2130, 1470, 1070],
    ),
    "u_component_of_wind": (
        [11, 7, 5.6, 10.2, 14.2, 11.8, 6.5, 3.2, 1.4, -0.1],
        [38, 26, 15.3, 13.5, 17.7, 17, 12, 9.2, 8.2, 6.1],
    ),
    "v_component_of_wind": (
        [0.1, 0.05, -0.01, 0.02, -0.04, -0.03, -0.02, 0.02, 0.15, 0.2],
        [15, 11, 7, 7.5, 11.9, 13.4, 9.2, 6.9, 6.3, 5.3],
    ),
    "vertical_velocity": (
        [2e-6, 1e-5, 1e-4, 2e-4, 5e-4, 1e-3, 3e-3, 5e-3, 7e-3, 1e-2],
        [6e-4, 3e-3, 1.3e-2, 2.1e-2, 6e-2, 0.11, 0.17, 0.175, 0.165, 0.07],
    ),
    "specific_humidity": (
        [3.5e-6, 3e-6, 2.7e-6, 2.6e-6, 2e-5, 1.3e-4, 8.5e-4, 2.4e-3, 4.6e-3, 7.1e-3],
        [3e-7, 2.5e-7, 3.6e-7, 5e-7, 2.2e-5, 1.7e-4, 1.1e-3, 2.5e-3, 4.1e-3, 5.9e-3],
    ),
    "relative_humidity": ([1, 2, 5, 30, 45, 50, 48, 52, 70, 78], [2, 3, 9, 28, 33, 34, 32, 29, 24, 16]),  # unused
}
AT_SURFACE = {
    "2m_temperature": (278.5, 21.2),
    "mean_sea_level_pressure": (100957, 1000),
    "10m_u_component_of_wind": (-0.07, 5.5),
    "10m_v_component_of_wind": (0.19, 4.7),
    "total_precipitation_6hr": (6e-4, 1.7e-3),
    "total_precipitation_12hr": (1.2e-3, 2.9e-3),  # unused
    "sea_surface_temperature": (286.6, 11.7),  # unused
    "geopotential_at_surface": (3700, 8300),
    "land_sea_mask": (0.33, 0.45),
    "toa_incident_solar_radiation": (1.07e6, 1.44e6),
    "year_progress": (0.5, 0.29),  # unused
    "year_progress_sin": (3e-4, 0.7071),
    "year_progress_cos": (2e-3, 0.7071),
    "day_progress": (0.49, 0.289),  # unused
    "day_progress_sin": (1e-3, 0.706),
    "day_progress_cos": (-2e-3, 0.708),
}


def statistics(random):
    """The published files' layout; of a six-hourly change every variable has another part of its deviation."""
    levels = np.array(variables.PRESSURE_LEVELS_ERA5_37, dtype=np.int32)
    datasets = {name: xr.Dataset(coords={"level": levels}) for name in STATISTICS}
    for name, (mean, deviation) in sorted((ON_LEVELS | AT_SURFACE).items()):
        if name in ON_LEVELS:
            mean, deviation = (np.interp(np.log(levels), np.log(ANCHORS), values) for values in (mean, deviation))
        for dataset, values in zip(datasets.values(), (mean, deviation, deviation * random.uniform(0.1, 0.4, np.shape(mean)))):
            dataset[name] = xr.DataArray(np.float32(values), dims=["level"] * np.ndim(values))
    return datasets


def task_config(args):
    levels = tuple(int(level) for level in args.levels.split(","))
    full, left_out = graphcast.TASK, {"vertical_velocity"} if args.no_w else set()
    precipitation = set() if args.precipitation == "input" else {"total_precipitation_6hr"}
    unpredicted = left_out if args.precipitation == "output" else left_out | precipitation
    return graphcast.TaskConfig(
        input_variables=tuple(name for name in full.input_variables if name not in left_out | precipitation),
        target_variables=tuple(name for name in full.target_variables if name not in unpredicted),
        forcing_variables=full.forcing_variables,
        pressure_levels=variables.PRESSURE_LEVELS.get(levels[0], levels) if len(levels) == 1 else levels,
        input_duration=full.input_duration,
    )


def analyses(random, task, grid, start, mean, deviation):
    """Two analyses: waves that travel over the sphere, and some noise."""
    mean, deviation = (values.sel(level=list(task.pressure_levels)).astype(np.float64) for values in (mean, deviation))
    latitude, longitude = np.meshgrid(*(np.deg2rad(grid[name].astype(np.float64)) for name in ("lat", "lon")), indexing="ij")
    position = np.stack([np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude)], axis=-1)

    def draw(times):
        wave, phase, speed = random.normal(0, 4, (5, 3)), random.uniform(0, 2 * np.pi, 5), random.normal(0, 0.3, 5)
        angle = (position @ wave.T)[None] + phase + speed * np.arange(times)[:, None, None, None]
        waves = np.cos(angle).sum(-1) * (2 / 5) ** 0.5  # of unit variance
        return waves + 0.1 * random.normal(size=waves.shape)

    dataset = xr.Dataset(coords={"latitude": grid["lat"], "longitude": grid["lon"], "time": [start - STEP, start]})
    dataset["level"] = np.array(task.pressure_levels, dtype=np.int32)
    for name, (known_as, _) in FIELDS.items():
        if known_as not in task.input_variables:
            continue
        static = known_as in variables.STATIC_VARS
        centre, spread = (np.atleast_1d(values[known_as])[:, None, None] for values in (mean, deviation))
        values = centre + 0.7 * spread * np.stack([draw(1 if static else 2) for _ in centre], axis=1)
        values = np.clip(values, *LIMITS.get(name, (None, None))).astype(np.float32)
        array = xr.DataArray(values, dims=["time", "level", "latitude", "longitude"])
        array = array if known_as in ON_LEVELS else array.isel(level=0)
        dataset[name] = array.isel(time=0) if static else array
    return dataset


def batch(init, task, steps):
    """What the reference's demo begins with: all times of the forecast; what is to be forecast is not a number."""
    start = init.time.values[-1]
    names = {"latitude": "lat", "longitude": "lon"} | {name: FIELDS[name][0] for name in init.data_vars}
    data = init.rename(names).reindex(time=start + STEP * np.arange(-1, steps + 1))
    if "total_precipitation_6hr" in set(task.target_variables) - set(task.input_variables):
        data["total_precipitation_6hr"] = xr.full_like(data["2m_temperature"], np.nan)
    static = data[list(variables.STATIC_VARS)]
    data = data.drop_vars(static).expand_dims("batch").assign(static)
    data = data.assign_coords(datetime=(("batch", "time"), data.time.values[None]), time=data.time - start)
    times = slice("6h", f"{6 * steps}h")
    return data_utils.extract_inputs_targets_forcings(data, target_lead_times=times, **dataclasses.asdict(task))


def predictor(config, task, scales):
    """One step or several, as the reference's demo puts it together, less bfloat16."""

    def predict(inputs, targets_template, forcings):
        normalised = normalization.InputsAndResiduals(graphcast.GraphCast(config, task), **scales)
        return autoregressive.Predictor(normalised)(inputs, targets_template=targets_template, forcings=forcings)

    return hk.without_apply_rng(hk.transform(predict))


def forecast(apply, params, inputs, targets, forcings):
    """Yields the steps one by one; `apply` computes one."""

    def one_step(rng, **arrays):
        return apply(params, **arrays)

    key = jax.random.key(0)  # of no effect
    yield from rollout.chunked_prediction_generator(one_step, key, inputs, targets, num_steps_per_chunk=1, forcings=forcings)


def weights(random, shapes, hidden_layers):
    """Every tensor random, scaled so that values stay of order one, also those of the normalised forecast."""
    output = 3**0.5  # of the decoder's input: three layer norms have been added up
    for _ in range(hidden_layers):
        output = np.sqrt(np.mean(jax.nn.swish(output * np.random.default_rng(0).normal(size=10**5)) ** 2))
    params = {}
    for module, tensors in sorted(shapes.items()):
        last, params[module] = f"_mlp/~/linear_{hidden_layers}", {}
        for name, tensor in sorted(tensors.items()):
            values = random.normal(size=tensor.shape)
            if name == "w":
                values *= tensor.shape[0] ** -0.5
            else:
                values = values * 0.1 + (name == "scale")
            if module.endswith(last) and "/encoder_" in module:
                values *= 0.01
            if module.endswith(last) and "/decoder_" in module:
                values /= output
            params[module][name] = values.astype(np.float32)
    return params


def write_netcdf(dataset, path):
    for name, variable in dataset.variables.items():
        variable.attrs = AXES[name] if name in AXES else FIELDS[name][1]
    dataset = dataset.assign_attrs(Conventions="CF-1.11")
    encoding = {name: dict(zlib=True, complevel=4) for name in dataset.data_vars}
    encoding["time"] = dict(units="hours since 1970-01-01", calendar="proleptic_gregorian", dtype="float64")
    dataset.to_netcdf(path, encoding=encoding)


def write_forecast(steps, start, path):
    dataset = xr.concat([step.isel(batch=0).map(np.asarray) for step in steps], "time")
    dataset = dataset.assign_coords(time=start + dataset.time).rename(lat="latitude", lon="longitude")
    fields = {name: dataset[known_as] for name, (known_as, _) in FIELDS.items() if known_as in dataset}
    write_netcdf(xr.Dataset(fields), path)


def open_case(folder):
    """Checkpoint, statistics and analyses that a case consists of, through the reference's own reader."""
    with open(folder / "params.npz", "rb") as file:
        published = checkpoint.load(file, graphcast.CheckPoint)
    return published, {name: xr.load_dataset(folder / f"{name}.nc") for name in STATISTICS}, xr.load_dataset(folder / "init.nc")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=pathlib.Path)
    parser.add_argument("--resolution", type=float, default=10.0, help="degrees")
    parser.add_argument("--mesh", type=int, default=2, help="how often the icosahedron is refined")
    parser.add_argument("--latent", type=int, default=32)
    parser.add_argument("--message-steps", type=int, default=4)
    parser.add_argument("--hidden-layers", type=int, default=1)
    parser.add_argument("--radius", type=float, default=0.6, help="of the longest edge of the finest mesh")
    parser.add_argument("--levels", default="13", help="13, 25 or 37, or hPa with commas")
    parser.add_argument("--precipitation", choices=["input", "output", "none"], default="input")
    parser.add_argument("--no-w", action="store_true", help="without the vertical velocity")
    parser.add_argument("--normalization-factor", type=float, help="of the edges from mesh to grid")
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--start", type=np.datetime64, default="2022-03-01T06", help="time of the later analysis")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--statics-only", action="store_true", help="all but the forecast")
    args = parser.parse_args()

    args.output.mkdir(parents=True, exist_ok=True)
    random, start = np.random.default_rng(args.seed), args.start.astype("datetime64[ns]")
    config = graphcast.ModelConfig(
        resolution=args.resolution, mesh_size=args.mesh, latent_size=args.latent, gnn_msg_steps=args.message_steps,
        hidden_layers=args.hidden_layers, radius_query_fraction_edge_length=args.radius,
        mesh2grid_edge_normalization_factor=args.normalization_factor,
    )  # fmt: skip
    task = task_config(args)
    for name, dataset in statistics(random).items():
        dataset.to_netcdf(args.output / f"{name}.nc", format="NETCDF3_64BIT")
    scales = {name: xr.load_dataset(args.output / f"{name}.nc") for name in STATISTICS}
    init = analyses(random, task, coordinates(args.resolution), start, scales["mean_by_level"], scales["stddev_by_level"])
    write_netcdf(init, args.output / "init.nc")
    shapes = jax.eval_shape(predictor(config, task, scales).init, jax.random.key(0), *batch(init, task, 1))
    params = weights(random, shapes, args.hidden_layers)
    about = dict(description="random weights", license="test")
    published = graphcast.CheckPoint(params=params, model_config=config, task_config=task, **about)
    with open(args.output / "params.npz", "wb") as file:
        checkpoint.dump(file, published)
    if not args.statics_only:
        published, scales, init = open_case(args.output)
        apply = jax.jit(predictor(published.model_config, published.task_config, scales).apply)
        steps = forecast(apply, published.params, *batch(init, published.task_config, args.steps))
        write_forecast(steps, start, args.output / "expected.nc")


if __name__ == "__main__":
    main()
