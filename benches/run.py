"""Runs the benchmarks, each as a process, and writes benches/RESULTS.md.

    python benches/run.py [--only sfno,tiles] [--program target/release/vejr] [--rounds N] [--list] [--table]

What each found is kept in benches/results.json, of which the table is made: with `--only` the other parts stay as they are, if they
were measured on this kind of machine; `--table` measures nothing and writes the table anew. A part that fails is named in the
table, the others run all the same, and the exit code is 1. `make bench` builds first, and installs benches/requirements.txt.
"""

import argparse
import datetime
import importlib.metadata
import json
import os
import pathlib
import platform
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time

import common
from common import ROOT, figure

RESULTS, TABLE = ROOT / "benches/results.json", ROOT / "benches/RESULTS.md"
# name -> script and its arguments, in the order of the table
PARTS = {
    "sfno": ["sfno.py"],
    "graph_lam": ["limited_area.py", "--model", "graph_lam"],
    "hi_lam": ["limited_area.py", "--model", "hi_lam"],
    "graphcast": ["graphcast.py"],
    "forecast": ["forecast.py"],
    "machine": ["machine.py"],
    "scaling": ["scaling.py"],
    "kernels": ["kernels.py"],
    "ingest": ["ingest.py"],
    "tiles": ["tiles.py"],
}
SECTIONS = [text for name, text in vars(common.Sections).items() if name.isupper()]
PACKAGES = [
    "numpy", "torch", "torch-harmonics", "neural-lam", "torch-geometric", "jax", "dm-haiku", "weathernext", "xarray", "netCDF4", "zarr",
    "xpublish", "xpublish-tiles", "xpublish-edr",
]  # fmt: skip
MOST_SECONDS = 900


def output_of(*command):
    try:
        return subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def machine():
    """What decides how fast everything is."""
    model = re.search(r"^model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    flags = pathlib.Path("/proc/cpuinfo").read_text()
    vectors = next((name for flag, name in [("avx512f", "AVX-512"), ("avx2", "AVX2")] if f" {flag} " in flags), "")
    memory = int(re.search(r"MemTotal:\s*(\d+)", pathlib.Path("/proc/meminfo").read_text())[1]) / 2**20
    return {
        "CPU": " ".join([model[1] if model else platform.machine(), *([f"({vectors})"] if vectors else [])]),
        "cores": len(os.sched_getaffinity(0)),
        "memory": f"{memory:.0f} GiB",
    }


def versions(program):
    found = {"Python": platform.python_version(), "Linux": platform.release().split("-")[0]}
    found["vejr"] = output_of(str(program), "--version").removeprefix("vejr ")
    if commit := output_of("git", "describe", "--always", "--dirty"):
        found["vejr"] += f" ({commit})"
    found["rustc"] = output_of("rustc", "--version").removeprefix("rustc ").split(" ")[0]
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            pass
    return found


def measure(name, options):
    """One part: its document, with how it came about."""
    script, *arguments = PARTS[name]
    shown = ["python", f"benches/{script}", *arguments]
    arguments = arguments + ([] if options.rounds is None else ["--rounds", str(options.rounds)])
    given = ["--program", str(options.program)]
    if options.executables:
        given += ["--executables", str(options.executables)]
    load, started = os.getloadavg()[0], time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "result.json"
        command = [sys.executable, str(ROOT / "benches" / script), *arguments, *given, "--json", str(path)]
        # its own group, so that servers and clients end with it
        process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True)
        try:
            last = follow(process)
            failed = f"exit code {process.returncode}: {last}" if process.returncode else None
        except subprocess.TimeoutExpired:
            failed = f"not done after {MOST_SECONDS} s"
        finally:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()
        document = {"bench": name, "failed": failed} if failed or not path.exists() else json.loads(path.read_text())
    document |= {"bench": name, "seconds": time.perf_counter() - started, "load": load, "command": " ".join(shown)}
    if options.rounds is not None:
        document["command"] += f" --rounds {options.rounds}"
    document |= {"machine": machine(), "versions": versions(options.program)}
    return document | {"date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")}


def follow(process):
    """Passes on what a process says; its last words."""
    last = []

    def read():
        for line in process.stderr:
            sys.stderr.write(line)
            sys.stderr.flush()
            last[:] = [line.strip()] if line.strip() else last

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    process.wait(timeout=MOST_SECONDS)
    reader.join(timeout=1)
    return last[0][-300:] if last else ""


def markdown(*rows):
    return ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]


def table(documents):
    """benches/RESULTS.md, from the documents of the parts and nothing else."""
    documents = [documents[name] for name in PARTS if name in documents]
    good = [document for document in documents if "failed" not in document or not document["failed"]]
    lines = [
        "# What vejr costs", "",
        "Written by `make bench`: medians of rounds in which vejr and the reference take turns, with two threads each. Ratios are vejr's "
        "figure over the other. PyTorch and JAX keep freed pages, as vejr does, except where their memory is measured.", "",
    ]  # fmt: skip
    if documents:
        lines += [*markdown(["machine", ""], ["---", "---"], *documents[-1]["machine"].items()), ""]
        found = {}
        for document in documents:
            for package, version in document["versions"].items():
                found.setdefault(package, {})[version] = None
        lines += [*markdown(["software", "version"], ["---", "---"], *((package, ", ".join(each)) for package, each in found.items())), ""]
    peaks = next((document["peaks"] for document in good if "peaks" in document), None)
    for section in SECTIONS:
        rows = [row for document in good for row in document["rows"] if row["section"] == section]
        notes = [note["text"] for document in good for note in document["notes"] if note["section"] == section]
        lines += [f"## {section}", ""] if rows or notes else []
        if rows:
            lines += markdown(["", "vejr", "against", "", "ratio", "wanted"], ["---", "--:", "---", "--:", "--:", "---"])
            lines += markdown(*(cells(row) for row in rows))
            lines += [""]
        if section == common.Sections.MACHINE and peaks:
            lines += rooflines([roofline for document in good for roofline in document["rooflines"]], peaks)
        lines += [f"- {note}" for note in notes] + ([""] if notes else [])
    missing = [f"- {part['what']}: not measured: {part['why']}" for document in good for part in document["not_measured"]]
    missing += [f"- {document['bench']}: failed: {document['failed']}" for document in documents if document not in good]
    missing += [f"- {name}: not measured: not run on this machine" for name in PARTS if name not in [d["bench"] for d in documents]]
    if missing:
        lines += ["## Not measured", "", *missing, ""]
    lines += ["## How", ""]
    lines += markdown(["command", "when", "took", "load of the machine before"], ["---", "---", "--:", "--:"])
    lines += markdown(*([f"`{d['command']}`", d["date"], f"{d['seconds']:.0f} s", f"{d['load']:.1f}"] for d in documents))
    return "\n".join(lines) + "\n"


def cells(row):
    unit = "" if row["unit"] == "states" else f" {row['unit']}"
    ours, reference, wanted = row["ours"], row["reference"], row["wanted"]
    if reference is None:
        return [row["what"], f"{figure(ours)}{unit}", "", "", "", ""]
    ratio = ours / reference
    told = "" if wanted is None else f"≤ {wanted:g}" + ("" if ratio <= wanted else ", **missed**")
    return [row["what"], f"{figure(ours)}{unit}", row["against"], f"{figure(reference)}{unit}", f"{ratio:.3f}" if ratio < 10 else f"{ratio:.0f}", told]


def rooflines(found, peaks):
    """What part of the machine's peaks a step reaches."""
    lines = markdown(["one step", "the reference's work", "our time", "that is", "of the products' peak", "least traffic", "of the bandwidth"])
    lines += markdown(["---", "--:", "--:", "--:", "--:", "--:", "--:"])
    for one in found:
        rate, traffic = one["flops"] / one["step_seconds"] / 1e9, one["least_bytes"] / one["step_seconds"] / 1e9
        lines += markdown([
            one["what"], f"{figure(one['flops'] / 1e9)} GFLOP", f"{figure(one['step_seconds'])} s", f"{figure(rate)} GFLOP/s",
            f"{100 * rate / peaks['gflops']:.0f} %", f"{figure(one['least_bytes'] / common.MIB)} MiB", f"{100 * traffic / peaks['gbytes']:.1f} %",
        ])  # fmt: skip
    return [
        *lines, "",
        "The work is what the reference's step does in matrix products (counted by torch's FlopCounterMode, complex products as four real "
        "ones; of JAX from the traced function) and Fourier transforms (5/2 N log₂ N). vejr leaves some of it out: rows that a triangular "
        "transform does not need, products that all edges of a node share, what never changes. So this is the share of work that is asked "
        "for, and may be above 100 %; the operations that were done are fewer. The least traffic is weights, constant tables and the state "
        "in and out, moved once: a lower bound.", "",
    ]  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help=f"parts, with commas: {', '.join(PARTS)}")
    parser.add_argument("--program", type=pathlib.Path, default=ROOT / "target/release/vejr", help="vejr")
    parser.add_argument("--executables", type=pathlib.Path, metavar="DIR", help="where cargo put its benchmarks, if they are not to be built")
    parser.add_argument("--rounds", type=int, help="of every part, instead of its own number")
    parser.add_argument("--list", action="store_true", help="print the parts' names")
    parser.add_argument("--table", action="store_true", help="measure nothing, write the table from what is there")
    options = parser.parse_args()
    if options.list:
        return print("\n".join(PARTS))
    documents = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    chosen = [] if options.table else options.only.split(",") if options.only else list(PARTS)
    if unknown := set(chosen) - set(PARTS):
        parser.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    if chosen:
        documents = {name: document for name, document in documents.items() if document["machine"] == machine()}
    started, failed = time.perf_counter(), []
    for n, name in enumerate(chosen, 1):
        print(f"[{n}/{len(chosen)}] {name}", file=sys.stderr, flush=True)
        documents[name] = measure(name, options)
        if documents[name].get("failed"):
            failed.append(name)
            print(f"  FAILED: {documents[name]['failed']}", file=sys.stderr)
        print(f"  {name} took {documents[name]['seconds']:.0f} s", file=sys.stderr, flush=True)
        RESULTS.write_text(json.dumps(documents, indent=1, ensure_ascii=False) + "\n")
    TABLE.write_text(table(documents))
    if chosen:
        print(f"{TABLE.relative_to(ROOT)} written; {time.perf_counter() - started:.0f} s in all", file=sys.stderr)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
