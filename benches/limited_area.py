"""Our forecast over a limited area against the PyTorch reference: same weights, same stores, same steps, same threads.

    python benches/limited_area.py [--model graph_lam] [--side 252] [--hidden 64] [--layers 4] [--steps 4] [--rounds 3] [--json FILE]

Makes an inference artifact with random weights and stores on a grid of `side` × `side` points by the genuine chain
(`models/neural-lam/artifact.py`), which takes minutes; `--folder` keeps them for the next time. Then the two take turns. Told are
medians and their ratio: the steps alone, the whole process, and peak resident memory; and how far the two forecasts are apart
after the last step.
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import time
import tomllib

import common
from common import ROOT

sys.path.insert(0, str(ROOT / "models/neural-lam"))
BOUNDARY = 10


def prepare(args):
    """Stores, artifact, and the datastore and graph as the reference needs them."""
    import artifact
    import networks
    import shared

    shared.quieten()
    folder = args.folder
    (folder / "inputs").mkdir(parents=True)
    artifact.GRID.update(nx=args.side, ny=args.side)
    artifact.TRAINING = shared.TRAINING = shared.TRAINING[0], 24
    for name, store in artifact.stores(*artifact.INPUTS).items():
        store.to_netcdf(folder / "inputs" / f"{name}.nc")
    hierarchical = args.model != "graph_lam"
    settings = networks.arguments(
        model=args.model, graph="hierarchical" if hierarchical else "multiscale", hidden_dim=args.hidden,
        processor_layers=args.layers, seed=artifact.SEED, ar_steps_eval=args.steps,
    )  # fmt: skip
    artifact.write_artifact(folder / "artifact", settings)
    (folder / "work").mkdir()
    config, datastore = artifact.open_datastore(folder / "artifact", folder / "inputs", folder / "work", BOUNDARY)
    trained = networks.build(settings, config, datastore)
    networks.randomise(trained, artifact.SEED)
    networks.save_checkpoint(trained, folder / "artifact" / "checkpoint.pkl")
    artifact.write_zip(folder / "artifact", folder / "artifact.zip")
    (folder / "params.toml").write_text(f"n_boundary_points = {BOUNDARY}\n")
    command = [args.program, "models", "import", folder / "artifact.zip", "--params", folder / "params.toml"]
    subprocess.run([*command, "--output", folder / "package"], check=True, stdout=sys.stderr)


def reference(args):
    """In a process of its own: the reference's rollout."""
    import networks
    import shared
    import numpy as np
    import torch
    from neural_lam.config import NeuralLAMConfig
    from neural_lam.datastore.mdp import MDPDatastore
    from neural_lam.weather_dataset import WeatherDataset

    shared.quieten()
    torch.set_num_threads(args.threads)
    folder = args.folder
    config = NeuralLAMConfig.from_yaml_file(str(folder / "artifact/configs/config.yaml"))
    datastore = MDPDatastore(folder / "work" / config.datastore.config_path, n_boundary_points=BOUNDARY)
    checkpoint = folder / "artifact/checkpoint.pkl"
    settings = torch.load(checkpoint, weights_only=False)["hyper_parameters"]["args"]
    module = networks.build(settings, config, datastore)
    networks.load_checkpoint(module, checkpoint)
    dataset = WeatherDataset(datastore, split="test", ar_steps=args.steps, num_past_forcing_steps=1, num_future_forcing_steps=1)
    batch = module.on_after_batch_transfer(tuple(part.unsqueeze(0) for part in dataset[1]), 0)
    if args.reference == "count":
        moved = [batch[0], *(part[:, :1] for part in batch[1:3])]
        counted = common.count_operations(lambda: module.common_step(batch), [module], moved)
        return print(json.dumps({"flops": counted["flops"] / args.steps, "least_bytes": counted["least_bytes"]}))
    started = time.perf_counter()
    with torch.inference_mode():
        standardised = module.common_step(batch)[0]
    seconds = time.perf_counter() - started
    physical = standardised * module.state_std + module.state_mean
    times = batch[3][0].numpy().astype("datetime64[ns]")
    array = dataset.create_dataarray_from_tensor(physical[0], torch.from_numpy(times.astype(int)).numpy().astype("datetime64[ns]"), "state")
    array = datastore.unstack_grid_coords(array.isel(time=-1))
    np.save(args.reference, array.transpose("state_feature", "y", "x").values)
    print(json.dumps({"step_seconds": seconds, "peak_resident_bytes": common.own_peak()}))


def main():
    parser = common.arguments(__doc__)
    parser.add_argument("--model", choices=["graph_lam", "hi_lam", "hi_lam_parallel"], default="graph_lam")
    parser.add_argument("--side", type=int, default=252)
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--folder", type=pathlib.Path, help="what is made once")
    parser.add_argument("--reference", help=common.argparse.SUPPRESS)
    args = parser.parse_args()
    if args.reference:
        return reference(args)

    import numpy as np

    report = common.Report(args.model, args)
    what = f"{args.model}, {args.side} × {args.side} points, width {args.hidden}, {args.layers} layers"
    with tempfile.TemporaryDirectory() as temporary:
        args.folder = (args.folder or pathlib.Path(temporary) / "case").resolve()
        if not args.folder.exists():
            common.progress("making stores, artifact and graph")
            prepare(args)
        package = args.folder / "package"
        stores = [args.folder / f"inputs/{name}.nc" for name in ("single_levels", "pressure_levels")]
        inputs = ["--init", *stores, "--boundary", *stores, "--reference-time", "2020-03-27T06:00Z"]
        final = f"{temporary}/reference.npy"
        theirs = [sys.executable, __file__, "--folder", args.folder, "--threads", args.threads, "--steps", args.steps]

        def ours(n):
            return common.forecast_command(args, package, f"{temporary}/{n}.zarr", args.steps, *inputs)

        common.compare_forecasts(
            report, what, "PyTorch", args.steps, ours, lambda _: [*theirs, "--reference", final], [*theirs, "--reference", "count"]
        )
        channels = [c for c in tomllib.loads((package / "model.toml").read_text())["channel"] if c["role"] == "prognostic"]
        fields = common.last_step(f"{temporary}/{args.rounds - 1}.zarr", channels)
        apart = common.worst_channel(zip((field.values[::-1] for field in fields), np.load(final)))
    report.note(common.Sections.STEPS, f"{what}: after {common.plural(args.steps, 'step')} apart by {apart:.1e} (relative L2, worst channel)")
    report.finish()


if __name__ == "__main__":
    main()
