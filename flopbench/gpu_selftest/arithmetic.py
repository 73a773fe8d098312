"""Items 2 to 5: is the arithmetic the one that is named, are the products right, do our operations do what their stand-ins do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from flopbench.gpu_selftest.bench import Bench, Finding, download, judged, opened_by, product, skipped, upload

_F32, _F64, _F16, _TF32 = 68, 70, 64, 77  # cublasComputeType_t


def gemm_kernels(bench: Bench) -> tuple[list[Any], dict[str, str]]:
    """Our GEMM kernels that can run on this GPU; and of the others, by name, why not."""
    from flopbench_kernels import gemm_cupy
    from flopbench_kernels.cuda.lt import why_no_cublaslt
    from flopbench_kernels.gemm_nvmath import GemmFp8Nvmath

    gpu = bench.gpu()
    gpu.close()
    has = gpu.facts.capability
    found, left_out = [], {}
    own = [cls for cls in vars(gemm_cupy).values() if isinstance(cls, type) and getattr(cls, "name", None)]
    for cls in (*own, GemmFp8Nvmath):
        least = cls.least_capability()
        missing = why_no_cublaslt() if cls is GemmFp8Nvmath and bench.real else None
        if has < least:
            missing = f"needs compute capability {least[0]}.{least[1]}, the GPU has {has[0]}.{has[1]}"
        if missing:
            left_out[cls.name] = missing
        else:
            found.append(cls)
    return found, left_out


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
    """3: every precision against Freivalds and samples; C poisoned before, with and without an addend. check.cu against the host."""
    ratios = {}
    classes, left_out = gemm_kernels(bench)
    for cls in classes:
        for beta in (0, 1):
            ratios[f"{cls.name} beta={beta}"] = _checked(bench, cls, (bench.sizes.gemm,) * 3, beta, on_host=not beta)
    what = "products are right by the sums of check.cu, and by the host's where beta is 0"
    return _all_passed(ratios, what, left_out)


def shapes(bench: Bench) -> Finding:
    """4: odd sizes in all four layouts; a leading dimension that is too small is refused by cuBLAS itself."""
    ratios = {}
    classes, left_out = gemm_kernels(bench)
    for cls in classes:
        shape = {"int8": (132, 61, 260), "fp8": (144, 48, 272)}.get(cls.precision, (129, 61, 257))
        for layout in ("TN",) if cls.precision in ("int8", "fp8") else ("NN", "NT", "TN", "TT"):
            ratios[f"{cls.name} {layout}"] = _checked(bench, cls, shape, 0, layout=layout)
    gpu = bench.gpu()
    try:
        refused = _refusal(gpu)
    finally:
        gpu.close()
    found = _all_passed(ratios, "odd shapes are right by the sums of check.cu", left_out)
    ok = found.verdict == "PASSED" and "INVALID_VALUE" in refused
    return judged(ok, f"{found.reason}; a bad leading dimension gives: {refused}", **found.numbers)


def _refusal(gpu) -> str:  # type: ignore[no-untyped-def]
    """What cuBLAS says to ldc < m, past our own rules."""
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


def _checked(  # type: ignore[no-untyped-def]
    bench: Bench, cls, shape: tuple[int, int, int], beta: int, on_host: bool = False, **extra: str
) -> float | str:
    """The check's ratio of one product, or why it failed. `on_host`: the host, given copies, must come to the same ratio."""
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
            held = kernel.outcome()
            verdict = verify.check(problem, held, seed=5)
            if on_host:
                copies = {name: np.asarray(getattr(held, name)) for name in ("a", "b", "c")}
                other = verify.check(problem, replace(held, **copies), seed=5)
                if not np.isclose(verdict.value or 0.0, other.value or 0.0, rtol=1e-2, atol=1e-12):
                    return f"check.cu gives {verdict.value}, the host {other.value}"
        finally:
            kernel.close()
    return verdict.value if verdict.verdict == "PASSED" and verdict.value is not None else verdict.reason


def _all_passed(ratios: dict[str, float | str], what: str, left_out: dict[str, str]) -> Finding:
    bad = [name for name, ratio in ratios.items() if isinstance(ratio, str)]
    reason = f"{len(ratios) - len(bad)} of {len(ratios)} {what}" + (f"; wrong: {', '.join(bad)}" if bad else "")
    reason += "".join(f"; SKIPPED {name}: {why}" for name, why in left_out.items())
    return judged(not bad, reason, error_over_bound=ratios, skipped=left_out)


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
