"""Trains the SFNO on the simulated years: one-step first, then through rollouts.

    python train.py DATA_FOLDER CHECKPOINT --stages 1:6000 2:1200 4:500

A stage is rollout-length:updates. The learning rate falls as a cosine over all updates together. A run that was
interrupted goes on from its checkpoint. Weights are averaged over time (EMA); the average is what is exported.
"""

import argparse
import json
import pathlib
import time

import numpy as np
import torch
from torch_harmonics.examples.models import SphericalFourierNeuralOperator
from torch_harmonics.quadrature import legendre_gauss_weights

STATES_PER_DAY = 4
EMA_DECAY = 0.998


def load(folder):
    """The training members as memory maps [time, channel, lat, lon], and the channels' names."""
    paths = sorted(folder.glob("train_*.npy"))
    return [np.load(path, mmap_mode="r") for path in paths], list(np.load(folder / "grid.npz")["channels"])


def statistics(members, weights):
    """Area-weighted mean and std of the state, std of the 6-hour difference, per channel; every 5th day."""
    mean, square, diff, n = 0.0, 0.0, 0.0, 0
    for member in members:
        for t in range(0, len(member) - 1, 5 * STATES_PER_DAY):
            x, y = member[t].astype(np.float64), member[t + 1].astype(np.float64)
            w = weights[:, None] / x.shape[-1]
            mean += (x * w).sum((1, 2))
            square += (x**2 * w).sum((1, 2))
            diff += ((y - x) ** 2 * w).sum((1, 2))
            n += 1
    mean /= n
    return {"mean": mean, "std": np.sqrt(square / n - mean**2), "diff_std": np.sqrt(diff / n)}


class Stepper(torch.nn.Module):
    """Standardised state -> standardised next state; the network sees the state and gives the scaled difference."""

    def __init__(self, network, ratio):
        super().__init__()
        self.network = network
        self.register_buffer("ratio", ratio)  # diff_std / std

    def forward(self, x):
        return x + self.ratio * self.network(x)


def build(arch):
    return SphericalFourierNeuralOperator(**arch)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("checkpoint", type=pathlib.Path)
    parser.add_argument("--stages", nargs="+", default=["1:6000", "2:1200", "4:500"])
    parser.add_argument("--embed-dim", type=int, default=64)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=7)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)

    members, channels = load(args.data)
    nlat, nlon = members[0].shape[-2:]
    arch = dict(
        img_size=[nlat, nlon],
        grid="legendre-gauss",
        grid_internal="legendre-gauss",
        scale_factor=1,
        in_chans=len(channels),
        out_chans=len(channels),
        embed_dim=args.embed_dim,
        num_layers=args.layers,
        activation_function="gelu",
        use_mlp=True,
        mlp_ratio=2.0,
        normalization_layer="none",
        # the simulation is truncated at total wavenumber 31; more modes would only be noise
        hard_thresholding_fraction=0.7,
        residual_prediction=False,
        pos_embed="learnable lat",
        bias=False,
    )
    weights = np.asarray(legendre_gauss_weights(nlat)[1], dtype=np.float64)
    weights = weights / weights.sum()
    stats_file = args.checkpoint.with_suffix(".stats.json")
    if stats_file.exists():
        stats = {k: np.array(v) for k, v in json.loads(stats_file.read_text()).items()}
    else:
        stats = statistics(members, weights)
        stats_file.write_text(json.dumps({k: v.tolist() for k, v in stats.items()}))
    mean = torch.tensor(stats["mean"], dtype=torch.float32)[:, None, None]
    std = torch.tensor(stats["std"], dtype=torch.float32)[:, None, None]
    diff_std = torch.tensor(stats["diff_std"], dtype=torch.float32)[:, None, None]
    ratio = diff_std / std
    area = torch.tensor(weights * nlat, dtype=torch.float32)[:, None]
    # the planet looks the same in the mirror: flip latitudes and the northward wind
    mirror = torch.tensor([-1.0 if name.startswith("v") else 1.0 for name in channels])[:, None, None]

    model = Stepper(build(arch), ratio)
    average = torch.optim.swa_utils.AveragedModel(model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(EMA_DECAY))
    optimizer = torch.optim.Adam(model.parameters(), lr=args.rate)
    stages = [tuple(map(int, stage.split(":"))) for stage in args.stages]
    total = sum(updates for _, updates in stages)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda k: min(1.0, (k + 1) / 100) * (0.01 + 0.99 * 0.5 * (1 + np.cos(np.pi * min(1.0, k / total))))
    )
    done = 0
    if args.checkpoint.exists():
        saved = torch.load(args.checkpoint, weights_only=False)
        for thing, key in ((model, "model"), (average, "average"), (optimizer, "optimizer")):
            thing.load_state_dict(saved[key])
        done = saved["done"]
        schedule.last_epoch = done
        rng = np.random.default_rng(args.seed + done)

    def save():
        part = args.checkpoint.with_suffix(".part")
        torch.save(
            dict(
                model=model.state_dict(), average=average.state_dict(), optimizer=optimizer.state_dict(), done=done,
                arch=arch, channels=channels, stages=args.stages, seed=args.seed, batch=args.batch, rate=args.rate,
                **stats,
            ),
            part,
        )
        part.rename(args.checkpoint)

    print(f"{sum(p.numel() * (2 if p.is_complex() else 1) for p in model.parameters())} parameters, {total} updates")
    started, smooth = time.time(), None
    first = done
    while done < total:
        steps, seen = 0, 0
        for steps, updates in stages:
            seen += updates
            if done < seen:
                break
        pick = [(rng.integers(len(members)), rng.integers(len(members[0]) - steps)) for _ in range(args.batch)]
        x = torch.from_numpy(np.stack([members[m][t : t + steps + 1] for m, t in pick]))  # [B, T, C, H, W]
        if rng.random() < 0.5:
            x = x.flip(-2) * mirror
        x = (x - mean) / std
        state, loss = x[:, 0], 0.0
        for n in range(1, steps + 1):
            state = model(state)
            loss = loss + (area * ((state - x[:, n]) / ratio) ** 2).mean() / steps
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        average.update_parameters(model)
        done += 1
        smooth = loss.item() if smooth is None else 0.98 * smooth + 0.02 * loss.item()
        if done % 50 == 0:
            rate = (time.time() - started) / (done - first)
            print(f"{done}/{total} rollout {steps} loss {smooth:.4f} {rate:.2f} s/update", flush=True)
        if done % 250 == 0 or done == total:
            save()


if __name__ == "__main__":
    main()
