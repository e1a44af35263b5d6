"""How the cost of a forecast grows with the grid, the members and the steps.

    python benches/scaling.py [--grids 48,96,192] [--members 1,4,16] [--steps 10,40,160] [--rounds 3] [--json FILE]

Networks of the bundled one's make, with random weights where the grid is another. The reference column is the smallest size's cost,
multiplied as the size grows: a ratio of 1 is a cost in proportion to it. Of grids it is the points that count, although a transform
on the sphere costs more than in proportion to them. And one step of a network of the size that DMI trains.
"""

import pathlib
import tempfile

import common
import sphere
from common import MIB, ROOT


def main():
    parser = common.arguments(__doc__)
    for name, default in [("grids", "48,96,192"), ("members", "1,4,16"), ("steps", "10,40,160")]:
        parser.add_argument(f"--{name}", default=default)
    options = parser.parse_args()
    report, section, env = common.Report("scaling", options), common.Sections.SCALING, common.environment(options.threads)
    grids, members, steps = ([int(size) for size in getattr(options, name).split(",")] for name in ("grids", "members", "steps"))
    bundled = ROOT / "models/held-suarez-sfno", ROOT / "data-samples/held-suarez-init.nc"

    def task(case, steps, *more):
        package, init = case

        def once(_):
            with tempfile.TemporaryDirectory() as folder:
                return common.run(common.forecast_command(options, package, f"{folder}/f.zarr", steps, "--init", init, *more), env)

        return once

    def grow(sizes, make, label, key, divide, growth):
        runs = common.alternating(options.rounds, **{str(size): make(size) for size in sizes})
        first = common.median(runs[str(sizes[0])], key) / divide(sizes[0])
        for size in sizes:
            cost = common.median(runs[str(size)], key) / divide(size)
            report.row(section, label(size), "s", cost, first * growth(size) / growth(sizes[0]), "in proportion")
        memory = [f"{common.median(runs[str(size)], 'peak_resident_bytes') / MIB:.0f}" for size in sizes]
        report.note(section, f"peak memory, {label(sizes[0])} and so on: {', '.join(memory)} MiB")

    few = steps[0]
    with tempfile.TemporaryDirectory() as folder:
        common.progress("making networks")
        cases = {rows: sphere.make(pathlib.Path(folder) / str(rows), rows) for rows in grids}
        grow(grids, lambda rows: task(cases[rows], few), lambda rows: f"one step on {rows} × {2 * rows} points", "step_seconds", lambda _: few, lambda rows: rows**2)
    ensemble = ["--seed", 1, "--members"]
    grow(members, lambda count: task(bundled, few, *ensemble, count), lambda count: f"{common.plural(count, 'member')}, {few} steps", "wall_seconds", lambda _: 1, lambda count: count)
    grow(steps, lambda count: task(bundled, count), lambda count: common.plural(count, "step"), "wall_seconds", lambda _: 1, lambda count: count)
    common.progress("a network of DANRA's size")
    large = common.run([common.executable("limited_area_scale", options)], env)
    what = "one step of a limited-area network of DANRA's size, 789 × 589 points, widths 150 and 300"
    report.row(section, what, "s", large["step_seconds"])
    report.row(section, f"{what}: peak memory", "MiB", large["peak_resident_bytes"] / MIB)
    report.finish()


if __name__ == "__main__":
    main()
