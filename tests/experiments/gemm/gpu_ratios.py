"""What `flopbench gemm --device cuda` reaches against PyTorch on the same GPU. Not a test: it takes a GPU, CuPy, PyTorch and two minutes.

    python tests/experiments/gemm/gpu_ratios.py                          every precision, n = 8192 and 16384
    python tests/experiments/gemm/gpu_ratios.py --only fp64,int8 --n 4096 --pairs 9

Both sides take turns in one process (A B, B A, ...), each a burst of products of at least BURST_S by CUDA events, over random operands.
Both call the cuBLAS that is installed; PyTorch's result has the operands' type (INT8: int32), ours FP32 for 16-bit operands, as in
`flopbench gemm`.
A line is one ratio: the median of both rates, and the median, lowest and highest of the ratios of the rounds.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import torch

from flopbench import registry
from flopbench.comm import SelfComm
from flopbench.flops import gemm_flops
from flopbench.kernel_api import GemmProblem, Settings
from flopbench.machine.detect import detect

BURST_S = 0.2
AT_LEAST = 0.95
MACHINE = detect()
TORCH_TYPES = {
    "fp64": torch.float64,
    "fp32": torch.float32,
    "tf32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
}


def ours(precision: str, n: int, stack: ExitStack) -> Callable[[], float]:
    """A function that multiplies once and gives the seconds by CUDA events."""
    kernel = registry.load(f"gemm_{precision}_cupy")(Settings())
    reason = kernel.why_not(MACHINE)
    if reason:
        raise SystemExit(f"gemm_{precision}_cupy: not possible: {reason}")
    stack.callback(kernel.close)
    kernel.setup(GemmProblem(n, n, n, precision), SelfComm(), MACHINE)
    kernel.reset()

    def once() -> float:
        kernel.run()
        return float(kernel.device_seconds())

    return once


def theirs(precision: str, n: int) -> Callable[[], float]:
    """The same by PyTorch."""
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    if precision == "int8":
        a, b = (torch.randint(-128, 128, (n, n), dtype=torch.int8, device="cuda") for _ in range(2))
        product: Callable[[], Any] = lambda: torch._int_mm(a, b.t())  # noqa: E731
    else:
        # drawn in their own type, since numbers with many zero bits take less power and let the clock rise
        kind = TORCH_TYPES[precision]
        drawn = torch.float32 if kind.itemsize < 4 else kind
        a, b = ((torch.rand(n, n, device="cuda", dtype=drawn) - 0.5).to(kind) for _ in range(2))
        c = torch.empty_like(a)
        product = lambda: torch.mm(a, b, out=c)  # noqa: E731
    start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))

    def once() -> float:
        start.record()
        product()
        stop.record()
        stop.synchronize()
        return float(start.elapsed_time(stop)) / 1e3

    return once


def burst(once: Callable[[], float]) -> float:
    """Mean seconds of as many products as take BURST_S."""
    times = [once()]
    while sum(times) < BURST_S:
        times.append(once())
    return statistics.fmean(times)


def duel(precision: str, n: int, rounds: int) -> None:
    """One line."""
    with ExitStack() as stack:
        sides = [ours(precision, n, stack), theirs(precision, n)]
        for once in sides:
            burst(once)
        pairs = []
        for turn in range(rounds):
            seconds = {side: burst(sides[side]) for side in ((0, 1) if turn % 2 == 0 else (1, 0))}
            pairs.append((gemm_flops(n, n, n) / seconds[0], gemm_flops(n, n, n) / seconds[1]))
    ratios = [a / b for a, b in pairs]
    rates = [statistics.median(side) / 1e12 for side in zip(*pairs, strict=True)]
    middle = statistics.median(ratios)
    print(
        f"{precision} n = {n:<6} flopbench {rates[0]:7.1f} : PyTorch {rates[1]:7.1f} T/s  ratio {middle:.3f} "
        f"({min(ratios):.3f} to {max(ratios):.3f}, {len(ratios)} pairs)  must {AT_LEAST}: {'holds' if middle >= AT_LEAST else 'BELOW'}",
        flush=True,
    )


def main() -> None:
    """See the text at the top of this file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", type=lambda text: text.split(","), default=[*TORCH_TYPES, "int8"], metavar="NAMES")
    parser.add_argument("--n", type=lambda text: [int(part) for part in text.split(",")], default=[8192, 16384])
    parser.add_argument("--pairs", type=int, default=5)
    given = parser.parse_args()
    print(f"{torch.cuda.get_device_name()}, PyTorch {torch.__version__}", flush=True)
    for precision in given.only:
        for n in given.n:
            duel(precision, n, given.pairs)


if __name__ == "__main__":
    main()
