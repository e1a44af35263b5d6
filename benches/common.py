"""What the benchmarks share: processes that take turns, medians, and one JSON document each.

Rows have our figure and, where there is one, the reference's, in the same unit; the ratio is always ours over the reference's.
`python benches/run.py` collects the documents and writes benches/RESULTS.md.
"""

import argparse
import importlib.util
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
MIB = 2**20
# What vejr tells jemalloc, told to the C library that the references allocate with: freed pages stay with the process. Without
# it, page faults take most of the time of operations on large tensors.
KEEP_PAGES = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**62)}


class Sections:
    """The parts of the table."""

    STEPS = "Step time and peak memory against the reference implementations"
    FORECASTS = "Whole forecasts"
    MACHINE = "Share of what the machine can do"
    SCALING = "Cost as grid, members and steps grow"
    KERNELS = "Kernels against PyTorch"
    INGEST = "Reading an analysis"
    TILES = "Tiles and points"
    ENERGY = "Energy"


def arguments(doc, rounds=3):
    """A parser with the options that all have."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=pathlib.Path, default=ROOT / "target/release/vejr", help="vejr")
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write the result there, too")
    parser.add_argument("--executables", type=pathlib.Path, metavar="DIR", help="where cargo put its benchmarks, if they are not to be built")
    return parser


def progress(text):
    print(f"  {text}", file=sys.stderr, flush=True)


def absent(*modules):
    """Those that are not installed."""
    return [module for module in modules if importlib.util.find_spec(module) is None]


def environment(threads, reference=False):
    """Of a process that is measured."""
    told = {"RAYON_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
    return {**os.environ, **told, **(KEEP_PAGES if reference else {})}


def executable(name, options):
    """One of cargo's benchmarks, built unless `--executables` says where it lies."""
    if options.executables:
        found = [path for path in options.executables.glob(f"{name}-*") if not path.suffix]
        if not found:
            sys.exit(f"no {name}-* in {options.executables}")
        return max(found, key=lambda path: path.stat().st_mtime)
    command = ["cargo", "bench", "--bench", name, "--no-run", "--message-format=json"]
    for line in subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines():
        message = json.loads(line)
        if message.get("target", {}).get("name") == name and message.get("executable"):
            return pathlib.Path(message["executable"])
    sys.exit(f"cargo built no benchmark {name}")


def run(command, env=None):
    """The last line that a program printed, which is JSON, and how long the process took."""
    started = time.perf_counter()
    done = subprocess.run([str(part) for part in command], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    seconds = time.perf_counter() - started
    if done.returncode:
        sys.exit(f"{' '.join(str(part) for part in command)}\nended with code {done.returncode}: {done.stderr[-2000:]}")
    return {**json.loads(done.stdout.strip().splitlines()[-1]), "process_seconds": seconds}


def largest_process(command, env=None):
    """Peak resident bytes of the largest of a command's processes. In a process that starts nothing else: the peak of its
    children is that of the command."""
    script = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL);"
    script += "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)"
    command = [sys.executable, "-c", script, *(str(part) for part in command)]
    return int(subprocess.run(command, env=env, check=True, stdout=subprocess.PIPE).stdout)


def own_peak():
    """Peak resident bytes of this process. Not `ru_maxrss`, which may be that of the process which started this one."""
    return int(re.search(r"VmHWM:\s*(\d+)", pathlib.Path("/proc/self/status").read_text())[1]) * 1024


def alternating(rounds, quiet=False, **tasks):
    """Results of tasks that take turns, so that a machine that slows down slows down all of them."""
    results = {name: [] for name in tasks}
    for n in range(rounds):
        for name, task in tasks.items():
            results[name].append(task(n))
        if not quiet:
            progress(f"round {n + 1} of {rounds}")
    return results


def median(runs, key):
    return statistics.median(run[key] for run in runs)


def figure(value):
    """Three digits."""
    if value is None:
        return "—"
    if value != value or abs(value) >= 100:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.{max(0, 2 - len(str(int(abs(value)))) + 1)}f}" if abs(value) >= 1 else f"{value:.3g}"


def plural(count, what):
    return f"{count} {what}" if int(count) == 1 else f"{count} {what}s"


class Report:
    """What one benchmark found."""

    def __init__(self, name, options):
        self.options = options
        self.document = {"bench": name, "rows": [], "notes": [], "not_measured": [], "rooflines": []}

    def row(self, section, what, unit, ours, reference=None, against=None, wanted=None):
        """`wanted`: what the ratio should be at most."""
        row = dict(section=section, what=what, unit=unit, ours=ours, reference=reference, against=against, wanted=wanted)
        self.document["rows"].append(row)

    def note(self, section, text):
        self.document["notes"].append({"section": section, "text": text})

    def not_measured(self, what, why):
        self.document["not_measured"].append({"what": what, "why": why})

    def roofline(self, what, step_seconds, flops, least_bytes):
        """Of one step: `flops` of the reference's matrix products and Fourier transforms; `least_bytes`: weights, constant
        tables and the state in and out, each moved once."""
        self.document["rooflines"].append(dict(what=what, step_seconds=step_seconds, flops=flops, least_bytes=least_bytes))

    def finish(self):
        section = None
        for row in self.document["rows"]:
            if row["section"] != section:
                section = row["section"]
                print(f"{section}:")
            line = f"  {row['what']:60} {figure(row['ours']):>9} {row['unit']:9}"
            if row["reference"] is not None:
                line += f" {row['against']} {figure(row['reference'])} {row['unit']}, ratio {row['ours'] / row['reference']:.3f}"
            print(line)
        for roofline in self.document["rooflines"]:
            print(f"  {roofline['what']}: {roofline['flops'] / 1e9:.2f} GFLOP a step, {roofline['flops'] / roofline['step_seconds'] / 1e9:.0f} GFLOP/s")
        for note in self.document["notes"]:
            print(f"  {note['text']}")
        for part in self.document["not_measured"]:
            print(f"  {part['what']}: not measured: {part['why']}")
        if self.options.json:
            self.options.json.write_text(json.dumps(self.document, indent=1) + "\n")


def forecast_command(options, package, output, steps, *more):
    return [options.program, "forecast", "--json", "--device", "cpu", "--model", package, "--output", output, "--steps", steps, *more]


def compare_forecasts(report, what, against, steps, ours, theirs, count=None):
    """Forecasts in turns, each a process; `ours` and `theirs` make the commands of a round. `count`: the command that counts the
    reference's operations. The reference keeps its freed pages, which makes it faster and larger: its memory is that of another
    run, in which it does not."""
    options, section = report.options, Sections.STEPS
    env, reference_env = environment(options.threads), environment(options.threads, reference=True)
    runs = alternating(options.rounds, ours=lambda n: run(ours(n), env), theirs=lambda n: run(theirs(n), reference_env))
    for label, key, wanted in [(plural(steps, "step"), "step_seconds", 0.6), ("the whole process", "process_seconds", None)]:
        report.row(section, f"{what}: {label}", "s", median(runs["ours"], key), median(runs["theirs"], key), against, wanted)
    progress("memory")
    peaks = [median(runs["ours"], "peak_resident_bytes"), run(theirs(0), env)["peak_resident_bytes"]]
    report.row(section, f"{what}: peak memory", "MiB", *(peak / MIB for peak in peaks), against, 0.4)
    if count:
        counted = run(count, reference_env)
        report.roofline(what, median(runs["ours"], "step_seconds") / int(steps), counted["flops"], counted["least_bytes"])
    return runs


def worst_channel(pairs):
    """Largest relative L2 distance of (ours, theirs); NaN if there is one."""
    import numpy as np

    return float(np.max([np.linalg.norm(ours - theirs) / np.linalg.norm(theirs) for ours, theirs in pairs]))


def last_step(forecast, channels):
    """Our last step, field by field."""
    import xarray

    ours = xarray.open_zarr(forecast).isel(reference_time=0, lead_time=-1)
    for channel in channels:
        field = ours[channel["name"]]
        yield field.sel(channel["level"]) if isinstance(channel["level"], dict) else field


def count_operations(call, modules, moved):
    """FLOPs of a PyTorch call's matrix products (complex ones are four real ones) and Fourier transforms (5/2 N log2 N for real
    values), and the bytes of parameters and tables of `modules`, with the tensors `moved`."""
    import math

    import torch
    from torch.utils.flop_counter import FlopCounterMode, flop_registry

    aten = torch.ops.aten

    def raw(formula):
        formula._get_raw = True
        return formula

    def product(operation):
        plain = flop_registry[operation]
        return raw(lambda *args, out_val=None, **named: plain(*args, out_val=out_val, **named) * (4 if out_val.is_complex() else 1))

    def fourier(x, dims, *rest, out_val=None, **named):
        real = out_val if x.is_complex() else x
        return int(2.5 * real.numel() * math.log2(math.prod(real.shape[dim] for dim in dims)))

    formulas = {operation: product(operation) for operation in (aten.mm, aten.addmm, aten.bmm, aten.baddbmm)}
    formulas |= {operation: raw(fourier) for operation in (aten._fft_r2c, aten._fft_c2r)}
    with torch.no_grad(), FlopCounterMode(display=False, custom_mapping=formulas) as counter:
        call()
    held = {tensor.data_ptr(): tensor for module in modules for tensor in [*module.parameters(), *module.buffers()]}
    least = sum(tensor.numel() * tensor.element_size() for tensor in [*held.values(), *moved])
    return {"flops": counter.get_total_flops(), "least_bytes": least}
