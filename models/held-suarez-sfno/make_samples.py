"""Write the sample files from the test trajectory.

make_samples.py TEST OUT           what the repository holds
make_samples.py TEST OUT --full    every channel and lead of all 24 test forecasts
"""

import argparse
from pathlib import Path

import cf
import numpy as np
from dataset import Trajectory

EVERY = 15 * 4  # steps between the 24 initial times
STARTS = [k * EVERY for k in range(24)]
LEADS = [1, 2, *range(4, 41, 4)]  # 6 h, 12 h, days 1 to 10


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("test", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--full", action="store_true")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    test = Trajectory(args.test)

    def write(name, title, steps, **options):
        states = np.stack([test[k] for k in steps])
        cf.write(args.out / name, title, states, [6 * k for k in steps], **options)

    if args.full:
        write("held-suarez-test-inits.nc", "24 initial states of the test year", STARTS)
        steps = sorted({start + lead for start in STARTS for lead in LEADS})
        write("held-suarez-test-truth.nc", "Truth of 24 forecasts of the test year", steps)
        return

    write("held-suarez-init.nc", "Initial states of the test year", range(3))
    # All the truth of 24 forecasts of 10 days that start every 12 hours.
    for part in range(8):  # several files, none of them large
        write(
            f"held-suarez-truth-{part + 1}.nc",
            f"The first 22 days of the test year, part {part + 1} of 8",
            range(1 + 11 * part, 12 + 11 * part),
        )
    for part in range(3):
        write(
            f"held-suarez-test-inits-{part + 1}.nc",
            f"24 initial states of the test year, part {part + 1} of 3",
            STARTS[8 * part : 8 * part + 8],
        )
    for part in range(3):
        starts = STARTS[8 * part : 8 * part + 8]
        write(
            f"held-suarez-test-truth-{part + 1}.nc",
            f"Truth of 24 forecasts at days 1, 3, 5 and 10, part {part + 1} of 3",
            [start + 4 * day for start in starts for day in (1, 3, 5, 10)],
            levels=(500, 850),
            variables=("t", "z", "sp"),
        )


if __name__ == "__main__":
    main()
