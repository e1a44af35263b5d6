"""Our forecast over a limited area against the PyTorch reference: same weights, same stores, same steps, same threads.

    python benches/limited_area.py [--model graph_lam] [--side 252] [--hidden 64] [--layers 4] [--steps 4] [--rounds 3]

Makes an inference artifact with random weights and stores on a grid of `side` × `side` points by the genuine chain
(`models/neural-lam/artifact.py`), which takes minutes; `--folder` keeps them for the next time. Then the two take turns.
Printed are medians and their ratio: the steps alone, the whole process, and peak resident memory; and how far the two
forecasts are apart after the last step.
"""

import argparse
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
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
    command = [args.vejr, "models", "import", folder / "artifact.zip", "--params", folder / "params.toml"]
    subprocess.run([*command, "--output", folder / "package"], check=True, stdout=sys.stderr)


def reference(args):
    """In a process of its own: the reference's rollout."""
    import artifact
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
    started = time.perf_counter()
    with torch.inference_mode():
        standardised = module.common_step(batch)[0]
    seconds = time.perf_counter() - started
    physical = standardised * module.state_std + module.state_mean
    times = batch[3][0].numpy().astype("datetime64[ns]")
    array = dataset.create_dataarray_from_tensor(physical[0], torch.from_numpy(times.astype(int)).numpy().astype("datetime64[ns]"), "state")
    array = datastore.unstack_grid_coords(array.isel(time=-1))
    np.save(args.reference, array.transpose("state_feature", "y", "x").values)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"step_seconds": seconds, "peak_resident_bytes": peak}))


def timed(command, env):
    started = time.perf_counter()
    out = subprocess.run(command, env=env, check=True, stdout=subprocess.PIPE, text=True).stdout
    return {**json.loads(out.splitlines()[-1]), "process_seconds": time.perf_counter() - started}


def distance(forecast, final, package):
    """Largest relative L2 distance of the last step over the channels."""
    import tomllib

    import numpy as np
    import xarray

    ours = xarray.open_zarr(forecast).isel(reference_time=0, lead_time=-1)
    channels = tomllib.loads((package / "model.toml").read_text())["channel"]
    distances = []
    for channel, theirs in zip((c for c in channels if c["role"] == "prognostic"), np.load(final)):
        field = ours[channel["name"]]
        if isinstance(channel["level"], dict):
            field = field.sel(channel["level"])
        distances.append(np.linalg.norm(field.values[::-1] - theirs) / np.linalg.norm(theirs))
    return np.max(distances)  # NaN if there is one


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vejr", type=pathlib.Path, default=ROOT / "target/release/vejr")
    parser.add_argument("--model", choices=["graph_lam", "hi_lam", "hi_lam_parallel"], default="graph_lam")
    parser.add_argument("--side", type=int, default=252)
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--folder", type=pathlib.Path, help="what is made once")
    parser.add_argument("--reference", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.reference:
        return reference(args)

    threads, steps = str(args.threads), str(args.steps)
    env = {**os.environ, "RAYON_NUM_THREADS": threads, "OMP_NUM_THREADS": threads}
    ours, theirs = [], []
    with tempfile.TemporaryDirectory() as temporary:
        args.folder = (args.folder or pathlib.Path(temporary) / "case").resolve()
        if not args.folder.exists():
            prepare(args)
        stores = [args.folder / f"inputs/{name}.nc" for name in ("single_levels", "pressure_levels")]
        same = ["--init", *stores, "--boundary", *stores, "--reference-time", "2020-03-27T06:00Z", "--steps", steps]
        final = f"{temporary}/reference.npy"
        for n in range(args.rounds):
            forecast = f"{temporary}/{n}.zarr"
            command = [args.vejr, "forecast", "--json", "--device", "cpu", "--model", args.folder / "package"]
            ours.append(timed([*command, *same, "--output", forecast], env))
            command = [sys.executable, __file__, "--folder", args.folder, "--threads", threads, "--steps", steps]
            theirs.append(timed([*command, "--reference", final], env))
            print(f"round {n + 1} of {args.rounds}", file=sys.stderr)
        apart = distance(forecast, final, args.folder / "package")

    def median(runs, key):
        return statistics.median(run[key] for run in runs)

    print(f"{args.model}, {args.side} × {args.side} points, hidden {args.hidden}, {args.layers} layers, {steps} steps, {threads} threads")
    for label, key, unit in [
        ("steps", "step_seconds", 1), ("process", "process_seconds", 1), ("peak memory, MiB", "peak_resident_bytes", 2**20)
    ]:  # fmt: skip
        a, b = median(ours, key) / unit, median(theirs, key) / unit
        print(f"{label:18} vejr {a:10.2f}   PyTorch {b:10.2f}   ratio {a / b:.2f}")
    print(f"apart after the last step: {apart:.1e} (relative L2, worst channel)")


if __name__ == "__main__":
    main()
