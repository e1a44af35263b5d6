"""Our GraphCast against the JAX reference: same weights, same analyses, same steps, same threads.

    python benches/graphcast.py [--resolution 1] [--mesh 5] [--latent 512] [--steps 1] [--rounds 1] [--threads 2]

What is not said otherwise is the published GraphCast_small: one degree, 13 levels. Makes a case with random weights
(`models/graphcast/reference.py`, which says what must be installed), which `--folder` keeps for the next time; then the two
take turns. Printed are medians and their ratio: the steps alone, the whole process, and peak resident memory; and how far the
two forecasts are apart after the last step. The reference runs in float32 and keeps to as many CPUs as there are threads. Its
steps are those of the compiled function, from NumPy's arrays to results that are ready; to compile it, its graph included,
is printed apart, and is part of the process, whose peak memory may be the compiler's.
"""

import argparse
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
MAKER = ROOT / "models/graphcast/reference.py"
SETTINGS = ["resolution", "mesh", "latent", "message-steps", "hidden-layers", "radius", "levels", "precipitation"]


def prepare(args):
    """Weights, statistics and analyses, and our package of them."""
    settings = [part for name in SETTINGS for part in (f"--{name}", str(getattr(args, name.replace("-", "_"))))]
    subprocess.run([sys.executable, MAKER, args.folder, "--statics-only", *settings], check=True)
    command = [args.vejr, "models", "import", args.folder, "--output", args.folder / "package"]
    subprocess.run(command, check=True, stdout=sys.stderr)


def reference(args):
    """In a process of its own: the reference's rollout."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: args.threads])  # XLA has a thread for each CPU
    sys.path.insert(0, str(MAKER.parent))
    import jax
    import reference as maker

    published, scales, init = maker.open_case(args.folder)
    inputs, targets, forcings = maker.batch(init, published.task_config, args.steps)
    started = time.perf_counter()
    function = jax.jit(maker.predictor(published.model_config, published.task_config, scales).apply)
    first = dict(targets_template=targets.isel(time=[0]), forcings=forcings.isel(time=[0]))
    compiled = function.lower(published.params, inputs=inputs, **first).compile()
    result = {"compile_seconds": time.perf_counter() - started, "step_seconds": 0.0}

    def apply(params, **arrays):
        started = time.perf_counter()
        step = jax.block_until_ready(compiled(params, **arrays))
        result["step_seconds"] += time.perf_counter() - started
        return step

    for last in maker.forecast(apply, jax.device_put(published.params), inputs, targets, forcings):
        pass
    maker.write_forecast([last], init.time.values[-1], args.reference)
    print(json.dumps({**result, "peak_resident_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))


def timed(command, env):
    started = time.perf_counter()
    out = subprocess.run(command, env=env, check=True, stdout=subprocess.PIPE, text=True).stdout
    return {**json.loads(out.splitlines()[-1]), "process_seconds": time.perf_counter() - started}


def distance(forecast, final):
    """Largest relative L2 distance of the last step over variables and levels."""
    import numpy as np
    import xarray

    ours = xarray.open_zarr(forecast).isel(reference_time=0, lead_time=-1).sortby("latitude")
    distances = []
    for name, theirs in xarray.load_dataset(final).isel(time=-1).data_vars.items():
        field = ours[name].sel(pressure=theirs.level.values) if "level" in theirs.dims else ours[name]
        apart, size = (np.linalg.norm(values, axis=(-2, -1)) for values in (field.values - theirs.values, theirs.values))
        distances.append(np.max(apart / size))
    return np.max(distances)  # NaN if there is one


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vejr", type=pathlib.Path, default=ROOT / "target/release/vejr")
    parser.add_argument("--resolution", type=float, default=1.0)
    parser.add_argument("--mesh", type=int, default=5)
    parser.add_argument("--latent", type=int, default=512)
    parser.add_argument("--message-steps", type=int, default=16)
    parser.add_argument("--hidden-layers", type=int, default=1)
    parser.add_argument("--radius", type=float, default=0.6)
    parser.add_argument("--levels", default="13")
    parser.add_argument("--precipitation", choices=["input", "output", "none"], default="input")
    parser.add_argument("--steps", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--folder", type=pathlib.Path, help="what is made once")
    parser.add_argument("--reference", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.reference:
        return reference(args)

    threads, steps = str(args.threads), str(args.steps)
    env = {**os.environ, "RAYON_NUM_THREADS": threads, "OMP_NUM_THREADS": threads}
    ours, theirs = [], []
    with tempfile.TemporaryDirectory() as temporary:
        args.folder = (args.folder or pathlib.Path(temporary) / "case").resolve()
        if not args.folder.exists():
            prepare(args)
        final = f"{temporary}/reference.nc"
        for n in range(args.rounds):
            forecast = f"{temporary}/{n}.zarr"
            command = [args.vejr, "forecast", "--json", "--device", "cpu", "--model", args.folder / "package"]
            ours.append(timed([*command, "--init", args.folder / "init.nc", "--steps", steps, "--output", forecast], env))
            command = [sys.executable, __file__, "--folder", args.folder, "--threads", threads, "--steps", steps]
            theirs.append(timed([*command, "--reference", final], env))
            print(f"round {n + 1} of {args.rounds}", file=sys.stderr)
        apart = distance(forecast, final)

    def median(runs, key):
        return statistics.median(run[key] for run in runs)

    shape = f"{args.resolution:g}°, mesh {args.mesh}, latent {args.latent}, {args.message_steps} message steps"
    print(f"{shape}, levels {args.levels}, {steps} steps, {threads} threads")
    for label, key, unit in [
        ("steps", "step_seconds", 1), ("process", "process_seconds", 1), ("peak memory, MiB", "peak_resident_bytes", 2**20)
    ]:  # fmt: skip
        a, b = median(ours, key) / unit, median(theirs, key) / unit
        print(f"{label:18} vejr {a:10.2f}   JAX {b:10.2f}   ratio {a / b:.2f}")
    print(f"{'compiling':18} {'':15}   JAX {median(theirs, 'compile_seconds'):10.2f}")
    print(f"apart after the last step: {apart:.1e} (relative L2, worst channel)")


if __name__ == "__main__":
    main()
