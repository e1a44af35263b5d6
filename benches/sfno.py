"""Our forecast against the PyTorch reference: same weights, same analysis, same steps, same threads, in one run.

    python benches/sfno.py [--package DIR] [--init FILE] [--steps 40] [--rounds 3] [--threads 2] [--json FILE]

The two take turns. Told are medians and their ratio: the steps alone (`vejr forecast` without starting, reading and publishing;
PyTorch without importing and loading), the whole process, and peak resident memory; and how far the two forecasts are apart
after the last step.
"""

import json
import pathlib
import sys
import tempfile
import time
import tomllib

import common
from common import ROOT


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
    if args.reference == "count":
        return print(json.dumps(common.count_operations(lambda: network(state[None]), [network], [state, state])))
    started = time.perf_counter()
    with torch.inference_mode():
        for _ in range(args.steps):
            y = network(((state - mean) / std)[None])[0]
            state = state + y * diff_std if tendency else y * std + mean
    seconds = time.perf_counter() - started
    np.save(args.reference, state.numpy())
    print(json.dumps({"step_seconds": seconds, "peak_resident_bytes": common.own_peak()}))


def main():
    parser = common.arguments(__doc__)
    parser.add_argument("--package", type=pathlib.Path, default=ROOT / "models/held-suarez-sfno")
    parser.add_argument("--init", type=pathlib.Path, default=ROOT / "data-samples/held-suarez-init.nc")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--reference", help=common.argparse.SUPPRESS)
    args = parser.parse_args()
    if args.reference:
        return reference(args)

    import numpy as np

    report = common.Report("sfno", args)
    manifest = tomllib.loads((args.package / "model.toml").read_text())
    h, w = manifest["arch"]["img_size"]
    what = f"sfno, {h} × {w} points, width {manifest['arch']['embed_dim']}"
    with tempfile.TemporaryDirectory() as folder:
        final = f"{folder}/reference.npy"
        theirs = [sys.executable, __file__, "--package", args.package, "--threads", args.threads, "--init", args.init, "--steps", args.steps]

        def ours(n):
            return common.forecast_command(args, args.package, f"{folder}/{n}.zarr", args.steps, "--init", args.init)

        common.compare_forecasts(
            report, what, "PyTorch", args.steps, ours, lambda _: [*theirs, "--reference", final], [*theirs, "--reference", "count"]
        )
        fields = common.last_step(f"{folder}/{args.rounds - 1}.zarr", manifest["channel"])
        apart = common.worst_channel(zip((field.values for field in fields), np.load(final)))
    report.note(common.Sections.STEPS, f"{what}: after {common.plural(args.steps, 'step')} apart by {apart:.1e} (relative L2, worst channel)")
    report.finish()


if __name__ == "__main__":
    main()
