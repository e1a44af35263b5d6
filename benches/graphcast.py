"""Our GraphCast against the JAX reference: same weights, same analyses, same steps, same threads.

    python benches/graphcast.py [--resolution 1] [--mesh 5] [--latent 512] [--steps 1] [--rounds 2] [--threads 2] [--json FILE]

What is not said otherwise is the published GraphCast_small: one degree, 13 levels. Makes a case with random weights
(`models/graphcast/reference.py`, which says what must be installed), which `--folder` keeps for the next time; then the two
take turns. Told are medians and their ratio: the steps alone, the whole process, and peak resident memory; and how far the
two forecasts are apart after the last step. The reference runs in float32 and keeps to as many CPUs as there are threads. Its
steps are those of the compiled function, from NumPy's arrays to results that are ready; to compile it, its graph included,
is printed apart, and is part of the process, whose peak memory may be the compiler's.
"""

import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import common
from common import ROOT

MAKER = ROOT / "models/graphcast/reference.py"
SETTINGS = ["resolution", "mesh", "latent", "message-steps", "hidden-layers", "radius", "levels", "precipitation"]


def prepare(args):
    """Weights, statistics and analyses, and our package of them."""
    settings = [part for name in SETTINGS for part in (f"--{name}", str(getattr(args, name.replace("-", "_"))))]
    subprocess.run([sys.executable, MAKER, args.folder, "--statics-only", *settings], check=True)
    command = [args.program, "models", "import", args.folder, "--output", args.folder / "package"]
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
    if args.reference == "count":
        traced = function.trace(published.params, inputs=inputs, **first)
        arrays = jax.tree.leaves((published.params, inputs, first)) + traced.jaxpr.consts
        return print(json.dumps({"flops": products(traced.jaxpr.jaxpr), "least_bytes": sum(array.nbytes for array in arrays)}))
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
    print(json.dumps({**result, "peak_resident_bytes": common.own_peak()}))


def products(jaxpr):
    """FLOPs of the matrix products of a traced function."""
    from jax.extend.core import jaxprs_in_params

    total = 0
    for equation in jaxpr.eqns:
        if equation.primitive.name == "dot_general":
            (contracted, _), _ = equation.params["dimension_numbers"]
            inner = math.prod(equation.invars[0].aval.shape[axis] for axis in contracted)
            total += 2 * inner * equation.outvars[0].aval.size
        total += sum(products(inner) for inner in jaxprs_in_params(equation.params))
    return total


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
    parser = common.arguments(__doc__, rounds=2)
    parser.add_argument("--resolution", type=float, default=1.0)
    parser.add_argument("--mesh", type=int, default=5)
    parser.add_argument("--latent", type=int, default=512)
    parser.add_argument("--message-steps", type=int, default=16)
    parser.add_argument("--hidden-layers", type=int, default=1)
    parser.add_argument("--radius", type=float, default=0.6)
    parser.add_argument("--levels", default="13")
    parser.add_argument("--precipitation", choices=["input", "output", "none"], default="input")
    parser.add_argument("--steps", type=int, default=1)
    parser.add_argument("--folder", type=pathlib.Path, help="what is made once")
    parser.add_argument("--reference", help=common.argparse.SUPPRESS)
    args = parser.parse_args()
    if args.reference:
        return reference(args)

    report = common.Report("graphcast", args)
    what = f"graphcast, {args.resolution:g}°, mesh {args.mesh}, width {args.latent}, {args.message_steps} message steps, levels {args.levels}"
    if missing := common.absent("weathernext", "xarray_jax", "jax"):
        why = f"{', '.join(missing)} not installed (models/graphcast/README.md says how)"
        report.not_measured("graphcast against its reference", why)
        return report.finish()
    with tempfile.TemporaryDirectory() as temporary:
        args.folder = (args.folder or pathlib.Path(temporary) / "case").resolve()
        if not args.folder.exists():
            common.progress("making weights and analyses")
            prepare(args)
        final, init = f"{temporary}/reference.nc", ["--init", args.folder / "init.nc"]
        theirs = [sys.executable, __file__, "--folder", args.folder, "--threads", args.threads, "--steps", args.steps]

        def ours(n):
            return common.forecast_command(args, args.folder / "package", f"{temporary}/{n}.zarr", args.steps, *init)

        runs = common.compare_forecasts(
            report, what, "JAX", args.steps, ours, lambda _: [*theirs, "--reference", final], [*theirs, "--reference", "count"]
        )
        apart = distance(f"{temporary}/{args.rounds - 1}.zarr", final)
    compiling = common.median(runs["theirs"], "compile_seconds")
    report.note(common.Sections.STEPS, f"{what}: JAX compiles for {compiling:.1f} s, which is part of its process")
    report.note(common.Sections.STEPS, f"{what}: after {common.plural(args.steps, 'step')} apart by {apart:.1e} (relative L2, worst variable and level)")
    report.finish()


if __name__ == "__main__":
    main()
