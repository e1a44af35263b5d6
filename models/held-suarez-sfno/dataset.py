"""The simulated trajectories as written by simulate.py, and what is computed from them."""

from pathlib import Path

import numpy as np

LEVELS = (200, 300, 500, 700, 850)  # hPa
CHANNELS = [f"{v}{p}" for v in "uvtz" for p in LEVELS] + ["sp", "t_low", "u_low", "v_low"]
NORTHWARD = [i for i, name in enumerate(CHANNELS) if name[0] == "v"]

SINE, WEIGHT = np.polynomial.legendre.leggauss(48)
LATITUDE = np.degrees(np.arcsin(SINE))[::-1].copy()  # north to south
LONGITUDE = np.arange(96) * 3.75
AREA = (WEIGHT[::-1] / 2.0)[:, None]  # sums to 1 over latitude


class Trajectory:
    """States of one trajectory by their index; those on disk at the last refresh."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.chunks = []
        self.refresh()

    def refresh(self):
        for path in sorted(self.folder.glob("chunk*.npy"))[len(self.chunks) :]:
            self.chunks.append(np.load(path, mmap_mode="r"))

    def __len__(self):
        return sum(map(len, self.chunks))

    def __getitem__(self, index):
        per_chunk = len(self.chunks[0])
        return self.chunks[index // per_chunk][index % per_chunk]


def statistics(trajectories, stride=5):
    """Mean, standard deviation and that of the 6-hour change of each channel; zonal mean.

    `eddy_std` is the deviation from the zonal and time mean.
    """
    zonal, square, change, count = 0.0, 0.0, 0.0, 0
    for trajectory in trajectories:
        for index in range(0, len(trajectory) - 1, stride):
            state = trajectory[index].astype(np.float64)
            step = trajectory[index + 1] - state
            zonal = zonal + state.mean(-1)
            square = square + (state**2).mean(-1)
            change = change + (step**2).mean(-1)
            count += 1
    zonal, square, change = zonal / count, square / count, change / count
    weight = AREA[:, 0]
    mean = (zonal * weight).sum(-1)
    std = np.sqrt((square * weight).sum(-1) - mean**2)
    eddy_std = np.sqrt(((square - zonal**2) * weight).sum(-1))
    diff_std = np.sqrt((change * weight).sum(-1))
    # The planet is symmetric about its equator: both hemispheres sample one climate.
    mirrored = zonal[:, ::-1].copy()
    mirrored[NORTHWARD] *= -1.0
    zonal = (zonal + mirrored) / 2.0
    mean[NORTHWARD] = 0.0
    return dict(mean=mean, std=std, eddy_std=eddy_std, diff_std=diff_std, zonal=zonal, count=count)
