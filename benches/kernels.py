"""Our kernels against PyTorch's: same shapes, same threads, in one run.

    python benches/kernels.py [--rounds 3] [--threads 2] [--seconds 0.5] [--only layer-norm,gelu] [--json FILE]

For each kernel the two take turns. PyTorch works in place where it can, and is told to keep its freed pages, as ours does. What it has
no fused kernel for, it computes as a careful user would write it; messages as the reference implementations compute them.
"""

import os
import statistics
import sys
import time

import common

NAMES = {
    "product": "matrix product",
    "batched": "batched products",
    "batched-triangle": "batched products of a transform, only rows that count",
    "complex": "batched complex products",
    "complex-triangle": "batched complex products, only rows that count",
    "gelu": "GELU (erf)",
    "bias-gelu": "bias and GELU (erf)",
    "silu": "SiLU",
    "bias-silu": "bias and SiLU",
    "layer-norm": "LayerNorm",
    "transpose": "transpose",
    "mlp": "residual MLP (GELU)",
    "perceptron": "perceptron (SiLU, LayerNorm)",
    "messages": "message passing: gather, perceptron, segment sum, update of the edges",
}
UNUSED = [
    "softmax", "windowed attention", "convolutions", "GELU (tanh)", "products in bfloat16", "sums over the first axis",
]  # fmt: skip


def pytorch(name, shape):
    """A function that computes, and one that puts back what it changed."""
    import torch
    from torch.nn import functional

    def random(*shape, dtype=torch.float32):
        return torch.empty(shape, dtype=dtype).uniform_(-1, 1) if not dtype.is_complex else torch.complex(random(*shape), random(*shape))

    def in_place(call):
        source = random(*shape)
        x = source.clone()
        return lambda: call(x), lambda: x.copy_(source)

    def nothing():
        pass

    if name == "product":
        m, k, n = shape
        x, weight = random(m, k), random(k, n)
        return lambda: x @ weight, nothing
    if name in ("batched", "batched-triangle", "complex", "complex-triangle"):
        b, m, k, n = shape
        dtype = torch.complex64 if "complex" in name else torch.float32
        lhs, rhs = random(b, m, k, dtype=dtype), random(b, k, n, dtype=dtype)
        return lambda: torch.bmm(lhs, rhs), nothing
    if name == "gelu":
        return in_place(torch.ops.aten.gelu_)
    if name == "silu":
        return in_place(lambda x: functional.silu(x, inplace=True))
    if name == "bias-gelu":
        bias = random(shape[1])
        return in_place(lambda x: torch.ops.aten.gelu_(x.add_(bias)))
    if name == "bias-silu":
        bias = random(shape[1])
        return in_place(lambda x: functional.silu(x.add_(bias), inplace=True))
    if name == "layer-norm":
        x, weight, bias = random(*shape), random(shape[1]), random(shape[1])
        return lambda: functional.layer_norm(x, shape[1:], weight, bias), nothing
    if name == "transpose":
        x = random(*shape)
        return lambda: x.t().contiguous(), nothing
    if name == "mlp":
        n, i, d, o = shape
        x, w1, b1, w2, residual = random(n, i), random(i, d), random(d), random(d, o), random(n, o)
        return lambda: torch.addmm(residual, torch.ops.aten.gelu_(torch.addmm(b1, x, w1)), w2), nothing

    def perceptron(i, d, o):
        w1, b1, w2, b2, weight, bias = random(d, i), random(d), random(o, d), random(o), random(o), random(o)

        def call(x):
            hidden = functional.silu(functional.linear(x, w1, b1), inplace=True)
            return functional.layer_norm(functional.linear(hidden, w2, b2), (o,), weight, bias)

        return call

    if name == "perceptron":
        n, i, d, o = shape
        x, call = random(n, i), perceptron(i, d, o)
        return lambda: call(x), nothing
    if name == "messages":
        count, nodes, width = shape
        edges, senders, receivers, call = random(count, width), random(nodes, width), random(nodes, width), perceptron(3 * width, width, width)
        sender, receiver = torch.randint(nodes, (count,)), torch.randint(nodes, (count,)).sort().values

        def messages():
            message = call(torch.cat([edges, senders.index_select(0, sender), receivers.index_select(0, receiver)], dim=1))
            return torch.zeros(nodes, width).index_add_(0, receiver, message), edges + message

        return messages, nothing
    raise ValueError(f"{name} has no counterpart here")


def measured(call, restore, seconds):
    """As benches/kernels.rs measures."""
    import torch

    with torch.inference_mode():
        call()
        times = []
        while not times or (sum(times) < seconds and len(times) < 200):
            restore()
            started = time.perf_counter()
            call()
            times.append(time.perf_counter() - started)
    return {"seconds": statistics.median(times)}


def main():
    parser = common.arguments(__doc__)
    parser.add_argument("--seconds", type=float, default=0.5, help="of each kernel in each round, at least")
    parser.add_argument("--only", help="kernels, with commas")
    options = parser.parse_args()
    report, section = common.Report("kernels", options), common.Sections.KERNELS
    for what in UNUSED:
        report.not_measured(f"kernels: {what}", "no network here uses it")
    if common.absent("torch"):
        report.not_measured("kernels against PyTorch", "torch is not installed")
        return report.finish()
    if any(os.environ.get(name) != value for name, value in common.KEEP_PAGES.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], common.environment(options.threads, reference=True))

    import torch

    torch.set_num_threads(options.threads)
    tool, env = common.executable("kernels", options), common.environment(options.threads)
    chosen = options.only.split(",") if options.only else NAMES
    for kernel in common.run([tool, "--list"])["kernels"]:
        name, shape = kernel.split(":")
        if name not in chosen:
            continue
        common.progress(kernel)
        call, restore = pytorch(name, [int(size) for size in shape.split("x")])
        runs = common.alternating(
            options.rounds,
            quiet=True,
            ours=lambda _: common.run([tool, "--json", "--seconds", options.seconds, kernel], env),
            theirs=lambda _: measured(call, restore, options.seconds),
        )
        ours, theirs = (1e3 * common.median(found, "seconds") for found in runs.values())
        report.row(section, f"{NAMES[name]}, {shape.replace('x', ' × ')}", "ms", ours, theirs, "PyTorch", wanted=1.0)
    report.note(section, "Gathers and segment sums are parts of message passing: no network here has one alone.")
    report.finish()


if __name__ == "__main__":
    main()
