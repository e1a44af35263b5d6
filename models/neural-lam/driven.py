"""Writes whole small cases of neural-lam's research branch, whose boundary is a dataset of its own.

    PYTHONPATH=NEURAL_LAM_DEV python driven.py OUTPUT_FOLDER

NEURAL_LAM_DEV is a checkout of the branch `research` of joeloskarsson/neural-lam-dev (f214936). As in `artifact.py` the
fields are made up, on DANRA's projection, and the weights are random. Everything between is the genuine chain:
mllam-data-prep crops the boundary and makes the statistics, the branch cuts the windows, encodes the differences in time
and rolls out. The graphs are made here, in the format of its triangular ones.
"""

import argparse
import json
import pathlib
import shutil
import tempfile

import mllam_data_prep
import numpy as np
import pytorch_lightning
import torch
import xarray as xr
import yaml
from neural_lam.config import load_config_and_datastores
from neural_lam.models import GraphLAM, HiLAM
from neural_lam.weather_dataset import WeatherDataset
from scipy.spatial import KDTree
from shared import (
    STEP_HOURS, TRAINING, datastore_config, inside, randomise, stores, waves, write_cases, write_expected, write_netcdf,
    write_yaml, write_zip,
)  # fmt: skip

STEPS = 4
INPUTS = np.datetime64("2020-03-27T00", "ns"), 10
INIT_TIME = np.datetime64("2020-03-27T06", "ns")
HOUR = np.timedelta64(1, "h")
MODELS = {"graph_lam": GraphLAM, "hi_lam": HiLAM}
LEVELS = [1000, 500]  # hPa, of the model
STATISTICS = {"ops": ["mean", "std", "diff_mean", "diff_std"]}

# name -> arguments of the training, and what the boundary is
CASES = {
    # a ring of analyses every 6 h on a grid of 0.25 degrees, cropped around the interior; an artifact with two datastores
    "ring_of_analyses": dict(
        spacing=0.25, margin=0.8, forecasts=False, artifact=True,
        model="hi_lam", hidden_dim=12, hidden_dim_grid=8, time_delta_enc_dim=6, dynamic_time_deltas=True,
        num_past_boundary_steps=1, num_future_boundary_steps=1, processor_layers=2,
    ),
    # a driving model's forecasts every 6 h, all points of a coarse grid; an unpacked training folder
    "forecasts_around": dict(
        spacing=1.0, margin=None, forecasts=True, artifact=False,
        model="graph_lam", hidden_dim=8, hidden_dim_grid=None, time_delta_enc_dim=None, dynamic_time_deltas=False,
        num_past_boundary_steps=1, num_future_boundary_steps=2, processor_layers=1,
    ),
}  # fmt: skip


def arguments(**changes):
    """The argument namespace that the branch's train_model stores in its checkpoints."""
    defaults = dict(
        config_path="config.yaml", seed=42, num_workers=2, num_nodes=1, epochs=80, batch_size=1, load=None, precision=32,
        graph_name="made_up", hidden_layers=1, mesh_aggr="sum", output_std=False, shared_grid_embedder=False,
        ar_steps_train=1, loss="wmse", lr=0.001, min_lr=0.0001, grad_checkpointing=False, eval=None, ar_steps_eval=STEPS,
        n_example_pred=0, plot_vars=[], num_past_forcing_steps=1, num_future_forcing_steps=1, interior_subsample_step=1,
        boundary_subsample_step=1,
    )  # fmt: skip
    return argparse.Namespace(**{**defaults, **changes})


def driving_store(first, count, hours, spacing):
    """Fields of a global model around the interior, (time, level, latitude, longitude), from the north."""
    times = first + np.arange(count) * hours * HOUR
    longitude, latitude = np.arange(0.0, 13.0, spacing), np.arange(60.0, 50.0, -spacing)
    flat = xr.Dataset(coords=dict(time=times, x=longitude * 60e3, y=latitude * 111e3))
    levels = np.array([500, 850, 1000])
    wind = np.stack([10 - level / 200 + 6 * waves(40 + level, flat) for level in levels], axis=1)
    store = xr.Dataset(
        {
            "u_component_of_wind": (("time", "level", "latitude", "longitude"), np.round(wind * 16) / 16),
            "mean_sea_level_pressure": (("time", "latitude", "longitude"), np.round(101300 + 600 * waves(41, flat))),
            "land_sea_mask": (("latitude", "longitude"), np.clip(np.round(8 * waves(42, flat, steady=True)[0]) / 8, 0, 1)),
        },
        coords=dict(time=times, level=levels, latitude=latitude, longitude=longitude),
    ).astype(np.float32)
    store = store.assign_coords(latitude=latitude, longitude=longitude, level=levels)
    names = {
        "u_component_of_wind": ("m s**-1", "eastward_wind"), "mean_sea_level_pressure": ("Pa", "air_pressure_at_mean_sea_level"),
        "land_sea_mask": ("(0 - 1)", "land_binary_mask"), "latitude": ("degrees_north", "latitude"),
        "longitude": ("degrees_east", "longitude"), "level": ("hPa", "air_pressure"),
    }  # fmt: skip
    for name, (units, standard_name) in names.items():
        store[name].attrs = dict(units=units, standard_name=standard_name, long_name=name.replace("_", " "))
    return store


def runs(store, first, count):
    """The same as forecasts: a start every 12 h, leads every 6 h to 36 h."""
    starts, leads = first + np.arange(count) * 12 * HOUR, np.arange(0, 42, 6) * HOUR
    valid = xr.DataArray(starts[:, None] + leads, dims=("analysis_time", "elapsed_forecast_duration"))
    timed = [name for name in store.data_vars if "time" in store[name].dims]
    picked = store[timed].sel(time=valid).drop_vars("time")
    return picked.assign_coords(analysis_time=starts, elapsed_forecast_duration=leads).merge(store.drop_vars([*timed, "time"]))


def driving_config(case, path, spans):
    """What the training gave to mllam-data-prep for the boundary."""
    axes = ["analysis_time", "elapsed_forecast_duration"] if case["forecasts"] else ["time"]
    place = {"x": {"method": "rename", "dim": "longitude"}, "y": {"method": "rename", "dim": "latitude"}}
    # cropping looks for latitudes and longitudes by their names
    place, stacked = ({}, ["longitude", "latitude"]) if case["margin"] else (place, ["x", "y"])

    def source(target, variables, timed=True, levels=False, **more):
        name_format = "{var_name}{level}hPa" if levels else "{var_name}"
        dims = {"dims": ["level"]} if levels else {}
        mapping = {
            **({axis: {"method": "rename", "dim": axis} for axis in axes} if timed else {}), **place,
            f"{target}_feature": {"method": "stack_variables_by_var_name", "name_format": name_format, **dims},
            "grid_index": {"method": "stack", "dims": stacked},
        }  # fmt: skip
        return {
            "path": path, "dims": [*(axes if timed else []), "longitude", "latitude", *dims.get("dims", [])],
            "variables": variables, "dim_mapping": mapping, "target_output_variable": target, **more,
        }  # fmt: skip

    sun = {
        "function": "mllam_data_prep.ops.derive_variable.physical_field.calculate_toa_radiation",
        "kwargs": {"time": "ds_input.time", "lat": "ds_input.latitude", "lon": "ds_input.longitude"},
    }
    derived = {} if case["forecasts"] else {"derived_variables": {"toa_radiation": sun}}
    statistics = {"compute_statistics": {**STATISTICS, "dims": ["grid_index", *axes]}}
    config = {
        "schema_version": "v0.6.0",
        "dataset_version": "v0.1.0",
        "output": {
            "variables": {"static": ["grid_index", "static_feature"], "forcing": [*axes, "grid_index", "forcing_feature"]},
            "coord_ranges": {axes[0]: dict(zip(("start", "end"), spans)) | ({} if len(axes) > 1 else {"step": "PT6H"})},
            "chunking": {axes[0]: 1},
            "splitting": {
                "dim": axes[0],
                "splits": {
                    split: dict(zip(("start", "end"), spans)) | (statistics if split == "train" else {})
                    for split in ("train", "val", "test")
                },
            },
        },
        "inputs": {
            "driving_levels": source(
                "forcing", {"u_component_of_wind": {"level": {"values": LEVELS, "units": "hPa"}}}, levels=True
            ),
            "driving_surface": source("forcing", ["mean_sea_level_pressure"], **derived),
            "driving_static": source("static", ["land_sea_mask"], timed=False),
        },
        "extra": {"projection": {"class_name": "PlateCarree", "kwargs": {"central_longitude": 0.0}}},
    }
    if len(axes) > 1:
        config["output"]["coord_ranges"]["elapsed_forecast_duration"] = {"start": "PT0H", "end": "PT36H", "step": "PT6H"}
    if case["margin"]:
        config["output"]["domain_cropping"] = {
            "margin_width_degrees": case["margin"], "interior_dataset_config_path": "danra.datastore.yaml",
            "include_interior_points": False,
        }  # fmt: skip
    return config


def edges(senders, receivers, pairs, unit):
    """Index and features of edges: length, and the direction in three dimensions."""
    pairs = np.asarray(pairs).T
    difference = (senders[pairs[0]] - receivers[pairs[1]]) / unit
    features = np.concatenate([np.linalg.norm(difference, axis=1, keepdims=True), difference], axis=1)
    return torch.tensor(pairs, dtype=torch.long), torch.tensor(features, dtype=torch.float32)


def on_sphere(places):
    longitude, latitude = np.radians(places.T)
    return np.stack([np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude)], axis=1)


def write_graph(folder, interior, boundary, hierarchical):
    """A mesh of latitudes and longitudes, as the branch's triangular graphs are written: ready-made features."""
    folder.mkdir(parents=True)
    places = np.concatenate([interior, boundary]).astype(np.float32).astype(float)
    points, unit = on_sphere(places), 0.02
    low, high = places.min(0), places.max(0)
    sizes = [(9, 10), (4, 5)] if hierarchical else [(8, 9)]
    meshes = [np.stack(np.meshgrid(*(np.linspace(l, h, n) for l, h, n in zip(low, high, size))), -1).reshape(-1, 2) for size in sizes]
    vectors = [on_sphere(mesh) for mesh in meshes]
    trees = [KDTree(vector) for vector in vectors]

    def near(points, tree, count):
        return [(i, int(j)) for i, found in enumerate(tree.query(points, count)[1]) for j in np.atleast_1d(found)]

    within = [edges(v, v, [(j, i) for i, j in near(v, t, 6) if i != j], unit) for v, t in zip(vectors, trees)]
    # every grid point sends, and every mesh node hears somebody
    pairs = sorted(set(near(points, trees[0], 2)) | {(j, i) for i, j in near(vectors[0], KDTree(points), 2)})
    saved = {
        "m2m": within, "g2m": edges(points, vectors[0], pairs, unit),
        "m2g": edges(vectors[0], points[: len(interior)], [(j, i) for i, j in near(points[: len(interior)], trees[0], 3)], unit),
    }  # fmt: skip
    if hierarchical:
        up = near(vectors[0], trees[1], 2)
        saved["mesh_up"] = [edges(vectors[0], vectors[1], up, unit)]
        saved["mesh_down"] = [edges(vectors[1], vectors[0], [(j, i) for i, j in up], unit)]
    for name, value in saved.items():
        for part, kind in enumerate(("edge_index", "features")):
            content = [level[part] for level in value] if isinstance(value, list) else value[part]
            torch.save(content, folder / f"{name}_{kind}.pt")
    positions = [torch.tensor(vector, dtype=torch.float32) for vector in vectors]
    torch.save(positions, folder / "m2m_node_features.pt")
    torch.save([torch.tensor(mesh, dtype=torch.float32) for mesh in meshes], folder / "mesh_lat_lon.pt")
    torch.save(torch.tensor(places, dtype=torch.float32), folder / "grid_lat_lon.pt")


def prepare(name, config, folder, times=None):
    """Runs mllam-data-prep on a configuration, kept beside its result; with `times`, on these in place of its own."""
    config = json.loads(json.dumps(config))
    if times:
        config["output"]["coord_ranges"] = {}
        for split in config["output"]["splitting"]["splits"].values():
            split.pop("compute_statistics", None)
            split |= times
    write_yaml(folder / f"{name}.datastore.yaml", config)
    return mllam_data_prep.create_dataset(mllam_data_prep.Config.from_yaml_file(folder / f"{name}.datastore.yaml"))


def statistics_of(dataset):
    return dataset[[name for name in dataset.data_vars if "__train__" in name]].drop_encoding().load()


def boundary_inputs(case, training):
    """The driving model's data of the training, or of the inputs: as they are, and as datastores read them."""
    first, count = TRAINING if training else INPUTS
    flat = driving_store(first - 24 * HOUR, (count * STEP_HOURS + 96) // 6, 6, case["spacing"])
    if not case["forecasts"]:
        return flat, flat
    forecasts = runs(flat, first - 12 * HOUR, count * STEP_HOURS // 12 + 1)
    start = INIT_TIME - 6 * HOUR
    return flat.sel(time=slice(start, start + 36 * HOUR)), forecasts


def span(dataset, forecasts):
    times = dataset["analysis_time" if forecasts else "time"].values.astype("datetime64[m]")
    return {"start": str(times[0]), "end": str(times[-1])}


def write_case(folder, seed, spacing, margin, forecasts, artifact, **changes):
    case = dict(spacing=spacing, margin=margin, forecasts=forecasts)
    shutil.rmtree(folder, ignore_errors=True)
    training, inputs, expected = folder / "training", folder / "inputs", folder / "expected"
    for path in (training, inputs):
        path.mkdir(parents=True)
    args = arguments(**changes)
    selection = [{"kind": "mdp", "config_path": f"{name}.datastore.yaml"} for name in ("danra", "driving")]
    weighting = {"state_feature_weighting": {"__config_class__": "UniformFeatureWeighting"}}
    limits = {"output_clamping": {"lower": {"r500": 0}, "upper": {"r850": 1}}} if artifact else {}
    own = {"datastore": selection[0], "datastore_boundary": selection[1], "training": weighting | limits}
    interior_config = datastore_config()

    # the training's statistics
    with tempfile.TemporaryDirectory() as temporary, inside(temporary):
        work = pathlib.Path(temporary)
        for name, store in stores(*TRAINING).items():
            store.to_zarr(f"train/{name}.zarr")
        _, driving = boundary_inputs(case, True)
        driving.to_zarr("train/driving.zarr")
        spans = span(driving, forecasts).values()
        boundary_config = driving_config(case, "train/driving.zarr", spans)
        interior_training = prepare("danra", interior_config, work).load()
        boundary_training = prepare("driving", boundary_config, work).load()
        for name in ("danra", "driving"):
            shutil.copy(f"{name}.datastore.yaml", training)
        statistics = {"danra": statistics_of(interior_training), "driving": statistics_of(boundary_training)}
        # the boundary's whole dataset but for its data, so that the places of its points are told
        whole = boundary_training.drop_vars(["forcing", "static", "splits"]).drop_encoding()
        for dataset in (whole, *statistics.values()):
            dataset.attrs = {"created_on": "2020-04-01T00:00:00"}

    with tempfile.TemporaryDirectory() as temporary, inside(temporary):
        work = pathlib.Path(temporary)
        plain, driving = boundary_inputs(case, False)
        for name, store in {**stores(*INPUTS), "driving": plain}.items():
            write_netcdf(store, inputs / f"{name}.nc")
        driving.to_zarr("train/driving.zarr")
        for source in interior_config["inputs"].values():
            source["path"] = str(inputs / f"{pathlib.Path(source['path']).stem}.nc")
        last = INPUTS[0] + (INPUTS[1] - 1) * STEP_HOURS * HOUR
        times = {"start": str(INPUTS[0].astype("datetime64[m]")), "end": str(last.astype("datetime64[m]"))}
        for name, config, when in (("danra", interior_config, times), ("driving", boundary_config, span(driving, forecasts))):
            dataset = prepare(name, config, work, when)
            for variable in statistics[name].data_vars:
                dataset[variable] = statistics[name][variable]
            dataset.drop_encoding().to_zarr(f"{name}.datastore.zarr")
        write_yaml(work / "config.yaml", own)
        config, interior, boundary = load_config_and_datastores("config.yaml")
        graph = work / "graphs" / args.graph_name
        write_graph(graph, interior.get_lat_lon("state"), boundary.get_lat_lon("forcing"), args.model == "hi_lam")

        def build():
            return MODELS[args.model](args, config=config, datastore=interior, datastore_boundary=boundary).eval()

        trained, fresh = build(), build()
        randomise(trained, seed)
        checkpoint = training / "last.ckpt"
        # what Lightning saves, but for the datasets that the branch saves along
        torch.save(
            {
                "pytorch-lightning_version": pytorch_lightning.__version__, "epoch": 3, "global_step": 40,
                "state_dict": trained.state_dict(), "hyper_parameters": {"args": args, "config": config},
            },
            checkpoint,
        )  # fmt: skip
        fresh.load_state_dict(torch.load(checkpoint, weights_only=False)["state_dict"])
        windows = ("past_forcing", "future_forcing", "past_boundary", "future_boundary")
        windows = {f"num_{name}_steps": getattr(args, f"num_{name}_steps") for name in windows}
        dataset = WeatherDataset(
            interior, boundary, split="test", ar_steps=STEPS, dynamic_time_deltas=args.dynamic_time_deltas, **windows
        )
        first_target = (INIT_TIME + STEP_HOURS * HOUR).astype("datetime64[ns]").astype(int)
        item = next(dataset[i] for i in range(len(dataset)) if dataset[i][4][0].item() == first_target)
        init, target, forcing, told, target_times = (part.unsqueeze(0) for part in item)
        with torch.no_grad():
            prediction, _ = fresh.unroll_prediction(init, forcing, told)
            physical = prediction * fresh.state_std + fresh.state_mean
        if not torch.isfinite(physical).all():
            raise SystemExit(f"{folder.name}: the rollout is not finite; choose another seed")
        array = dataset.create_dataarray_from_tensor(physical[0], target_times[0].numpy().astype("datetime64[ns]"), "state")
        write_expected(interior.unstack_grid_coords(array), expected)
        nodes = len(boundary.get_lat_lon("forcing"))

        if artifact:
            unpacked = work / "artifact"
            (unpacked / "configs").mkdir(parents=True)
            both = {"interior": selection[0], "global": selection[1]}
            write_yaml(unpacked / "configs" / "config.yaml", {"datastores": both, "training": own["training"]})
            for name in ("danra", "driving"):
                shutil.move(training / f"{name}.datastore.yaml", unpacked / "configs")
                statistics[name].to_zarr(unpacked / "stats" / f"{name}.datastore.stats.zarr", zarr_format=2)
            shutil.move(checkpoint, unpacked / "checkpoint.pkl")
            training.rmdir()
            write_zip(unpacked, folder / "artifact.zip")
            shutil.copytree(graph, folder / "graph")
            (folder / "params.toml").write_text('graph = "graph"\n')
        else:
            write_yaml(training / "config.yaml", own)
            statistics["danra"].to_zarr(training / "danra.datastore.stats.zarr", zarr_format=2)
            whole.to_zarr(training / "driving.datastore.zarr", zarr_format=2)
            shutil.copytree(graph, training / "graphs" / args.graph_name)
            # the dataset tells the places, too
            (training / "graphs" / args.graph_name / "grid_lat_lon.pt").unlink()
    told = dict(init_time=str(INIT_TIME.astype("datetime64[m]")), steps=STEPS, boundary_nodes=nodes)
    (folder / "case.json").write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    write_cases(__doc__, CASES, write_case, 11)
