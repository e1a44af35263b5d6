"""Tiles and points against xpublish-tiles and xpublish-edr: the same forecast, the same places, in one run.

    pip install -r benches/requirements.txt
    python benches/tiles.py [--leads 40] [--tiles 600] [--points 300] [--rounds 3] [--concurrency 8] [--json FILE]

A forecast of 8 variables on 0.25° is published by vejr's own writer; the peers read it with xarray and zarrs' codecs, the map
copy for tiles and the series copy for points. Servers remember nothing that they have read; what the kernel keeps of the disk, it
keeps for all. Addresses are drawn with a seed: zooms 2 to 6, all leads; others of the same kind are asked for before, so that
nobody compiles or opens anything while it is measured, and values at a place are compared. The servers take turns, each round with
addresses of its own. Told are medians of the rounds: requests per second, times, CPU time per request; and the server's greatest
memory.
"""

import json
import os
import random
import subprocess
import sys
import tempfile
import time
import urllib.request

import common

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
    parser = common.arguments(__doc__)
    parser.add_argument("--leads", type=int, default=40)
    parser.add_argument("--tiles", type=int, default=600)
    parser.add_argument("--points", type=int, default=300)
    parser.add_argument("--warm", type=int, default=20, help="requests of each kind before the measured ones")
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--peers", choices=["yes", "no"], default="yes")
    options = parser.parse_args()
    report = common.Report("tiles", options)
    missing = common.absent("xpublish_tiles", "xpublish_edr", "uvicorn", "zarrs")
    if missing and options.peers == "yes":
        report.not_measured("tiles and points of the references", f"{', '.join(missing)} not installed (benches/requirements.txt)")
        options.peers = "no"
    tool = common.executable("tiles", options)
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

            def turn(what):
                server, paths = asked[what]
                paths = paths[options.warm :]
                return lambda part: measure(tool, server, paths[part :: options.rounds], options.concurrency)

            rounds = common.alternating(options.rounds, **{what: turn(what) for what in asked})
            for one, other, what in [
                ("vejr tiles", "xpublish-tiles", "PNG tiles, zooms 2 to 6"),
                ("vejr points", "xpublish-edr", f"EDR position, {len(VARIABLES)} × {options.leads} values"),
            ]:
                for label, unit, key in [
                    ("requests a second", "/s", "per_second"), ("half of them within", "ms", "p50_ms"),
                    ("99 % of them within", "ms", "p99_ms"), ("CPU time of a request", "ms", "cpu_ms"),
                ]:  # fmt: skip
                    ours, theirs = (common.median(rounds[name], key) if name in rounds else None for name in (one, other))
                    report.row(common.Sections.TILES, f"{what}: {label}", unit, ours, theirs, other)
            peak = [asked[name][0].memory() if name in asked else None for name in ("vejr tiles", "xpublish-tiles")]
            report.row(common.Sections.TILES, "the server: peak memory", "MiB", *peak, "xpublish")
        finally:
            if peer:
                peer.terminate()
            process.stdin.close()
            process.wait()
    kind = f"{len(VARIABLES)} variables and {options.leads} leads on 0.25°, {options.concurrency} requests at a time, data not cached"
    report.note(common.Sections.TILES, kind)
    report.finish()


if __name__ == "__main__":
    main()
