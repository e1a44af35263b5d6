"""Write the model package from a checkpoint.

    export.py RUN/last.pt PACKAGE --train DIR...
    export.py RUN/last.pt PACKAGE --reference OUT.npz --init FILE.nc

The second also keeps a short roll-out of the reference implementation to compare others with.
"""

import argparse
import hashlib
from pathlib import Path

import cf
import numpy as np
import torch
from dataset import CHANNELS, LATITUDE, LEVELS, Trajectory, statistics
from safetensors.torch import save_file
from torch_harmonics.examples.models import SphericalFourierNeuralOperator

HEAD = """\
format = 1

[model]
name = "held-suarez-sfno"
title = "Idealised dry planet (Held and Suarez) at T31, spherical Fourier neural operator"
arch = "sfno"
version = "1.0.0"
licence = "Apache-2.0 OR MIT"
origin = "trained by the vejr authors on their own simulation with the dinosaur dynamical core"
time_step = "6h"
input_states = 1
predicts = "tendency"
"""


def load(path):
    """The reference network with the averaged weights of a checkpoint, and its statistics."""
    saved = torch.load(path, weights_only=False, map_location="cpu")
    net = SphericalFourierNeuralOperator(**saved["arch"])
    net.load_state_dict(saved["ema"])
    return net.eval(), saved


def rollout(net, stats, state, steps):
    """States after each of the steps from state[batch, channel, lat, lon]."""
    mean, std, diff = (
        torch.tensor(stats[k], dtype=torch.float32)[:, None, None]
        for k in ("mean", "std", "diff_std")
    )
    with torch.no_grad():
        for _ in range(steps):
            state = state + diff * net((state - mean) / std)
            yield state


def toml(value):
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(toml, value)) + "]"
    return repr(value)


# Of the initial states of ensembles: about the errors of an analysis of the Earth's atmosphere.
PERTURBATION = """
[perturbation]
kind = "correlated"
length_scale = 1000.0
amplitude = { u = 1.0, v = 1.0, t = 0.5, z = 50.0, sp = 100.0, t_low = 0.5, u_low = 1.0, v_low = 1.0 }
"""


def channel(index, stats):
    name = CHANNELS[index]
    level = "surface" if name == "sp" else "{ model_level = 8 }"
    if name not in cf.VARIABLES:
        name, level = name[0], f"{{ pressure = {LEVELS[index % 5]} }}"
    standard_name, units = cf.VARIABLES[name][:2]
    # Twelve deviations of weather beyond the climate's own range: no state of this planet.
    zonal, margin = stats["zonal"][index], 12 * stats["eddy_std"][index]
    digits = 1 - int(np.floor(np.log10(margin)))
    low = round(float(zonal.min() - margin), digits)
    high = round(float(zonal.max() + margin), digits)
    low_name = {"t_low": "temperature", "u_low": "eastward wind", "v_low": "northward wind"}.get(name)
    long_name = f'long_name = "{low_name} of the lowest layer"\n' if low_name else ""
    numbers = {k: float(np.float32(stats[k][index])) for k in ("mean", "std", "diff_std")}
    return f"""
[[channel]]
name = "{name}"
standard_name = "{standard_name}"
{long_name}units = "{units}"
level = {level if level[0] == "{" else toml(level)}
role = "prognostic"
mean = {numbers["mean"]:.9g}
std = {numbers["std"]:.9g}
diff_std = {numbers["diff_std"]:.9g}
plausible = [{low}, {high}]
""".replace("mean = 0\n", "mean = 0.0\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("package", type=Path)
    parser.add_argument("--train", nargs="+", type=Path, help="trajectories, for the climatology")
    parser.add_argument("--reference", type=Path)
    parser.add_argument("--init", type=Path, help="file of initial states")
    args = parser.parse_args()
    args.package.mkdir(parents=True, exist_ok=True)
    net, saved = load(args.checkpoint)
    stats = saved["stats"]

    if args.reference:
        state = torch.from_numpy(cf.read(args.init)[0][:1])
        states = torch.cat(list(rollout(net, stats, state, 4)))
        np.savez(args.reference, init=state[0].numpy(), states=states.numpy())
        print("step  standard deviations of the 6-hour change, root mean square")
        for k, out in enumerate(states):
            before = states[k - 1] if k else state[0]
            change = (out - before).numpy() / stats["diff_std"][:, None, None]
            print(k + 1, np.sqrt((change**2).mean()))
        return

    tensors = {
        key: (torch.view_as_real(value) if value.is_complex() else value).float().contiguous()
        for key, value in net.state_dict().items()
    }
    save_file(tensors, args.package / "weights.safetensors")
    zonal = statistics([Trajectory(folder) for folder in args.train])["zonal"]
    climate = np.repeat(zonal[:, :, None], 96, axis=2)
    title = "Time and zonal mean of the training years, the same in both hemispheres"
    cf.write(args.package / "climatology.nc", title, climate[None], [0], packed=False)

    # what the reference implementation answers, so that others can prove that they compute the same
    generator = torch.Generator().manual_seed(1)
    x = torch.randn((1, len(CHANNELS), 48, 96), generator=generator)
    with torch.no_grad():
        y = net(x)
    save_file({"input": x, "output": y.contiguous()}, args.package / "parity.safetensors")

    def digest(name):
        return hashlib.sha256((args.package / name).read_bytes()).hexdigest()

    text = HEAD + f"""
[weights]
file = "weights.safetensors"
sha256 = "{digest("weights.safetensors")}"

[[file]]
name = "climatology.nc"
sha256 = "{digest("climatology.nc")}"
role = "climatology"

[arch]
"""
    text += "".join(f"{key} = {toml(value)}\n" for key, value in saved["arch"].items())
    text += '\n[grid]\nkind = "gaussian"\nlatitude = [\n'
    text += "".join(f"    {float(value)!r},\n" for value in LATITUDE)
    text += "]\nlongitude = { first = 0.0, step = 3.75, count = 96 }\n"
    text += PERTURBATION
    text += "".join(channel(index, stats) for index in range(len(CHANNELS)))
    text += f"""
[parity]
file = "parity.safetensors"
sha256 = "{digest("parity.safetensors")}"
tolerance = 1e-5
"""
    (args.package / "model.toml").write_text(text)
    count = sum(value.numel() for value in tensors.values())
    print(f"step {saved['step']}, {count} parameters")


if __name__ == "__main__":
    main()
