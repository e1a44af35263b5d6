"""What the machine can do: matrix products in float32, and memory bandwidth.

    python benches/machine.py [--rounds 3] [--threads 2] [--json FILE]

The fastest product of a few shapes, PyTorch's or ours; and the triad `a = b + s · c` on arrays that no cache holds, of which each
element is read or written once.
"""

import statistics
import time

import common

SHAPES = ["4096x512x512", "2048x2048x2048", "4096x4096x4096"]
TRIAD = 64 << 20  # float32 values in each of three arrays


def seconds(call, times=5):
    call()
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        call()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def main():
    options = common.arguments(__doc__).parse_args()
    report, section = common.Report("machine", options), common.Sections.MACHINE
    if common.absent("torch"):
        report.not_measured("the machine's peaks", "torch is not installed")
        return report.finish()

    import torch

    torch.set_num_threads(options.threads)
    tool, env = common.executable("kernels", options), common.environment(options.threads)
    peaks = {"vejr": 0.0, "PyTorch": 0.0}
    for shape in SHAPES:
        m, k, n = (int(size) for size in shape.split("x"))
        x, weight, out = torch.rand(m, k), torch.rand(k, n), torch.empty(m, n)
        runs = common.alternating(
            options.rounds,
            quiet=True,
            vejr=lambda _: common.run([tool, "--json", f"product:{shape}"], env),
            PyTorch=lambda _: {"seconds": seconds(lambda: torch.mm(x, weight, out=out))},
        )
        for who, found in runs.items():
            peaks[who] = max(peaks[who], 2e-9 * m * k * n / common.median(found, "seconds"))
        common.progress(f"products {shape}")
    a, b, c = torch.zeros(TRIAD), torch.rand(TRIAD), torch.rand(TRIAD)
    triad = 3 * 4e-9 * TRIAD / seconds(lambda: torch.add(b, c, alpha=3.0, out=a))
    common.progress("triad")
    report.row(section, "matrix products in float32, the best of a few shapes", "GFLOP/s", peaks["vejr"], peaks["PyTorch"], "PyTorch")
    report.row(section, "memory bandwidth (triad, PyTorch)", "GB/s", triad)
    report.document["peaks"] = {"gflops": max(peaks.values()), "gbytes": triad}
    report.finish()


if __name__ == "__main__":
    main()
