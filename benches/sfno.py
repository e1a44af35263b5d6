"""Our forecast against the PyTorch reference: same weights, same analysis, same steps, same threads, in one run.

    python benches/sfno.py [--package DIR] [--init FILE] [--steps 40] [--rounds 5] [--threads 2]

The two take turns, so that a machine that slows down slows down both. Printed are medians and their ratio: the steps
alone (`vejr forecast` without starting, reading and publishing; PyTorch without importing and loading), the whole
process, and peak resident memory; and how far the two forecasts are apart after the last step.
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
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent


def initial_state(channels, path):
    """The last state of the file, [C, H, W]."""
    import netCDF4
    import numpy as np

    fields = []
    with netCDF4.Dataset(path) as file:
        for channel in channels:
            values = file[channel["name"]][-1]
            if isinstance(channel["level"], dict) and "pressure" in channel["level"]:
                values = values[int(abs(file["pressure"][:] - channel["level"]["pressure"]).argmin())]
            fields.append(np.asarray(values, dtype=np.float32))
    return np.stack(fields)


def reference(args):
    """In a process of its own: the reference implementation's rollout."""
    import numpy as np
    import torch
    from safetensors.torch import load_file
    from torch_harmonics.examples.models import SphericalFourierNeuralOperator

    torch.set_num_threads(args.threads)
    manifest = tomllib.loads((args.package / "model.toml").read_text())
    network = SphericalFourierNeuralOperator(**manifest["arch"]).eval()
    weights = load_file(args.package / "weights.safetensors")
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            tensor.copy_(torch.view_as_complex(weights[name]) if tensor.is_complex() else weights[name])

    def column(key, default=None):
        values = [channel.get(key, default) for channel in manifest["channel"]]
        return torch.tensor(values, dtype=torch.float32)[:, None, None]

    mean, std, diff_std = column("mean"), column("std"), column("diff_std", 1.0)
    tendency = manifest["model"]["predicts"] == "tendency"
    state = torch.from_numpy(initial_state(manifest["channel"], args.init))
    started = time.perf_counter()
    with torch.inference_mode():
        for _ in range(args.steps):
            y = network(((state - mean) / std)[None])[0]
            state = state + y * diff_std if tendency else y * std + mean
    seconds = time.perf_counter() - started
    np.save(args.reference, state.numpy())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"step_seconds": seconds, "peak_resident_bytes": peak}))


def timed(command, env):
    started = time.perf_counter()
    out = subprocess.run(command, env=env, check=True, stdout=subprocess.PIPE, text=True).stdout
    return {**json.loads(out.splitlines()[-1]), "process_seconds": time.perf_counter() - started}


def distance(forecast, final, channels):
    """Largest relative L2 distance of the last step over the channels."""
    import numpy as np
    import xarray

    ours = xarray.open_zarr(forecast).isel(reference_time=0, lead_time=-1)
    distances = []
    for channel, theirs in zip(channels, np.load(final)):
        field = ours[channel["name"]]
        if isinstance(channel["level"], dict):
            field = field.sel(channel["level"])
        distances.append(np.linalg.norm(field.values - theirs) / np.linalg.norm(theirs))
    return np.max(distances)  # NaN if there is one


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--package", type=pathlib.Path, default=ROOT / "models/held-suarez-sfno")
    parser.add_argument("--init", type=pathlib.Path, default=ROOT / "data-samples/held-suarez-init.nc")
    parser.add_argument("--vejr", type=pathlib.Path, default=ROOT / "target/release/vejr")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--reference", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.reference:
        return reference(args)

    threads, steps = str(args.threads), str(args.steps)
    env = {**os.environ, "RAYON_NUM_THREADS": threads, "OMP_NUM_THREADS": threads}
    same = ["--init", args.init, "--steps", steps]
    ours, theirs = [], []
    with tempfile.TemporaryDirectory() as folder:
        final = f"{folder}/reference.npy"
        for n in range(args.rounds):
            forecast = f"{folder}/{n}.zarr"
            command = [args.vejr, "forecast", "--json", "--device", "cpu", "--model", args.package, "--output", forecast]
            ours.append(timed(command + same, env))
            command = [sys.executable, __file__, "--package", args.package, "--threads", threads, "--reference", final]
            theirs.append(timed(command + same, env))
            print(f"round {n + 1} of {args.rounds}", file=sys.stderr)
        channels = tomllib.loads((args.package / "model.toml").read_text())["channel"]
        apart = distance(forecast, final, channels)
    print(f"{steps} steps of {args.package.name}, {threads} threads, medians of {args.rounds} alternating rounds")
    print(f"{'':20} {'vejr':>9} {'PyTorch':>9} {'ratio':>7}")
    rows = [
        ("steps, s", "step_seconds", 1),
        ("whole process, s", "process_seconds", 1),
        ("peak memory, MiB", "peak_resident_bytes", 2**20),
    ]
    for label, key, unit in rows:
        a, b = (statistics.median(run[key] for run in runs) / unit for runs in (ours, theirs))
        print(f"{label:20} {a:9.3f} {b:9.3f} {a / b:7.3f}")
    print(f"relative L2 distance after the last step, worst channel: {apart:.1e}")


if __name__ == "__main__":
    main()
