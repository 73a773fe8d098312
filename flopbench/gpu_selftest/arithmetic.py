"""Items 2 to 6: is the arithmetic the one that is named, are the products right, do our operations do what their stand-ins do."""

from __future__ import annotations

import numpy as np

from flopbench.gpu_selftest import reference
from flopbench.gpu_selftest.bench import Bench, Finding, download, judged, opened_by, product, skipped, upload

_F32, _F64, _F16, _TF32 = 68, 70, 64, 77  # cublasComputeType_t


def gemm_kernels(capability: tuple[int, int]) -> list:
    """Our GEMM kernels that this compute capability has."""
    from flopbench_kernels import gemm_cupy
    from flopbench_kernels.cuda.rules import GEMM_TYPES

    classes = [cls for cls in vars(gemm_cupy).values() if isinstance(cls, type) and getattr(cls, "name", None)]
    return [
        cls for cls in classes if GEMM_TYPES[cls.recipe.compute, cls.recipe.operand, cls.recipe.result][1] <= capability
    ]


def identity(bench: Bench) -> Finding:
    """2: FP64 keeps 2^-29 beside 1; FP32 is not TF32; FP16 with sums in FP32 is not FP16 with sums in FP16."""
    gpu = bench.gpu()
    try:
        lane = gpu.lane()
        near_one = np.eye(32) * (1 + 2.0**-30)
        kept = product(gpu, lane, near_one, near_one, _F64, "float64")[0, 0] - 1
        random = np.random.default_rng(1)
        a, b = (random.uniform(-0.5, 0.5, (128, 128)).astype(np.float32) for _ in range(2))
        errors = {"fp32": _error(product(gpu, lane, a, b, _F32, "float32"), a, b)}
        if gpu.facts.capability >= (8, 0):
            errors["tf32"] = _error(product(gpu, lane, a, b, _TF32, "float32"), a, b)
        halves = a.astype(np.float16), b.astype(np.float16)
        errors["fp16"] = _error(product(gpu, lane, *halves, _F32, "float32"), *halves)
        errors["fp16 sums in fp16"] = _error(product(gpu, lane, *halves, _F16, "float16"), *halves)
        mode = gpu.math_mode(lane)
    finally:
        gpu.close()
    good = (
        kept == 2.0**-29
        and mode == 0
        and errors["fp32"] < 1e-5 < errors.get("tf32", 1e-4) < 1e-1
        and errors["fp16"] < 1e-5 < errors["fp16 sums in fp16"]
    )
    return judged(
        good, "each compute type has the error of its own precision", fp64_keeps=kept, math_mode=mode, errors=errors
    )


def tf32_error(bench: Bench) -> float:
    """Error of a product that asks for TF32, relative to its typical element: about 3e-4 in TF32, 1e-7 if that is switched off."""
    gpu = bench.gpu()
    try:
        random = np.random.default_rng(1)
        a, b = (random.uniform(-0.5, 0.5, (128, 128)).astype(np.float32) for _ in range(2))
        return _error(product(gpu, gpu.lane(), a, b, _TF32, "float32"), a, b)
    finally:
        gpu.close()


def _error(c: np.ndarray, a: np.ndarray, b: np.ndarray) -> float:
    """Largest error relative to the typical element."""
    exact = a.astype(np.float64) @ b.astype(np.float64)
    return float(np.abs(c.astype(np.float64) - exact).max() / exact.std())


def products(bench: Bench) -> Finding:
    """3: every precision against Freivalds and samples; C poisoned before, with and without an addend."""
    ratios = {}
    for cls in gemm_kernels(_capability(bench)):
        for beta in (0, 1):
            ratios[f"{cls.name} beta={beta}"] = _checked(bench, cls, (bench.sizes.gemm,) * 3, beta)
    return _all_passed(ratios, "of the products are right")


def shapes(bench: Bench) -> Finding:
    """4: odd sizes in all four layouts; a leading dimension that is too small is refused by cuBLAS itself."""
    ratios = {}
    for cls in gemm_kernels(_capability(bench)):
        exact = cls.precision == "int8"
        for layout in ("TN",) if exact else ("NN", "NT", "TN", "TT"):
            shape = (132, 61, 260) if exact else (129, 61, 257)
            ratios[f"{cls.name} {layout}"] = _checked(bench, cls, shape, 0, layout=layout)
    gpu = bench.gpu()
    try:
        refused = _refusal(gpu)
    finally:
        gpu.close()
    found = _all_passed(ratios, "of the odd shapes are right")
    ok = found.verdict == "PASSED" and "INVALID_VALUE" in refused
    return judged(ok, f"{found.reason}; a bad leading dimension gives: {refused}", **found.numbers)


def _refusal(gpu) -> str:  # type: ignore[no-untyped-def]
    """What cuBLAS says to ldc < m, past our own rules."""
    from dataclasses import replace

    from flopbench_kernels.cuda.faults import CudaFault
    from flopbench_kernels.cuda.rules import GemmCall

    lane = gpu.lane()
    a, b, c = (upload(gpu, lane, np.zeros((32, 32))) for _ in range(3))
    one = np.array(1.0)
    call = GemmCall(0, 0, 32, 32, 32, one, a.address, 1, a.ld, b.address, 1, b.ld, one, c.address, 1, c.ld, _F64)
    try:
        gpu.gemm(lane, replace(call, ldc=8))
    except CudaFault as error:
        return str(error)
    return "nothing: the call was taken"


def _checked(bench: Bench, cls, shape: tuple[int, int, int], beta: int, **extra: str) -> float | str:  # type: ignore[no-untyped-def]
    """The check's ratio of one product, or why it failed."""
    from flopbench.comm import SelfComm
    from flopbench.kernel_api import GemmProblem
    from flopbench.verify import gemm as verify

    m, n, k = shape
    problem = GemmProblem(m=m, n=n, k=k, precision=cls.precision, seed=5, beta=beta)
    kernel = cls(bench.settings(**extra))
    with opened_by(bench):
        kernel.setup(problem, SelfComm(), None)
        try:
            kernel.reset()
            kernel.run()
            verdict = verify.check(problem, kernel.outcome())
        finally:
            kernel.close()
    return verdict.value if verdict.verdict == "PASSED" and verdict.value is not None else verdict.reason


def _all_passed(ratios: dict[str, float | str], what: str) -> Finding:
    bad = [name for name, ratio in ratios.items() if isinstance(ratio, str)]
    reason = f"{len(ratios) - len(bad)} of {len(ratios)} {what}" + (f"; wrong: {', '.join(bad)}" if bad else "")
    return judged(not bad, reason, error_over_bound=ratios)


def _capability(bench: Bench) -> tuple[int, int]:
    gpu = bench.gpu()
    try:
        return gpu.facts.capability
    finally:
        gpu.close()


def fidelity(bench: Bench) -> Finding:
    """5: every operation of the LU, here and on the stand-in, on the same random views."""
    from flopbench.gpu_selftest.stand_in.compiled import compiler
    from flopbench.gpu_selftest.stand_in.libraries import StandIn

    if compiler() is None:
        return skipped("no C++ compiler on this machine, which the stand-in needs for our kernels")
    differences: dict[str, float] = {}
    for seed in range(3):
        here = _operations(bench.gpu(), seed)
        there = _operations(bench.gpu(StandIn(devices=bench.index + 1)), seed)
        for name, value in here.items():
            difference = float(np.max(np.abs(value - there[name])) / max(1.0, float(np.max(np.abs(value)))))
            differences[name] = max(difference, differences.get(name, 0.0))
    good = all(
        value <= (0 if name in ("pivots", "permute", "gather") else 1e-12) for name, value in differences.items()
    )
    return judged(good, "the GPU does what its stand-in does", largest_difference=differences)


def _operations(gpu, seed: int) -> dict[str, np.ndarray]:  # type: ignore[no-untyped-def]
    """Results of gemm, trsm, row operations and getrf on views inside larger matrices."""
    from flopbench_kernels.device.cuda import CudaDevice

    random = np.random.default_rng(seed)
    device = CudaDevice(gpu, scratch=256)
    stream = device.stream()
    lane = stream.lane
    results = {}
    big = [upload(gpu, lane, random.uniform(-1, 1, (61, 47))) for _ in range(4)]
    at = [m.address + 8 * (3 + 2 * m.ld) for m in big]
    ld = big[0].ld
    device.gemm(stream, 40, 21, 9, at[0], ld, at[1], ld, at[2], ld)
    results["gemm"] = download(gpu, lane, big[2])
    device.trsm(stream, 12, 30, at[0], ld, at[3], ld)
    results["trsm"] = download(gpu, lane, big[3]) / 1e6
    device.permute_rows(stream, 33, at[1], ld, random.permutation(50)[:20], random.permutation(50)[:20])
    results["permute"] = download(gpu, lane, big[1])
    device.gather_rows(stream, 33, at[1], ld, random.permutation(50)[:20], at[2], ld)
    results["gather"] = download(gpu, lane, big[2])
    results.update(_getrf(gpu, lane, upload(gpu, lane, random.uniform(-1, 1, (40, 40)))))
    device.close()
    return results


def _getrf(gpu, lane, matrix) -> dict[str, np.ndarray]:  # type: ignore[no-untyped-def]
    solver = gpu.libraries.cusolver
    handle = solver.create()
    size = solver.dgetrf_bufferSize(handle, 40, 40, matrix.address, matrix.ld)
    work, numbers = gpu.allocate(8 * max(size, 1), "work"), gpu.allocate(8 * 40, "pivots and info")
    with lane.stream:
        solver.dgetrf(handle, 40, 40, matrix.address, matrix.ld, work.ptr, numbers.ptr, numbers.ptr + 160)
    pivots = gpu.download(lane, numbers.ptr, 40, 1, 40, "int32").astype(np.float64)
    solver.destroy(handle)
    return {"getrf": download(gpu, lane, matrix), "pivots": pivots}


def kernels(bench: Bench) -> Finding:
    """6: our kernels against the same arithmetic in NumPy, bit for bit."""
    from flopbench.hpl_matrix import HplMatrix

    gpu = bench.gpu()
    equal = {}
    try:
        from flopbench_kernels.device.cuda import CudaDevice

        device = CudaDevice(gpu, scratch=256)
        stream = device.stream()
        matrix = upload(gpu, stream.lane, np.zeros((5000, 3)))
        for n, row0, col0 in ((5000, 0, 0), (2_000_000, 1_994_000, 1_999_998)):
            expected = np.empty((5000, 3))
            HplMatrix(n).fill(expected, row0, col0)
            device.fill(stream, HplMatrix(n), 5000, 3, row0, col0, matrix.address, matrix.ld)
            equal[f"hpl_fill n={n}"] = bool(np.array_equal(download(gpu, stream.lane, matrix), expected))
        operands = gpu.kernels("operands")
        for kind, dtype in (
            ("float64", "float64"),
            ("float32", "float32"),
            ("float16", "uint16"),
            ("bfloat16", "uint16"),
            ("int8", "int8"),
            ("int32", "int32"),
        ):
            target = upload(gpu, stream.lane, np.zeros((130, 9), dtype))
            args = (np.uint64(target.address), np.int64(target.ld), np.int64(130), np.int64(9), np.uint64(77))
            gpu.launch(stream.lane, operands[f"fill_{kind}"], f"fill_{kind}", (1, 9), args)
            equal[f"fill_{kind}"] = bool(
                np.array_equal(download(gpu, stream.lane, target), reference.operand(kind, 77, 130, 9))
            )
        device.close()
    finally:
        gpu.close()
    return judged(
        all(equal.values()), f"{sum(equal.values())} of {len(equal)} kernels agree with NumPy bit for bit", equal=equal
    )
