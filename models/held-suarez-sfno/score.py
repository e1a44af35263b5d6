"""Score forecasts of the test year with the reference implementation.

    score.py RUN/last.pt TEST PACKAGE [--days 60]

Writes PACKAGE/scores.json; `--days` also lets a few forecasts run on and prints their range.
"""

import argparse
import json
from pathlib import Path

import netCDF4
import numpy as np
import torch
from dataset import AREA, CHANNELS, LEVELS, Trajectory
from export import load, rollout
from make_samples import STARTS

STEPS = 40


def mean(x):
    """Area-weighted mean over the last two dimensions."""
    return (x * AREA).sum(-2).mean(-1)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("package", type=Path)
    parser.add_argument("--days", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    net, saved = load(args.checkpoint)
    test = Trajectory(args.test)
    with netCDF4.Dataset(args.package / "climatology.nc") as file:
        climate = [file[name][0, LEVELS.index(level)] for name in "uvtz" for level in LEVELS]
        climate += [file[name][0] for name in CHANNELS[20:]]
        climate = np.stack(climate).astype(np.float64)

    first = np.stack([test[start] for start in STARTS])
    error = {k: np.zeros((STEPS, len(CHANNELS))) for k in ("model", "persistence", "climatology")}
    acc = np.zeros((STEPS, len(CHANNELS)))
    for k, state in enumerate(rollout(net, saved["stats"], torch.from_numpy(first), STEPS)):
        forecast = state.numpy().astype(np.float64)
        truth = np.stack([test[start + k + 1] for start in STARTS]).astype(np.float64)
        error["model"][k] = mean((forecast - truth) ** 2).mean(0)
        error["persistence"][k] = mean((first - truth) ** 2).mean(0)
        error["climatology"][k] = mean((climate - truth) ** 2).mean(0)
        forecast, truth = forecast - climate, truth - climate
        product = mean(forecast * truth) / np.sqrt(mean(forecast**2) * mean(truth**2))
        acc[k] = product.mean(0)
    scores = {f"rmse_{k}": np.sqrt(v).round(5).tolist() for k, v in error.items()}
    scores |= dict(
        acc=acc.round(5).tolist(),
        hours=[6 * (k + 1) for k in range(STEPS)],
        channels=CHANNELS,
        forecasts=len(STARTS),
    )
    (args.package / "scores.json").write_text(json.dumps(scores) + "\n")

    model, persistence, climatology = (
        np.sqrt(error[k]) for k in ("model", "persistence", "climatology")
    )
    print("below persistence everywhere:", bool((model < persistence).all()))
    for i, name in enumerate(CHANNELS):
        worse = np.nonzero(model[:, i] >= climatology[:, i])[0]
        reach = (worse[0] if len(worse) else STEPS) / 4
        useful = np.nonzero(acc[:, i] < 0.6)[0]
        useful = (useful[0] if len(useful) else STEPS) / 4
        days = " ".join(f"{model[4 * d - 1, i]:8.2f}" for d in (1, 3, 5, 7, 10))
        print(
            f"{name:6s} 6h {model[0, i]:7.2f} days 1,3,5,7,10 {days}"
            f" climatology {climatology[:, i].mean():8.2f} below it to day {reach}"
            f" ACC>0.6 to day {useful} ACC day 5 {acc[19, i]:.3f}"
        )

    if args.days:
        state = torch.from_numpy(first[::6])
        for k, out in enumerate(rollout(net, saved["stats"], state, 4 * args.days)):
            if (k + 1) % 40 == 0:
                low, high = out.amin((0, 2, 3)).numpy(), out.amax((0, 2, 3)).numpy()
                spread = np.sqrt(mean((out.numpy() - climate) ** 2).mean(0))
                shown = [CHANNELS.index(name) for name in ("u200", "t500", "z500", "sp")]
                text = ", ".join(
                    f"{CHANNELS[i]} {low[i]:.1f} to {high[i]:.1f} (anomaly {spread[i]:.2f})"
                    for i in shown
                )
                print(f"day {(k + 1) // 4}: {text}")


if __name__ == "__main__":
    main()
