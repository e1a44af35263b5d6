"""Writes small parity cases for the networks of neural-lam 0.7.0.

    python networks.py OUTPUT_FOLDER [CASE ...]

Each case has a checkpoint with random weights (every parameter), the graph that create_graph makes for its grid, and
standardised inputs with the reference's own rollout. The rollout is computed from the files as they were written, by
the reference's own readers, so older checkpoint and graph layouts are known to load there too.
"""

import argparse
import datetime
import functools
import json
import pathlib
import shutil
import tempfile

import cartopy.crs
import numpy as np
import pytorch_lightning
import torch
import xarray as xr
from neural_lam.config import DatastoreSelection, NeuralLAMConfig, OutputClamping, TrainingConfig
from neural_lam.create_graph import METAINFO_FILENAME, create_graph_from_datastore
from neural_lam.datastore.base import BaseRegularGridDatastore, CartesianGridShape
from neural_lam.models import MODELS, ARForecaster, ForecasterModule
from neural_lam.train_model import build_predictor
from shared import randomise, write_cases

GNN_TYPES = ["g2m_gnn_type", "m2g_gnn_type", "mesh_up_gnn_type", "mesh_down_gnn_type"]
NEW_ARGUMENTS = [*GNN_TYPES, "num_sanity_val_steps", "runs_root", "train_steps_to_log"]  # those that 0.6 did not have
STEPS = 3
GRID = dict(nx=12, ny=28, dx=2500.0, dy=2500.0, boundary=2)  # two mesh levels, no ambiguous neighbours
# One column of mesh nodes in five lies near grid points: the others receive no message in the encoding. Smaller grids
# have fewer than three mesh levels.
TALL_GRID = dict(nx=4, ny=81, dx=37500.0, dy=2500.0, boundary=1)

# name -> what differs from the defaults of `arguments`; layout: which version's checkpoint (and graph) files
CASES = {
    "graph_lam_clamped": dict(
        hidden_dim=16,
        clamp=dict(lower={"state_feat_0": 0.0, "state_feat_1": -1.0}, upper={"state_feat_0": 2.5, "state_feat_3": 1.5}),
    ),
    "graph_lam_mean_std": dict(mesh_aggr="mean", output_std=True, hidden_layers=2),
    "graph_lam_propagation": dict(g2m_gnn_type="PropagationNet", m2g_gnn_type="PropagationNet", hidden_dim=12),
    "graph_lam_future_forcing": dict(num_past_forcing_steps=0, num_future_forcing_steps=2, processor_layers=3),
    "graph_lam_oldest_keys": dict(processor_layers=1, layout="oldest"),
    "hi_lam": dict(model="hi_lam"),
    # the reference passes mesh_aggr to graph_lam only: "mean" must change nothing here
    "hi_lam_propagation": dict(
        model="hi_lam", mesh_up_gnn_type="PropagationNet", mesh_down_gnn_type="PropagationNet", hidden_layers=2, mesh_aggr="mean",
        processor_layers=1,
    ),
    "hi_lam_0.6_legacy_graph": dict(model="hi_lam", processor_layers=1, layout="0.6"),
    "hi_lam_parallel": dict(model="hi_lam_parallel"),
    "hi_lam_parallel_3_levels": dict(model="hi_lam_parallel", hidden_layers=2, processor_layers=1, grid=TALL_GRID),
}  # fmt: skip


class RandomDatastore(BaseRegularGridDatastore):
    """Grid, features and statistics in memory; of the data themselves only the static fields exist."""

    coords_projection = cartopy.crs.LambertConformal()
    step_length = datetime.timedelta(hours=3)
    config = {}
    root_path = None

    def __init__(self, root, nx, ny, dx, dy, boundary, seed, features):
        random = np.random.default_rng(seed)
        self.root_path, self.features, self.shape = pathlib.Path(root), features, CartesianGridShape(x=nx, y=ny)
        x, y = -150000.0 + dx * np.arange(nx), 40000.0 + dy * np.arange(ny)
        self.xy = np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1)  # [nx, ny, 2], metres
        mask = np.ones((nx, ny), dtype=int)
        mask[boundary:-boundary, boundary:-boundary] = 0
        self.mask = xr.DataArray(mask.reshape(-1), dims="grid_index")
        self.static = random.normal(1.0, 2.0, (nx * ny, features["static"])).astype(np.float32)
        # quarters and powers of two: the limits below are exact in float32 once standardised
        self.statistics = {
            category: {"mean": random.integers(-8, 9, count) / 4, "std": 2.0 ** random.integers(-1, 3, count)}
            for category, count in features.items()
        }
        self.statistics["state"] |= {
            "diff_mean_standardized": random.normal(0.0, 0.05, features["state"]),
            "diff_std_standardized": random.uniform(0.2, 0.6, features["state"]),
        }

    def get_vars_names(self, category):
        return [f"{category}_feat_{index}" for index in range(self.features[category])]

    get_vars_long_names = get_vars_names

    def get_vars_units(self, category):
        return ["1"] * self.features[category]

    def get_num_data_vars(self, category):
        return self.features[category]

    def get_standardization_dataarray(self, category):
        statistics = self.statistics[category].items()
        return xr.Dataset({f"{category}_{name}": (f"{category}_feature", values) for name, values in statistics})

    def get_dataarray(self, category, split, standardize=False):
        if category != "static":
            raise NotImplementedError("the rollout takes its states and forcing directly")
        array = xr.DataArray(self.static, dims=("grid_index", "static_feature"))
        return self._standardize_datarray(array, category) if standardize else array

    def get_xy(self, category, stacked):
        return self.xy.reshape(-1, 2) if stacked else self.xy

    @functools.cached_property
    def boundary_mask(self):
        return self.mask

    @functools.cached_property
    def grid_shape_state(self):
        return self.shape

    @functools.cached_property
    def state_feature_weights_values(self):
        return [1.0] * self.features["state"]


def arguments(**changes):
    """The argument namespace that neural_lam.train_model stores in its checkpoints."""
    defaults = dict(
        config_path="config.yaml", model="graph_lam", seed=42, num_workers=2, num_nodes=1, devices=["auto"], precision="32",
        load=None, restore_opt=False, graph="multiscale", hidden_dim=8, hidden_layers=1, processor_layers=2, mesh_aggr="sum",
        output_std=False, **dict.fromkeys(GNN_TYPES, "InteractionNet"), epochs=80, batch_size=1, ar_steps_train=1,
        loss="wmse", lr=0.001, val_interval=5, num_sanity_val_steps=2, eval=None, ar_steps_eval=STEPS, n_example_pred=0,
        create_gif=False, logger="wandb", logger_project="neural_lam", logger_run_name=None, runs_root="runs",
        wandb_id=None, val_steps_to_log=[1], train_steps_to_log=[], metrics_watch=[], var_leads_metrics_watch={},
        num_past_forcing_steps=1, num_future_forcing_steps=1, load_single_member=False,
    )  # fmt: skip
    return argparse.Namespace(**{**defaults, **changes})


def build(args, config, datastore):
    """The reference's Lightning module: predictor, rollout and standardisation."""
    predictor = build_predictor(MODELS[args.model], args, config, datastore)
    return ForecasterModule(ARForecaster(predictor, datastore), config, datastore, args=args).eval()


def save_checkpoint(module, path, layout="0.7"):
    """What Lightning saves, without optimiser states; `layout` names the version whose keys it has."""
    trainer = pytorch_lightning.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False)
    trainer.strategy.connect(module)
    trainer.save_checkpoint(path, weights_only=True)
    if layout == "0.7":
        return
    checkpoint = torch.load(path, weights_only=False)
    parameters = checkpoint["hyper_parameters"]
    known = {name: value for name, value in vars(parameters["args"]).items() if name not in NEW_ARGUMENTS}
    checkpoint["hyper_parameters"] = {"args": argparse.Namespace(**known)}
    if layout == "0.6":
        checkpoint["hyper_parameters"]["config"] = parameters["config"]
    # 0.6 had one flat model class; before that the grid's own update belonged to the encoder
    tensors = {key.removeprefix("forecaster.predictor."): value for key, value in checkpoint["state_dict"].items()}
    if layout == "oldest":
        tensors = {key.replace("encoding_grid_mlp", "g2m_gnn.grid_mlp"): value for key, value in tensors.items()}
    checkpoint["state_dict"] = type(checkpoint["state_dict"])(tensors)
    torch.save(checkpoint, path)


def load_checkpoint(module, path):
    """Reads a checkpoint of any layout with the reference's own conversion."""
    checkpoint = torch.load(path, weights_only=False)
    module.on_load_checkpoint(checkpoint)
    module.load_state_dict(checkpoint["state_dict"])


def write_legacy_graph(folder, xy):
    """Turns a graph of create_graph into what 0.6 wrote: nodes numbered through all sets, positions over max |xy|."""

    def rewrite(name, convert):
        value = torch.load(folder / f"{name}.pt", weights_only=True)
        many = isinstance(value, list)
        torch.save([convert(v, level) for level, v in enumerate(value)] if many else convert(value, 0), folder / f"{name}.pt")

    def shift(senders, receivers):
        return lambda edges, level: edges + torch.tensor([[senders(level)], [receivers(level)]])

    sizes = [len(level) for level in torch.load(folder / "mesh_features.pt", weights_only=True)]
    first = np.cumsum([0, *sizes]).tolist()  # mesh levels from the bottom up, then the grid
    own, above, grid = (lambda level: first[level]), (lambda level: first[level + 1]), (lambda _: first[-1])
    rewrite("mesh_features", lambda position, _: position / float(np.abs(xy).max()))
    rewrite("m2m_edge_index", shift(own, own))
    rewrite("g2m_edge_index", shift(grid, own))
    rewrite("m2g_edge_index", shift(own, grid))
    if len(sizes) > 1:
        rewrite("mesh_up_edge_index", shift(own, above))
        rewrite("mesh_down_edge_index", shift(above, own))
    (folder / METAINFO_FILENAME).unlink()


def inputs(datastore, args, config, seed):
    """Standardised states and forcing in steps of 1/64, which compress well; values at and beyond every limit."""
    random = np.random.default_rng(seed)
    points, states = datastore.num_grid_points, datastore.features["state"]
    windows = datastore.features["forcing"] * (args.num_past_forcing_steps + 1 + args.num_future_forcing_steps)

    def draw(steps, width):
        return np.round(random.normal(0.0, 1.0, (1, steps, points, width)) * 64).astype(np.float32) / 64

    init, target, forcing = draw(2, states), draw(STEPS, states), draw(STEPS, windows)
    interior = np.flatnonzero(datastore.mask.values == 0)
    mean, std = datastore.statistics["state"]["mean"], datastore.statistics["state"]["std"]
    for limits in (config.training.output_clamping.lower, config.training.output_clamping.upper):
        for name, limit in limits.items():
            feature = int(name.rsplit("_", 1)[1])
            offsets = [0.0, 2.0**-22, -(2.0**-22), 1 / 64, -1 / 64, 1.0, -1.0, 19.5, -19.5, 25.0, -25.0]
            for offset, point in zip(offsets, random.choice(interior, len(offsets), replace=False)):
                init[0, :, point, feature] = (limit - mean[feature]) / std[feature] + offset
    return {"init": init, "target": target, "forcing": forcing}


def write_case(folder, seed, layout="0.7", grid=GRID, clamp=None, **changes):
    folder.mkdir(parents=True, exist_ok=True)
    args = arguments(**changes)
    args.graph = "multiscale" if args.model == "graph_lam" else "hierarchical"
    clamping = OutputClamping(**(clamp or {}))
    config = NeuralLAMConfig(DatastoreSelection("mdp", "datastore.yaml"), TrainingConfig(output_clamping=clamping))
    with tempfile.TemporaryDirectory() as root:
        datastore = RandomDatastore(root, seed=seed, features=dict(state=5, forcing=2, static=2), **grid)
        graph = datastore.root_path / "graph" / args.graph
        create_graph_from_datastore(datastore, str(graph), hierarchical=args.model != "graph_lam")
        if layout == "0.6":
            write_legacy_graph(graph, datastore.xy)
        shutil.copytree(graph, folder / "graph", dirs_exist_ok=True)
        module, fresh = build(args, config, datastore), build(args, config, datastore)
        randomise(module, seed)
        save_checkpoint(module, folder / "checkpoint.ckpt", layout)
        load_checkpoint(fresh, folder / "checkpoint.ckpt")
        arrays = inputs(datastore, args, config, seed)
        with torch.no_grad():
            init, target, forcing = (torch.from_numpy(arrays[name]) for name in ("init", "target", "forcing"))
            prediction, deviation = fresh.forecaster(init, forcing, target)
        arrays["pred_norm"] = prediction.numpy()
        if deviation is not None:
            arrays["pred_std"] = deviation.numpy()
        if not all(np.isfinite(array).all() for array in arrays.values()):
            raise SystemExit(f"{folder.name}: the rollout is not finite; choose another seed or smaller weights")
        np.savez_compressed(
            folder / "io.npz", **arrays, boundary_mask=datastore.mask.values.astype(np.float32),
            grid_static=fresh.forecaster.predictor.grid_static_features.numpy(), xy=datastore.xy.reshape(-1, 2),
            **{f"state_{name}": values for name, values in datastore.statistics["state"].items()},
        )  # fmt: skip
        described = ["model", "hidden_dim", "hidden_layers", "processor_layers", "mesh_aggr", *GNN_TYPES, "output_std"]
        described += ["num_past_forcing_steps", "num_future_forcing_steps"]
        case = {name: getattr(args, name) for name in described}
        case |= {"clamp": {"lower": clamping.lower, "upper": clamping.upper}, "xy_extent": datastore.get_xy_extent("state")}
        (folder / "config.json").write_text(json.dumps(case, indent=1) + "\n")


if __name__ == "__main__":
    write_cases(__doc__, CASES, write_case, 1)
