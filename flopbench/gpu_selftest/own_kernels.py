"""Item 6: our CUDA kernels, those of the check of products among them, against the same arithmetic on the host, bit for bit."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from flopbench.gpu_selftest import reference
from flopbench.gpu_selftest.bench import Bench, Finding, download, judged, upload

#: What operands.cu fills and check.cu reads, and in what it is stored.
STORED = {
    "float64": "float64",
    "float32": "float32",
    "float16": "uint16",
    "bfloat16": "uint16",
    "e4m3": "uint8",
    "int8": "int8",
    "int32": "int32",
}
_ROWS, _COLUMNS, _SEED = 130, 9, 77


def kernels(bench: Bench) -> Finding:
    """6: hpl_matrix.cu, operands.cu and check.cu against NumPy, bit for bit. rows.cu is in item 5, panel.cu in item 7."""
    from flopbench_kernels.device.cuda import CudaDevice

    gpu = bench.gpu()
    try:
        device = CudaDevice(gpu, scratch=256)
        stream = device.stream()
        equal = _generated(gpu, device, stream) | _filled(gpu, stream.lane) | _checked(gpu, stream.lane)
        device.close()
    finally:
        gpu.close()
    wrong = [name for name, right in equal.items() if not right]
    reason = f"{len(equal) - len(wrong)} of {len(equal)} kernels of hpl_matrix.cu, operands.cu and check.cu agree with NumPy bit for bit"
    return judged(not wrong, reason + (f"; wrong: {', '.join(wrong)}" if wrong else ""), equal=equal)


def _generated(gpu: Any, device: Any, stream: Any) -> dict[str, bool]:
    from flopbench.hpl_matrix import HplMatrix

    equal = {}
    matrix = upload(gpu, stream.lane, np.zeros((5000, 3)))
    for n, row0, col0 in ((5000, 0, 0), (2_000_000, 1_994_000, 1_999_998)):
        expected = np.empty((5000, 3))
        HplMatrix(n).fill(expected, row0, col0)
        device.fill(stream, HplMatrix(n), 5000, 3, row0, col0, matrix.address, matrix.ld)
        equal[f"hpl_fill n={n}"] = bool(np.array_equal(download(gpu, stream.lane, matrix), expected))
    return equal


def _filled(gpu: Any, lane: Any) -> dict[str, bool]:
    equal = {}
    operands = gpu.kernels("operands")
    for kind, dtype in STORED.items():
        target = upload(gpu, lane, np.zeros((_ROWS, _COLUMNS), dtype))
        args = (np.uint64(target.address), np.int64(target.ld), np.int64(_ROWS), np.int64(_COLUMNS), np.uint64(_SEED))
        gpu.launch(lane, operands[f"fill_{kind}"], f"fill_{kind}", (1, _COLUMNS), args)
        expected = reference.operand(kind, _SEED, _ROWS, _COLUMNS)
        equal[f"fill_{kind}"] = bool(np.array_equal(download(gpu, lane, target), expected))
    return equal


def _checked(gpu: Any, lane: Any) -> dict[str, bool]:
    """The sums and the elements that check.cu gives of a matrix and of its transpose."""
    from flopbench_kernels.cuda.held import CheckSpace, DeviceMatrix

    equal: dict[str, bool] = {}
    space = CheckSpace(gpu, lane, _ROWS)
    random = np.random.default_rng(_SEED)
    at = random.integers(0, _COLUMNS, 40)
    for kind in STORED:
        stored = reference.operand(kind, _SEED, _ROWS, _COLUMNS)
        if kind == "float16":
            stored = stored.view(np.float16)
        on_gpu = DeviceMatrix(space, upload(gpu, lane, stored))
        for held, values in ((on_gpu, stored), (on_gpu.T, stored.T)):
            rows = values.shape[0]
            found = equal.setdefault(f"pick of {kind}", True)
            pairs = (random.integers(0, rows, 40), np.minimum(at, values.shape[1] - 1))
            equal[f"pick of {kind}"] = found and bool(np.array_equal(held[pairs], values[pairs]))
            name = f"count_{kind}" if kind.startswith("int") else f"weigh_{kind}"
            equal[name] = equal.get(name, True) and _summed(held, values, kind, random)
            if kind == "float64":
                name = "twofold_float64"
                equal[name] = equal.get(name, True) and _summed_twofold(held, values, random)
    return equal


def _summed(held: Any, values: np.ndarray, kind: str, random: np.random.Generator) -> bool:
    """Weighted sums, and those of squares, or exact sums of integers modulo 2^64."""
    from flopbench.verify.freivalds import times_modulo
    from flopbench.verify.operands import widen

    rows = values.shape[0]
    if kind.startswith("int"):
        x = random.integers(-(2**62), 2**62, (1, rows))
        return bool(np.array_equal(times_modulo(x, held), times_modulo(x, values)))
    x = random.uniform(-2, 2, (5, rows))
    wide = widen(values)
    return all(
        np.array_equal(held.times(x, squared), reference.weighed(x, wide * wide if squared else wide))
        for squared in (False, True)
    )


def _summed_twofold(held: Any, values: np.ndarray, random: np.random.Generator) -> bool:
    """A sum and its error term, against the exact sum: what is left is below 2^-96 of the sum of the sizes."""
    from flopbench.verify.samples import two_product

    x = random.uniform(-2, 2, values.shape[0])
    hi, lo = held.times_twofold(x, np.zeros_like(x))
    for j in range(values.shape[1]):
        products, errors = two_product(x, values[:, j])
        left = math.fsum([*products, *errors, -hi[j], -lo[j]])
        if abs(left) > 2.0**-96 * math.fsum(np.abs(products)):
            return False
    return True
