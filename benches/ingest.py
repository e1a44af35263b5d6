"""Reading the analysis of a 0.25° model against xarray with netCDF4: same file, same fields, in one run.

    python benches/ingest.py [--rounds 5] [--levels 13]

A file of 6 variables on 13 levels (721 × 1440, NetCDF-4, deflate with shuffle) is made, once compressed level by level and
once all levels together. The two take turns, so that a machine that slows down slows down both. Printed are medians of
what opening, reading and assembling took, without starting the program, and peak memory over the size of the state.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
SHAPE = (721, 1440)
VARIABLES = {  # units, mean, spread
    "t": ("K", 250, 20),
    "u": ("m s-1", 0, 20),
    "v": ("m s-1", 0, 15),
    "z": ("m2 s-2", 1e5, 3e4),
    "q": ("kg kg-1", 3e-3, 1e-3),
    "w": ("Pa s-1", 0, 0.5),
}


def write(path, levels, together):
    """Smooth fields with a little noise, which compress like analyses do."""
    import netCDF4
    import numpy as np

    random = np.random.default_rng(0)
    with netCDF4.Dataset(path, "w") as file:
        for name, units, values in [
            ("time", "hours since 1900-01-01", [1_000_000]),
            ("level", "hPa", np.linspace(50, 1000, levels).astype("i4")),
            ("latitude", "degrees_north", np.linspace(90, -90, SHAPE[0]).astype("f4")),
            ("longitude", "degrees_east", (np.arange(SHAPE[1]) * 0.25).astype("f4")),
        ]:
            values = np.asarray(values)
            file.createDimension(name, len(values))
            axis = file.createVariable(name, values.dtype, (name,))
            axis.units = units
            axis[:] = values
        x, y = np.meshgrid(np.linspace(0, 2 * np.pi, SHAPE[1]), np.linspace(0, np.pi, SHAPE[0]))
        chunks = (1, levels if together else 1, *SHAPE)
        for name, (units, mean, spread) in VARIABLES.items():
            variable = file.createVariable(
                name, "f4", ("time", "level", "latitude", "longitude"), zlib=True, complevel=4, chunksizes=chunks
            )
            variable.units = units
            for level in range(levels):
                waves = sum(
                    random.standard_normal() / k * np.sin(k * x + random.uniform(0, 6)) * np.sin(k * y)
                    for k in range(1, 20)
                )
                noise = 0.002 * random.standard_normal(SHAPE)
                field = mean + 0.5 * spread * (waves + noise)
                variable[0, level] = np.abs(field) if name == "q" else field


def reference(path, levels):
    import numpy as np
    import xarray

    start = time.perf_counter()
    state = np.empty((len(VARIABLES) * levels, *SHAPE), dtype=np.float32)
    with xarray.open_dataset(path, engine="netcdf4") as file:
        for i, name in enumerate(VARIABLES):
            state[i * levels : (i + 1) * levels] = file[name].isel(time=0).values
    seconds = time.perf_counter() - start
    print(json.dumps({"seconds": seconds, "mean": float(state.mean(dtype=np.float64))}))


def run(command):
    """What the program printed."""
    output = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    return json.loads(output.strip().splitlines()[-1])


def peak(command):
    """In a process that starts nothing else: the peak of its children is that of the command."""
    script = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL);"
    script += "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)"
    return int(subprocess.run([sys.executable, "-c", script, *command], check=True, capture_output=True).stdout)


def program():
    build = ["cargo", "bench", "--bench", "ingest", "--no-run", "--message-format=json"]
    lines = subprocess.run(build, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    found = [json.loads(line) for line in lines]
    return next(m["executable"] for m in found if m.get("target", {}).get("kind") == ["bench"] and m.get("executable"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--levels", type=int, default=13)
    parser.add_argument("--reference", metavar="FILE", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.reference:
        return reference(args.reference, args.levels)
    ours = program()
    state = len(VARIABLES) * args.levels * SHAPE[0] * SHAPE[1] * 4
    for together in (False, True):
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/analysis.nc"
            write(path, args.levels, together)
            commands = {
                "vejr": [ours, path],
                "xarray": [sys.executable, __file__, "--reference", path, "--levels", str(args.levels)],
            }
            results = {name: [] for name in commands}
            for _ in range(args.rounds):
                for name, command in commands.items():
                    results[name].append(run(command))
            seconds = {name: statistics.median(r["seconds"] for r in found) for name, found in results.items()}
            means = [found[0]["mean"] for found in results.values()]
            assert abs(means[0] - means[1]) <= 1e-6 * abs(means[1]), means
            memory = {name: peak(command) / state for name, command in commands.items()}
            print(f"compressed {'all levels together' if together else 'level by level'}:")
            print(f"  seconds: vejr {seconds['vejr']:.3f}, xarray {seconds['xarray']:.3f}, ratio {seconds['vejr'] / seconds['xarray']:.2f}")
            print(f"  largest process over the state ({state / 2**20:.0f} MiB): vejr {memory['vejr']:.2f}, xarray {memory['xarray']:.2f}")


if __name__ == "__main__":
    main()
