"""Train the network: one step first, then through roll-outs of several steps.

    train.py RUN --train DIR... --steps 20000
    train.py RUN2 --train DIR... --init RUN/last.pt --rollout 4 --steps 1000 --lr 2e-4

RUN/last.pt is replaced every few minutes; a run that was stopped goes on from it.
"""

import argparse
import math
import os
import threading
import time
from pathlib import Path
from queue import Queue

import numpy as np
import torch
from dataset import AREA, LATITUDE, NORTHWARD, Trajectory, statistics
from fast import Fast
from torch_harmonics.examples.models import SphericalFourierNeuralOperator

ARCH = dict(
    img_size=(48, 96),
    grid="legendre-gauss",
    grid_internal="legendre-gauss",
    scale_factor=1,
    in_chans=24,
    out_chans=24,
    embed_dim=96,
    num_layers=4,
    activation_function="gelu",
    encoder_layers=1,
    use_mlp=True,
    mlp_ratio=2.0,
    normalization_layer="none",
    # 33 modes are what the T31 simulation holds.
    hard_thresholding_fraction=0.7,
    residual_prediction=False,
    # Drag, relaxation and rotation depend on latitude and on nothing else.
    pos_embed="learnable lat",
    bias=True,
)


def start_from_climate(net, stats):
    """Make the first features anomalies of order one.

    The mean fall of temperature from equator to pole is many times what weather changes in
    6 hours.  The encoder's weights and the embedding of latitude can take it away, and the
    embedding then needs to say anew where a point lies: random low polynomials of sin(lat).
    """
    mean, std, eddy, zonal = (
        torch.tensor(stats[k], dtype=torch.float32) for k in ("mean", "std", "eddy_std", "zonal")
    )
    weight, embedding = net.encoder[0].weight, net.pos_embed.position_embeddings
    weight *= (std / eddy)[:, None, None]
    climate = (zonal - mean[:, None]) / std[:, None]
    basis = np.polynomial.legendre.legvander(np.sin(np.radians(LATITUDE)), 6)[:, 1:]
    basis = torch.tensor(basis.T, dtype=torch.float32)
    embedding[0, :, :, 0] = 0.5 * torch.randn(len(weight), 6) @ basis
    embedding[0, :, :, 0] -= weight[:, :, 0, 0] @ climate
    net.decoder[0].weight *= 0.1  # start from "no change"


def batches(trajectories, rollout, batch, seed, queue):
    """Endless random windows of rollout + 1 states, half of them mirrored at the equator."""
    rng = np.random.default_rng(seed)
    while True:
        for trajectory in trajectories:
            trajectory.refresh()
        ends = np.cumsum([len(trajectory) - rollout for trajectory in trajectories])
        for _ in range(500):
            out = np.empty((batch, rollout + 1, 24, 48, 96), np.float32)
            for slot in out:
                start = int(rng.integers(ends[-1]))
                which = int(np.searchsorted(ends, start, side="right"))
                start -= int(ends[which - 1]) if which else 0
                for k in range(rollout + 1):
                    slot[k] = trajectories[which][start + k]
                if rng.random() < 0.5:
                    slot[:] = slot[:, :, ::-1]
                    slot[:, NORTHWARD] *= -1.0
            queue.put(torch.from_numpy(out))


def noise(net, count, rng):
    """Random smooth fields[count, channel, lat, lon] for half of the samples, else zero.

    They are out of balance, and for wind also where they cross a pole, so that the network can
    tell them from weather.
    """
    modes = net.itrans.lmax
    degree = torch.arange(modes)
    scale = (degree <= degree[:, None]) / (1.0 + degree[:, None])
    shape = (count, 24, modes, modes)
    fields = net.itrans(torch.complex(*torch.randn(2, *shape, generator=rng)) * scale)
    fields /= fields.square().mean((-1, -2), keepdim=True).sqrt()
    size = torch.rand(count, 24, 1, 1, generator=rng).square()
    return size * fields * (torch.rand(count, 1, 1, 1, generator=rng) < 0.5)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--train", nargs="+", type=Path, required=True)
    parser.add_argument("--init", type=Path, help="start from these weights")
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--rollout", type=int, default=1)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--warmup", type=int, default=200)
    parser.add_argument("--ema", type=float, default=0.999)
    parser.add_argument(
        "--noise", type=float, default=0.0, help="on initial states, in 6-hour changes"
    )
    parser.add_argument(
        "--flat", action="store_true", help="weigh by the root of area: more for the poles"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--single", action="store_true", help="float32 throughout")
    args = parser.parse_args()

    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    args.run.mkdir(parents=True, exist_ok=True)
    trajectories = [Trajectory(folder) for folder in args.train]
    net = SphericalFourierNeuralOperator(**ARCH)
    last = args.run / "last.pt"
    source = last if last.exists() else args.init
    saved = torch.load(source, weights_only=False) if source else None
    if saved:
        net.load_state_dict(saved["net"] if last.exists() else saved["ema"])
    stats = saved["stats"] if saved else statistics(trajectories)
    if not saved:
        with torch.no_grad():
            start_from_climate(net, stats)
    mean, std, diff = (
        torch.tensor(stats[k], dtype=torch.float32)[:, None, None]
        for k in ("mean", "std", "diff_std")
    )
    optimiser = torch.optim.Adam(net.parameters(), lr=args.lr)
    ema = {k: v.detach().clone() for k, v in net.named_parameters()}
    step, seconds = 0, 0.0
    if last.exists():
        optimiser.load_state_dict(saved["optimiser"])
        ema, step, seconds = saved["ema"], saved["step"], saved["seconds"]

    def save():
        state = dict(net=net.state_dict(), ema=ema, optimiser=optimiser.state_dict())
        state |= dict(step=step, stats=stats, arch=ARCH, seconds=seconds, args=vars(args))
        torch.save(state, args.run / "part.pt")
        os.replace(args.run / "part.pt", last)

    forward = Fast(net, torch.float32 if args.single else torch.bfloat16)
    area = torch.tensor(AREA[:, 0] ** (0.5 if args.flat else 1.0), dtype=torch.float32)
    area /= area.sum()
    rng = torch.Generator().manual_seed(args.seed + step)
    queue = Queue(4)
    feed = (trajectories, args.rollout, args.batch, (args.seed, step), queue)
    threading.Thread(target=batches, args=feed, daemon=True).start()
    running, since, saved_at, cpu = [], time.time(), time.time(), time.process_time()
    while step < args.steps:
        rate = min(1.0, (step + 1) / args.warmup)
        rate *= 0.5 * (1 + math.cos(math.pi * step / args.steps)) + 0.005
        for group in optimiser.param_groups:
            group["lr"] = args.lr * rate
        states = queue.get()
        state, loss = states[:, 0], 0.0
        if args.noise:
            # Truth stays the target, so that roll-outs learn to shed their own errors.
            with torch.no_grad():
                state = state + args.noise * diff * noise(net, args.batch, rng)
        for k in range(1, args.rollout + 1):
            state = state + diff * forward((state - mean) / std)
            error = (state - states[:, k]) / diff
            loss = loss + (error.square().mean(-1) * area).sum(-1).mean() / args.rollout
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        step += 1
        running.append(loss.item())
        decay = min(args.ema, step / (step + 10))
        with torch.no_grad():
            for k, v in net.named_parameters():
                ema[k].lerp_(v, 1 - decay)
        if step % 100 == 0 or step == args.steps:
            seconds += time.time() - since
            since = time.time()
            print(
                f"step {step} loss {np.mean(running):.5f} after {seconds:.0f} s,"
                f" {time.process_time() - cpu:.0f} CPU s,"
                f" {sum(map(len, trajectories))} states",
                flush=True,
            )
            running = []
            if time.time() - saved_at > 90 or step == args.steps:
                save()
                saved_at = time.time()


if __name__ == "__main__":
    main()
