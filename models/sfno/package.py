"""Writes vejr model packages for SFNO networks of torch-harmonics.

    python package.py OUTPUT_FOLDER --arch '{"img_size": [24, 48], "embed_dim": 16, "scale_factor": 2}' --seed 1

makes a package with random weights (every tensor, also those that are zero at initialisation) and with the reference's
own input and output beside them, so that `vejr models verify OUTPUT_FOLDER` can compare. Any constructor argument of
torch_harmonics.examples.models.SphericalFourierNeuralOperator may be given. `--fixtures FOLDER` writes the
configurations that the tests use.
"""

import argparse
import hashlib
import json
import pathlib
import warnings

import numpy as np
import torch
from safetensors.torch import save_file
from torch_harmonics.examples.models import SphericalFourierNeuralOperator
from torch_harmonics.quadrature import precompute_latitudes

warnings.filterwarnings("ignore", message="Default SHT truncation")

KINDS = {"equiangular": "latlon", "legendre-gauss": "gaussian"}

# name -> constructor arguments; together they switch every option on and off
FIXTURES = {
    "gauss": dict(img_size=[16, 32], grid="legendre-gauss", scale_factor=1, embed_dim=8, num_layers=2),
    "equiangular": dict(img_size=[17, 32], grid="equiangular", scale_factor=1, embed_dim=8, num_layers=2),
    "equiangular-scaled": dict(img_size=[25, 48], grid="equiangular", scale_factor=3, embed_dim=12, num_layers=3, bias=True),
    "equiangular-internal": dict(
        img_size=[25, 48], grid="equiangular", grid_internal="equiangular", scale_factor=2, embed_dim=6, num_layers=3,
        normalization_layer="instance_norm", pos_embed="learnable lat",
    ),
    "gauss-scaled-layernorm": dict(
        img_size=[24, 48], grid="legendre-gauss", scale_factor=2, embed_dim=8, num_layers=3, bias=True,
        normalization_layer="layer_norm", pos_embed="learnable latlon",
    ),
    "gauss-residual-relu": dict(
        img_size=[18, 30], grid="legendre-gauss", scale_factor=1, embed_dim=7, num_layers=2, activation_function="relu",
        residual_prediction=True, hard_thresholding_fraction=0.6, mlp_ratio=1.5, drop_rate=0.1, pos_embed="spectral",
    ),
    "gauss-projection-no-mlp": dict(
        img_size=[16, 32], grid="legendre-gauss", scale_factor=1, embed_dim=8, num_layers=2, use_mlp=False,
        residual_prediction=True, in_chans=6, pos_embed="sequence",
    ),
    "odd-identity-one-layer": dict(
        img_size=[15, 29], grid="equiangular", scale_factor=2, embed_dim=5, num_layers=1, activation_function="identity",
    ),
    "lobatto": dict(img_size=[15, 28], grid="lobatto", grid_internal="lobatto", scale_factor=1, embed_dim=6, num_layers=2),
    "trapezoidal": dict(
        img_size=[15, 28], grid="equiangular-trapezoidal", scale_factor=2, embed_dim=6, num_layers=2, drop_path_rate=0.2,
    ),
}  # fmt: skip


def randomise(network, seed):
    """Every tensor random, scaled so that the values stay of order one through the layers."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if name.endswith("position_embeddings") and not tensor.requires_grad and tensor.abs().max() > 0:
                continue  # computed tables stay what the reference computes
            fan_in = tensor[0].numel() if tensor.dim() > 1 else tensor.numel()
            if "global_conv.weight" in name:
                fan_in = tensor.shape[1]
            values = torch.randn(tensor.shape, generator=generator, dtype=tensor.dtype)
            scale = 0.5 if "norm" in name or "embeddings" in name or "bias" in name else fan_in**-0.5
            tensor.copy_(values * scale + (1.0 if name.endswith("norm.weight") else 0.0))


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def state_dict(network):
    """Complex tensors become real ones with a last dimension of 2."""
    return {
        name: (torch.view_as_real(tensor) if tensor.is_complex() else tensor).detach().contiguous().float()
        for name, tensor in network.state_dict().items()
    }


def toml_value(value):
    return json.dumps(value)  # strings, numbers, booleans and lists are spelled alike


def write_manifest(folder, model, arch, latitude, longitude, channels, parity=None, files=()):
    """model.toml. `channels`: dicts in the manifest's own terms."""
    lines = ["format = 1", "", "[model]"]
    lines += [f"{key} = {toml_value(value)}" for key, value in model.items()]
    lines += ["", "[weights]", 'file = "weights.safetensors"', f'sha256 = "{sha256(folder / "weights.safetensors")}"', "", "[arch]"]
    lines += [f"{key} = {toml_value(value)}" for key, value in arch.items()]
    first, step = float(longitude[0]), float(longitude[1] - longitude[0])
    lines += [
        "", "[grid]", f'kind = "{KINDS.get(arch["grid"], "rectilinear")}"',
        f"latitude = {toml_value([float(value) for value in latitude])}",
        f"longitude = {{ first = {first!r}, step = {step!r}, count = {len(longitude)} }}",
    ]  # fmt: skip
    for channel in channels:
        lines += ["", "[[channel]]"] + [f"{key} = {value}" for key, value in channel.items()]
    for name, role in files:
        lines += ["", "[[file]]", f'name = "{name}"', f'role = "{role}"', f'sha256 = "{sha256(folder / name)}"']
    if parity is not None:
        lines += ["", "[parity]", 'file = "parity.safetensors"', f'sha256 = "{sha256(folder / "parity.safetensors")}"', f"tolerance = {parity}"]
    (folder / "model.toml").write_text("\n".join(lines) + "\n")


def write_random_package(folder, arch, seed):
    """A package with random weights and the reference's answer to a random input."""
    arch = {"img_size": [24, 48], "grid": "equiangular", "in_chans": 3, "out_chans": 3, **arch}
    # a package has one channel per output; more inputs are more input states
    input_states = arch["in_chans"] // arch["out_chans"]
    if input_states * arch["out_chans"] != arch["in_chans"]:
        raise SystemExit("in_chans must be a multiple of out_chans: the multiple is the number of input states")
    folder.mkdir(parents=True, exist_ok=True)
    network = SphericalFourierNeuralOperator(**arch).eval()
    randomise(network, seed)
    h, w = arch["img_size"]
    x = torch.randn((2, arch["in_chans"], h, w), generator=torch.Generator().manual_seed(seed + 1))
    with torch.no_grad():
        y = network(x)
    save_file(state_dict(network), folder / "weights.safetensors")
    save_file({"input": x.contiguous(), "output": y.contiguous()}, folder / "parity.safetensors")
    latitude = 90.0 - np.degrees(precompute_latitudes(h, arch["grid"])[0].numpy())
    model = dict(
        name=folder.name, title="random weights", arch="sfno", version="1", licence="MIT OR Apache-2.0",
        origin="random numbers", time_step="6h", input_states=input_states, predicts="state",
    )  # fmt: skip
    channels = [
        dict(name='"t"', standard_name='"air_temperature"', units='"K"', level=f"{{ pressure = {level + 1} }}",
             role='"prognostic"', mean=250.0, std=10.0, plausible="[-1e6, 1e6]")
        for level in range(arch["out_chans"])
    ]  # fmt: skip
    write_manifest(folder, model, arch, latitude, np.arange(w) * 360.0 / w, channels, parity=1e-5)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=pathlib.Path)
    parser.add_argument("--arch", type=json.loads, default={}, help="constructor arguments as JSON")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fixtures", action="store_true", help="write the tests' configurations into OUTPUT_FOLDER")
    args = parser.parse_args()
    if args.fixtures:
        for seed, (name, arch) in enumerate(FIXTURES.items()):
            write_random_package(args.output / name, arch, 10 * seed)
    else:
        write_random_package(args.output, args.arch, args.seed)


if __name__ == "__main__":
    main()
