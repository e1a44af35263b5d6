"""Tiles and points against xpublish-tiles and xpublish-edr: the same forecast, the same places, in one run.

    pip install xpublish-tiles==0.4.3 xpublish-edr==0.11.1 uvicorn zarrs
    python benches/tiles.py [--leads 40] [--tiles 600] [--points 300] [--rounds 3] [--concurrency 8]

A forecast of 8 variables on 0.25° is published by vejr's own writer; the peers read it with xarray and zarrs' codecs, the map
copy for tiles and the series copy for points. Servers remember nothing that they have read; what the kernel keeps of the disk, it
keeps for all. Addresses are drawn with a seed: zooms 2 to 6, all leads; others of the same kind are asked for before, so that
nobody compiles or opens anything while it is measured, and values at a place are compared. The servers take turns, each round with
addresses of its own. Printed are medians of the rounds: requests per second, times, CPU time per request, the mean answer; the
server's greatest memory; the ratios of the rounds; and the machine's load, since times count only beside what else was running.
"""

import argparse
import json
import os
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
# and the values that the colours span
VARIABLES = {
    "t2m": (255, 295),
    "d2m": (250, 280),
    "u10": (-10, 10),
    "v10": (-10, 10),
    "msl": (99_500, 102_500),
    "sp": (94_000, 100_000),
    "tcc": (0, 1),
    "tcwv": (10, 50),
}
PEER = """
import sys, warnings
warnings.filterwarnings("ignore")
import uvicorn, xarray, xpublish, zarr
from xpublish_edr import CfEdrPlugin
from xpublish_tiles.xpublish.tiles import TilesPlugin
zarr.config.set({"codec_pipeline.path": "zarrs.ZarrsCodecPipeline"})
def opened(path):
    dataset = xarray.open_zarr(path, chunks=None).squeeze("reference_time", drop=True)
    return dataset.assign_coords(lead_time=range(dataset.sizes["lead_time"])).drop_vars("valid_time")
datasets = {"maps": opened(sys.argv[1]), "points": opened(sys.argv[1] + "/series")}
plugins = {"tiles": TilesPlugin(), "edr": CfEdrPlugin()}
app = xpublish.Rest(datasets, plugins=plugins, cache_kws={"available_bytes": 1}).app
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="error")
"""


def program():
    """The benchmark's own program, built."""
    command = ["cargo", "bench", "--bench", "tiles", "--no-run", "--message-format=json"]
    for line in subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines():
        message = json.loads(line)
        if message.get("target", {}).get("name") == "tiles" and message.get("executable"):
            return message["executable"]
    sys.exit("cargo built no benchmark")


class Server:
    def __init__(self, process, base):
        self.process, self.base = process, base

    def cpu(self):
        fields = open(f"/proc/{self.process.pid}/stat").read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self):
        status = open(f"/proc/{self.process.pid}/status").read()
        return int(status.split("VmHWM:")[1].split()[0]) / 1024


def ask(tool, server, paths, concurrency):
    with tempfile.NamedTemporaryFile("w", suffix=".urls") as file:
        file.write("\n".join(server.base + path for path in paths))
        file.flush()
        done = subprocess.run([tool, "ask", file.name, str(concurrency)], capture_output=True, text=True)
        if done.returncode:
            sys.exit(done.stderr[-2000:])
        return json.loads(done.stdout)


def measure(tool, server, paths, concurrency):
    before = server.cpu()
    found = ask(tool, server, paths, concurrency)
    return found | {"cpu_ms": (server.cpu() - before) * 1e3 / found["requests"]}


def same_values(ours, theirs):
    """Whether both servers tell the same of a place: else they would not be doing the same work."""
    ours, theirs = (json.load(urllib.request.urlopen(url))["ranges"] for url in [ours, theirs])
    for variable in VARIABLES:
        pairs = zip(ours[variable]["values"], theirs[variable]["values"], strict=True)
        if any(abs(one - other) > 1e-5 * abs(other) + 1e-5 for one, other in pairs):
            sys.exit(f"the servers tell different values of {variable}")


def free_port():
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--leads", type=int, default=40)
    parser.add_argument("--tiles", type=int, default=600)
    parser.add_argument("--points", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--warm", type=int, default=20, help="requests of each kind before the measured ones")
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--program", help="the built benchmark, where it is not to be built")
    parser.add_argument("--peers", choices=["yes", "no"], default="yes")
    options = parser.parse_args()
    tool = options.program or program()
    drawn = random.Random(20260101)
    tiles, points = [], []
    for _ in range(options.tiles + options.warm):
        zoom = drawn.randint(2, 6)
        place = (zoom, drawn.randrange(2**zoom), drawn.randrange(2**zoom))
        tiles.append((drawn.choice(list(VARIABLES)), drawn.randrange(options.leads), place))
    for _ in range(options.points + options.warm):
        points.append((drawn.uniform(0, 359), drawn.uniform(-85, 85)))
    with tempfile.TemporaryDirectory() as folder:
        name = subprocess.run(
            [tool, "make", folder, str(options.leads)], check=True, capture_output=True, text=True
        ).stdout.strip()
        store = f"{folder}/{name.replace('~', '/')}/forecast.zarr"
        process = subprocess.Popen([tool, "serve", folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        ours = Server(process, process.stdout.readline().strip())
        asked = {
            "vejr tiles": (ours, [f"/tiles/{name}/{v}/surface/{6 * lead}h/{z}/{x}/{y}.png" for v, lead, (z, x, y) in tiles]),
            "vejr points": (
                ours,
                [f"/collections/bench/position?coords=POINT({x:.3f}%20{y:.3f})&parameter-name={','.join(VARIABLES)}" for x, y in points],
            ),
        }
        peer = None
        try:
            if options.peers == "yes":
                port = free_port()
                peer = subprocess.Popen([sys.executable, "-c", PEER, store, str(port)])
                theirs = Server(peer, f"http://127.0.0.1:{port}")
                for _ in range(240):
                    try:
                        urllib.request.urlopen(f"{theirs.base}/datasets")
                        break
                    except OSError:
                        if peer.poll() is not None:
                            sys.exit("the peer did not start; are xpublish-tiles and xpublish-edr installed?")
                        time.sleep(0.25)
                style = "style=raster/viridis&width=256&height=256&f=image/png"
                asked["xpublish-tiles"] = (
                    theirs,
                    [
                        f"/datasets/maps/tiles/WebMercatorQuad/{z}/{y}/{x}?variables={v}&lead_time={lead}&{style}"
                        f"&colorscalerange={VARIABLES[v][0]},{VARIABLES[v][1]}"
                        for v, lead, (z, x, y) in tiles
                    ],
                )
                asked["xpublish-edr"] = (
                    theirs,
                    [
                        f"/datasets/points/edr/position?coords=POINT({x:.3f}%20{y:.3f})&parameter-name={','.join(VARIABLES)}"
                        for x, y in points
                    ],
                )
                same_values(*(server.base + paths[0] for server, paths in (asked["vejr points"], asked["xpublish-edr"])))
            for server, paths in asked.values():
                ask(tool, server, paths[: options.warm], options.concurrency)
            load = [os.getloadavg()[0]]
            rounds = {what: [] for what in asked}
            for part in range(options.rounds):
                for what, (server, paths) in asked.items():
                    mine = paths[options.warm :][part :: options.rounds]
                    rounds[what].append(measure(tool, server, mine, options.concurrency))
            load.append(os.getloadavg()[0])

            def median(what, key):
                return statistics.median(each[key] for each in rounds[what])

            print(f"{'':16}{'per second':>12}{'p50 ms':>10}{'p99 ms':>10}{'CPU ms':>10}{'kB':>8}{'MiB':>8}")
            for what, (server, _) in asked.items():
                rate, p50, p99, cpu, size = (median(what, key) for key in ["per_second", "p50_ms", "p99_ms", "cpu_ms", "bytes"])
                print(f"{what:16}{rate:12.1f}{p50:10.1f}{p99:10.1f}{cpu:10.2f}{size / 1e3:8.1f}{server.memory():8.0f}")
            for one, other in [("vejr tiles", "xpublish-tiles"), ("vejr points", "xpublish-edr")]:
                if other in rounds:
                    ratios = [a["per_second"] / b["per_second"] for a, b in zip(rounds[one], rounds[other])]
                    each = ", ".join(f"{ratio:.1f}" for ratio in ratios)
                    print(f"{one} / {other}: {statistics.median(ratios):.1f} × the requests per second ({each})")
            print(f"load of the machine ({os.cpu_count()} cores): {load[0]:.1f} before, {load[1]:.1f} after")
        finally:
            if peer:
                peer.terminate()
            process.stdin.close()
            process.wait()


if __name__ == "__main__":
    main()
