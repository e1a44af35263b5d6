"""Whole forecasts: how much longer they take than the computing of their steps, published as float32 on a local disk.

    python benches/forecast.py [--steps 40] [--rows 96] [--clients 10] [--rounds 3] [--json FILE]

Of the bundled network, and of one like it on a larger grid. Then the same while `vejr serve` gives out tiles of the growing
forecast: clients ask for one tile after another, of any zoom from 0 to 5 and of any step that is there, and think for a tenth of a
second in between, as people who drag a map; and then without thinking. What the forecast took is the wall time that it tells,
without reading the analysis; the sum of the steps is that of the same forecast. Energy is what `vejr forecast` tells.
"""

import contextlib
import http.client
import json
import pathlib
import random
import signal
import socket
import statistics
import subprocess
import tempfile
import threading
import time
import tomllib

import common
import sphere
from common import ROOT

THINKING = 0.1


@contextlib.contextmanager
def server(options, folder):
    """`vejr serve` on a store; its port."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    configuration = folder / "vejr.toml"
    configuration.write_text(f'store = "{folder / "store"}"\nlisten = "127.0.0.1:{port}"\nmodels = []\n')
    command = [options.program, "serve", "--config", configuration]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=common.environment(options.threads))
    try:
        if not process.stdout.readline():
            raise SystemExit("vejr serve does not start")
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


class Clients:
    """People who look at a forecast while it grows."""

    def __init__(self, port, run, channels, step_hours, count, thinking):
        self.port, self.run, self.channels, self.step_hours, self.thinking = port, run, channels, step_hours, thinking
        self.steps, self.ended, self.times, self.failed = 0, threading.Event(), [], []
        self.threads = [threading.Thread(target=self.watch), *(threading.Thread(target=self.ask, args=[n]) for n in range(count))]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        for thread in self.threads:
            thread.join()

    def get(self, connection, path):
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()

    def watch(self):
        """How many steps there are."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        while not self.ended.wait(0.2):
            status, answer = self.get(connection, f"/api/v1/runs/{self.run}")
            if status == 200:
                self.steps = json.loads(answer)["run"]["steps_complete"]

    def ask(self, seed):
        drawn, connection = random.Random(seed), http.client.HTTPConnection("127.0.0.1", self.port)
        while not self.ended.wait(self.thinking if self.steps else 0.02):
            if not self.steps:
                continue
            zoom, (name, level) = drawn.randint(0, 5), drawn.choice(self.channels)
            place = f"{zoom}/{drawn.randrange(2**zoom)}/{drawn.randrange(2**zoom)}"
            path = f"/tiles/{self.run}/{name}/{level}/{drawn.randrange(self.steps) * self.step_hours}h/{place}.png"
            started = time.perf_counter()
            status, _ = self.get(connection, path)
            (self.times if status == 200 else self.failed).append(time.perf_counter() - started)


def level_name(level):
    return f"{level['pressure']:g}hPa" if isinstance(level, dict) and "pressure" in level else level if isinstance(level, str) else None


def case(report, what, package, init, kept):
    """`kept`: a folder for what is published. All of it stays until the end: ext4 takes long to make files where many were just
    deleted."""
    options = report.options
    manifest = tomllib.loads((package / "model.toml").read_text())
    # a client need not know all kinds of levels
    channels = [(c["name"], level_name(c["level"])) for c in manifest["channel"] if level_name(c["level"])]
    step_hours = int(manifest["model"]["time_step"].removesuffix("h"))
    env = common.environment(options.threads)
    known = {}

    def alone(_):
        folder = tempfile.mkdtemp(dir=kept)
        found = common.run(common.forecast_command(options, package, f"{folder}/f.zarr", options.steps, "--init", init), env)
        moment = found["reference_time"].replace(":", "")[:15] + "Z"
        known["path"] = pathlib.Path(manifest["model"]["name"], moment, found["run_key"])
        return found

    def with_clients(thinking):
        def task(_):
            folder, path = pathlib.Path(tempfile.mkdtemp(dir=kept)), known["path"]
            (folder / "store" / path).mkdir(parents=True)
            output = folder / "store" / path / "forecast.zarr"
            with server(options, folder) as port:
                run = "~".join(path.parts)
                with Clients(port, run, channels, step_hours, options.clients, thinking) as clients:
                    found = common.run(common.forecast_command(options, package, output, options.steps, "--init", init), env)
            if clients.failed or not clients.times:
                raise SystemExit(f"{len(clients.failed)} of {len(clients.failed) + len(clients.times)} tiles were not there")
            return found | {"tiles": len(clients.times) / found["wall_seconds"], "tile_ms": 1e3 * statistics.median(clients.times)}

        return task

    runs = common.alternating(options.rounds, alone=alone, thinking=with_clients(THINKING), hurried=with_clients(0))
    section = common.Sections.FORECASTS
    described = [
        ("alone", "", 1.05),
        ("thinking", f", {options.clients} tile clients that think {THINKING:g} s", 1.15),
        ("hurried", f", {options.clients} tile clients without a pause", 1.15),
    ]
    undisturbed = common.median(runs["alone"], "step_seconds")
    for name, conditions, wanted in described:
        found = runs[name]
        # of the run whose ratio is in the middle
        middle = sorted(found, key=lambda run: run["wall_seconds"] / run["step_seconds"])[len(found) // 2]
        label = f"{what}, {options.steps} steps{conditions}"
        report.row(section, label, "s", middle["wall_seconds"], middle["step_seconds"], "its steps", wanted)
        if name != "alone":
            wall = common.median(found, "wall_seconds")
            report.row(section, f"{label}, against nobody looking", "s", wall, undisturbed, "steps undisturbed")
            tiles, took = common.median(found, "tiles"), common.median(found, "tile_ms")
            report.note(section, f"{label}: {tiles:.0f} tiles a second, half of them within {took:.1f} ms")
    starting = statistics.median(run["process_seconds"] - run["wall_seconds"] for run in runs["alone"])
    report.row(section, f"{what}: starting, opening the package, reading the analysis", "s", starting)
    joules = [run["joules"] for run in runs["alone"]]
    if None in joules:
        report.not_measured(f"energy: {what}", "no counter that this user may read (RAPL of CPUs, NVML of GPUs)")
    else:
        report.row(common.Sections.ENERGY, f"{what}, {options.steps} steps ({runs['alone'][0]['energy_source']})", "J", statistics.median(joules))


def main():
    parser = common.arguments(__doc__)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--rows", type=int, default=96, help="of the larger grid")
    parser.add_argument("--clients", type=int, default=10)
    options = parser.parse_args()
    report = common.Report("forecast", options)
    with tempfile.TemporaryDirectory() as kept:
        case(report, "sfno, 48 × 96 points", ROOT / "models/held-suarez-sfno", ROOT / "data-samples/held-suarez-init.nc", kept)
        package, init = sphere.make(pathlib.Path(kept) / "case", options.rows)
        case(report, f"sfno, {options.rows} × {2 * options.rows} points", package, init, kept)
    report.note(common.Sections.FORECASTS, "published as float32 on a local disk; tiles are drawn on the same cores")
    report.finish()


if __name__ == "__main__":
    main()
