"""Rates of the GEMM kernels of this machine: `make bench`. Names and problems stay the same, so that commits can be compared."""

from __future__ import annotations

import pytest

from flopbench import registry
from flopbench.comm import SelfComm
from flopbench.flops import gemm_flops
from flopbench.kernel_api import GemmProblem, Settings
from flopbench.machine.detect import detect

MACHINE = detect()
FAST = [
    name
    for name in registry.installed()
    if name.startswith("gemm_") and name not in {"gemm_fp16_numpy", "gemm_int8_numpy"} and "cupy" not in name
]
#: Square, and shapes that keep only one of packing, tiles or edges busy.
SHAPES = {"square": (768, 768, 768), "thin k": (768, 768, 32), "one row": (1, 1536, 1536), "odd": (511, 513, 509)}


@pytest.mark.parametrize("threads", [1, None], ids=["one thread", "all threads"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", FAST)
def test_gemm(benchmark, name, shape, threads):
    kernel = registry.load(name)(Settings(threads=threads))
    reason = kernel.why_not(MACHINE)
    if reason:
        pytest.skip(reason)
    m, n, k = SHAPES[shape]
    benchmark.group = f"gemm {kernel.precision}, {shape}, {'one thread' if threads else 'all threads'}"
    kernel.setup(GemmProblem(m, n, k, kernel.precision), SelfComm(), MACHINE)
    try:
        kernel.reset()
        benchmark(kernel.run)
        if benchmark.stats:
            benchmark.extra_info.update(kernel.describe())
            benchmark.extra_info["median_flops"] = gemm_flops(m, n, k) / benchmark.stats.stats.median
    finally:
        kernel.close()
