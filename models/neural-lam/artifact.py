"""Writes a whole small case: raw stores, an inference artifact of DMI's layout, and the reference's forecast.

    python artifact.py OUTPUT_FOLDER

The fields are made up, on DANRA's projection; the weights are random. Everything between is the genuine chain:
mllam-data-prep makes the training statistics and turns the inputs into features, neural-lam builds the graph, cuts
the windows, standardises and rolls out with the boundary overwritten.
"""

import argparse
import importlib.metadata
import json
import pathlib
import shutil
import tempfile

import mllam_data_prep
import numpy as np
import torch
import xarray as xr
import yaml
from mllam_data_prep.create_dataset import create_dataset_zarr
from neural_lam.config import NeuralLAMConfig
from neural_lam.create_graph import create_graph_from_datastore
from neural_lam.datastore.mdp import MDPDatastore
from neural_lam.weather_dataset import WeatherDataset
from networks import arguments, build, load_checkpoint, save_checkpoint
from shared import (
    GRID, INPUTS, MODEL_LEVELS, STEP_HOURS, TRAINING, datastore_config, inside, quieten, randomise, stores, write_expected,
    write_netcdf, write_yaml, write_zip,
)  # fmt: skip

NAME = "danra_hi_lam"
STEPS, BOUNDARY, SEED = 4, 4, 7
INIT_TIME = np.datetime64("2020-03-27T06", "ns")
CLAMPING = {"lower": {"r500": 0, "r850": 0}, "upper": {"r850": 1, "t2m": 290}}


def write_artifact(folder, args):
    """Configurations, training statistics and settings of a training run: an artifact but for its checkpoint."""
    configs = folder / "configs"
    configs.mkdir(parents=True)
    clamping = {"output_clamping": CLAMPING, "state_feature_weighting": {"__config_class__": "UniformFeatureWeighting"}}
    datastore = {"kind": "mdp", "config_path": "danra.datastore.yaml"}
    write_yaml(configs / "config.yaml", {"datastore": datastore, "training": clamping})
    write_yaml(configs / "danra.datastore.yaml", datastore_config())
    with tempfile.TemporaryDirectory() as training, inside(training):
        for name, store in stores(*TRAINING).items():
            store.to_zarr(f"train/{name}.zarr")
        create_dataset_zarr(configs / "danra.datastore.yaml", "danra.datastore.zarr")
        dataset = xr.open_zarr("danra.datastore.zarr").load()
        statistics = dataset[[name for name in dataset.data_vars if "__train__" in name]]
        statistics.attrs["created_on"] = "2020-04-01T00:00:00"
        statistics.to_zarr(folder / "stats" / "danra.datastore.stats.zarr")
    # as DMI's training scripts leave it: unexpanded shell variables, some numbers as strings, defaults left out
    told = dict(num_workers=2, precision=32, batch_size=1, hidden_dim=args.hidden_dim, config_path="${CONFIG}", model=args.model)
    told |= dict(processor_layers=args.processor_layers, graph=args.graph, num_nodes="$SLURM_JOB_NUM_NODES", epochs=80)
    told |= dict(ar_steps_train=1, lr=0.001, val_interval=5, ar_steps_eval=STEPS, val_steps_to_log="1")
    write_yaml(folder / "training_cli_args.yaml", [{name: value} for name, value in told.items()])
    provenance = dict(artifact_name=NAME, checkpoint_path="last.ckpt", config_path="config.yaml", mlwm_version="unknown")
    write_yaml(folder / "artifact.yaml", provenance | {"mllam_data_prep_version": mllam_data_prep.__version__})


def open_datastore(artifact, inputs, work, boundary):
    """The inputs as neural-lam sees them, with the artifact's statistics, and the graph for their grid."""
    selection = NeuralLAMConfig.from_yaml_file(str(artifact / "configs" / "config.yaml"))
    path = work / selection.datastore.config_path
    config = yaml.safe_load((artifact / "configs" / path.name).read_text())
    for source in config["inputs"].values():
        source["path"] = str(inputs / f"{pathlib.Path(source['path']).stem}.nc")
    times = xr.open_dataset(inputs / "single_levels.nc").time.values.astype("datetime64[m]")
    del config["output"]["coord_ranges"]
    everything = {"start": str(times[0]), "end": str(times[-1])}
    config["output"]["splitting"]["splits"] = {split: everything for split in ("train", "val", "test")}
    write_yaml(path, config)
    dataset = mllam_data_prep.create_dataset(mllam_data_prep.Config.from_yaml_file(path))
    statistics = xr.open_zarr(next((artifact / "stats").glob("*.stats.zarr")))
    for name in statistics.data_vars:
        dataset[name] = statistics[name].drop_encoding()
    dataset.to_zarr(path.with_suffix(".zarr"))
    datastore = MDPDatastore(path, n_boundary_points=boundary)
    for graph, hierarchical in (("multiscale", False), ("hierarchical", True)):
        create_graph_from_datastore(datastore, str(work / "graph" / graph), hierarchical=hierarchical)
    return selection, datastore


def forecast(module, datastore, init_time, steps):
    """The reference's forecast, standardised [step, grid point, feature], and in physical units (time, x, y, feature)."""
    parameters = module.hparams.args
    windows = dict(
        num_past_forcing_steps=parameters.num_past_forcing_steps, num_future_forcing_steps=parameters.num_future_forcing_steps
    )
    dataset = WeatherDataset(datastore, split="test", ar_steps=steps, **windows)
    first_target = init_time + np.timedelta64(STEP_HOURS, "h")
    index = next(i for i in range(len(dataset)) if dataset[i][3][0].item() == first_target.astype("datetime64[ns]").astype(int))
    batch = module.on_after_batch_transfer(tuple(part.unsqueeze(0) for part in dataset[index]), 0)
    with torch.no_grad():
        standardised, _, _, times = module.common_step(batch)
        physical = standardised * module.state_std + module.state_mean
    array = dataset.create_dataarray_from_tensor(physical[0], times[0].numpy().astype("datetime64[ns]"), "state")
    return standardised[0].numpy(), datastore.unstack_grid_coords(array)


def write_case(folder):
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "inputs").mkdir(parents=True)
    for name, store in stores(*INPUTS).items():
        write_netcdf(store, folder / "inputs" / f"{name}.nc")
    args = arguments(model="hi_lam", graph="hierarchical", hidden_dim=8, seed=SEED, ar_steps_eval=STEPS)
    with tempfile.TemporaryDirectory() as temporary:
        work, artifact = pathlib.Path(temporary), pathlib.Path(temporary) / "artifact"
        write_artifact(artifact, args)
        config, datastore = open_datastore(artifact, folder / "inputs", work, BOUNDARY)
        trained, module = build(args, config, datastore), build(args, config, datastore)
        randomise(trained, SEED)
        save_checkpoint(trained, artifact / "checkpoint.pkl")
        load_checkpoint(module, artifact / "checkpoint.pkl")
        _, prediction = forecast(module, datastore, INIT_TIME, STEPS)
        write_zip(artifact, folder / "artifact.zip")
        write_expected(prediction, folder / "expected")
        features = {f"{category}_features": datastore.get_vars_names(category) for category in ("state", "forcing", "static")}
    (folder / "params.toml").write_text(f"n_boundary_points = {BOUNDARY}\n")
    packages = ("neural-lam", "mllam-data-prep", "torch", "zarr", "xarray", "scipy")
    case = dict(
        name=NAME, model=args.model, nx=GRID["nx"], ny=GRID["ny"], n_boundary_points=BOUNDARY, steps=STEPS,
        step_hours=STEP_HOURS, init_time=str(INIT_TIME.astype("datetime64[m]")), pressure_levels=MODEL_LEVELS,
        clamping=CLAMPING, **features, versions={name: importlib.metadata.version(name) for name in packages},
    )  # fmt: skip
    (folder / "case.json").write_text(json.dumps(case, indent=1) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=pathlib.Path)
    args = parser.parse_args()
    quieten()
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)
    write_case(args.output.resolve() / NAME)


if __name__ == "__main__":
    main()
