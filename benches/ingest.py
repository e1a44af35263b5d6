"""Reading the analysis of a 0.25° model against xarray with netCDF4: same file, same fields, in one run.

    python benches/ingest.py [--rounds 3] [--levels 13] [--json FILE]

A file of 6 variables on 13 levels (721 × 1440, NetCDF-4, deflate with shuffle) is made, once compressed level by level and
once all levels together. The two take turns. Told are medians of what opening, reading and assembling took, without starting the
program, and peak memory over the size of the state.
"""

import json
import sys
import tempfile
import time

import common

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


def main():
    parser = common.arguments(__doc__)
    parser.add_argument("--levels", type=int, default=13)
    parser.add_argument("--reference", metavar="FILE", help=common.argparse.SUPPRESS)
    args = parser.parse_args()
    if args.reference:
        return reference(args.reference, args.levels)
    ours = common.executable("ingest", args)
    report, section = common.Report("ingest", args), common.Sections.INGEST
    state = len(VARIABLES) * args.levels * SHAPE[0] * SHAPE[1] * 4
    env, reference_env = common.environment(args.threads), common.environment(args.threads, reference=True)
    for together in (False, True):
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/analysis.nc"
            common.progress("writing a file")
            write(path, args.levels, together)
            theirs = [sys.executable, __file__, "--reference", path, "--levels", args.levels]
            runs = common.alternating(
                args.rounds, ours=lambda _: common.run([ours, path], env), theirs=lambda _: common.run(theirs, reference_env)
            )  # fmt: skip
            means = [found[0]["mean"] for found in runs.values()]
            assert abs(means[0] - means[1]) <= 1e-6 * abs(means[1]), means
            seconds = [common.median(found, "seconds") for found in runs.values()]
            memory = [common.largest_process([ours, path], env) / state, common.largest_process(theirs, reference_env) / state]
            what = f"{len(VARIABLES) * args.levels} fields of {SHAPE[0]} × {SHAPE[1]}, compressed {'all levels together' if together else 'level by level'}"
            report.row(section, f"{what}: reading", "s", *seconds, "xarray")
            report.row(section, f"{what}: largest process", "states", *memory, "xarray")
    report.note(section, f"NetCDF-4 with deflate; a state is {state / common.MIB:.0f} MiB")
    report.finish()


if __name__ == "__main__":
    main()
