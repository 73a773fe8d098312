"""Items 10, 11, 16 and 17: memory comes back, times are what they seem, threads and a full GPU."""

from __future__ import annotations

import statistics
import threading
from typing import Any

import numpy as np

from flopbench.errors import NotPossible
from flopbench.flops import gemm_flops
from flopbench.gpu_selftest.arithmetic import gemm_kernels
from flopbench.gpu_selftest.bench import Bench, Finding, download, judged, opened_by, product, skipped, upload
from flopbench.precision import PRECISIONS

_SAMPLES = 10


def memory_returns(bench: Bench) -> Finding:
    """10: nothing is left after many runs; row numbers in pinned memory are not overwritten while a copy of them is still to come."""
    from flopbench_kernels.gemm_cupy import GemmFp64Cupy

    libraries = bench.open_libraries()
    used = []
    for _ in range(bench.sizes.rounds):
        run_gemm(bench, GemmFp64Cupy, bench.sizes.gemm // 4, 1, libraries)
        libraries.release()
        used.append(libraries.used_bytes())
    intact = _exchanges_behind_a_delay(bench)
    good = max(used) == used[0] == 0 and intact
    return judged(
        good, f"{max(used)} bytes left after {len(used)} runs; delayed row exchanges intact: {intact}", used_bytes=used
    )


def _exchanges_behind_a_delay(bench: Bench) -> bool:
    from flopbench_kernels.device.cuda import SLOTS, CudaDevice

    gpu = bench.gpu()
    device = CudaDevice(gpu, scratch=256)
    stream = device.stream()
    values = np.arange(200.0).reshape(200, 1)
    matrix, sink = upload(gpu, stream.lane, values), device.allocate(1)
    spin = gpu.kernels("spin")["spin"]
    for turn in range(4 * SLOTS):
        gpu.launch(stream.lane, spin, "spin", (1,), (np.int64(20_000), np.uint64(sink.address)))
        rows = np.array([turn, 199 - turn, 100])
        device.permute_rows(stream, 1, matrix.address, matrix.ld, rows, np.roll(rows, 1))
        values[rows] = values[np.roll(rows, 1)]
    found = download(gpu, stream.lane, matrix)
    sink.free()
    device.close()
    return bool(np.array_equal(found, values))


def timing(bench: Bench) -> Finding:
    """11: events against the wall clock, growth with n^3, scatter, and no rate above the peak.

    The times are those of FP32 products: FP64 ones draw so much power that large cards move their clock up and down at the power cap.
    """
    if not bench.real:
        return skipped("a stand-in has no speed")
    from flopbench_kernels.gemm_cupy import GemmFp32Cupy

    n = bench.sizes.timed
    wall, events = run_gemm(bench, GemmFp32Cupy, n, _SAMPLES)
    half = run_gemm(bench, GemmFp32Cupy, n // 2, _SAMPLES)[1]
    rates = {}
    for cls in gemm_kernels(bench)[0]:
        rates[cls.name] = gemm_flops(n, n, n) / statistics.median(run_gemm(bench, cls, n, _SAMPLES)[1])
    return judge_timing(wall, events, half, rates, _peaks())


def judge_timing(
    wall: list[float], events: list[float], half: list[float], rates: dict[str, float], peaks: dict[str, float]
) -> Finding:
    """The verdict on times of one size by both clocks, event times of half the size, rates by kernel and peaks by precision."""
    apart = statistics.median(wall) / statistics.median(events) - 1
    growth = statistics.median(events) / statistics.median(half)
    scatter = statistics.stdev(events) / statistics.mean(events)
    shares = {name: rate / peaks[name.split("_")[1]] for name, rate in rates.items() if name.split("_")[1] in peaks}
    faults = []
    if not -0.001 <= apart <= 0.02:
        faults.append(f"wall clock {apart:.1%} above the events")
    if not 6 <= growth <= 10:
        faults.append(f"twice the size takes {growth:.1f} times as long, not 8")
    if scatter > 0.03:
        faults.append(f"times scatter by {scatter:.1%}")
    faults += [f"{name} at {share:.0%} of its peak" for name, share in shares.items() if not 0.4 < share <= 1.0]
    numbers = {
        "wall_over_events": 1 + apart,
        "growth": growth,
        "scatter": scatter,
        "rates_per_s": rates,
        "share_of_rpeak": shares,
    }
    return judged(
        not faults,
        "; ".join(faults) or "events and wall clock agree, times grow as n^3, rates lie below the peaks",
        **numbers,
    )


def _peaks() -> dict[str, float]:
    """Rpeak of one GPU by precision, where the hardware table knows the card."""
    from flopbench.machine.detect import detect
    from flopbench.specs.rpeak import machine_rpeak

    machine = detect()
    found = {name: machine_rpeak(machine, name, device="cuda") for name in PRECISIONS}
    return {name: peak.flops / max(1, len(machine.gpus)) for name, peak in found.items() if not isinstance(peak, str)}


def _facts(bench: Bench) -> Any:
    gpu = bench.gpu()
    gpu.close()
    return gpu.facts


def run_gemm(bench: Bench, cls: Any, n: int, samples: int, libraries: Any = None) -> tuple[list[float], list[float]]:
    """Seconds of each product by the harness's clock and by events, after one that does not count."""
    from flopbench.comm import SelfComm
    from flopbench.kernel_api import GemmProblem

    kernel = cls(bench.settings())
    before = bench.open_libraries
    bench.open_libraries = (lambda: libraries) if libraries else before
    wall, events = [], []
    try:
        with opened_by(bench):
            kernel.setup(GemmProblem(m=n, n=n, k=n, precision=cls.precision), SelfComm(), None)
            for _ in range(samples + 1):
                start = bench.now()
                kernel.run()
                wall.append(bench.now() - start)
                events.append(kernel.device_seconds())
    finally:
        kernel.close()
        bench.open_libraries = before
    return wall[1:], events[1:]


def threads(bench: Bench) -> Finding:
    """16: a second host thread opens the GPU for itself, with a handle of its own, and multiplies right."""
    main, seen = bench.gpu(), {}
    lane = main.lane()

    def work() -> None:
        gpu = bench.gpu()
        other = gpu.lane()
        seen["handle"] = other.blas
        seen["right"] = bool(
            np.array_equal(product(gpu, other, np.eye(20) * 3, np.eye(20) * 5, 70, "float64"), np.eye(20) * 15)
        )
        gpu.close()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    different = not bench.real or seen.get("handle") != lane.blas
    main.close()
    return judged(seen.get("right", False) and different, "a second thread has its own handle and the right product")


def full_gpu(bench: Bench) -> Finding:
    """17: a product that cannot fit is refused in one line with the largest that does, and everything is given back."""
    from flopbench_kernels.gemm_cupy import GemmFp64Cupy

    from flopbench.comm import SelfComm
    from flopbench.kernel_api import GemmProblem

    libraries = bench.open_libraries()
    total = _facts(bench).memory_bytes
    n = int((total / 8) ** 0.5) // 128 * 128 + 128  # one operand alone is as large as the GPU
    kernel = GemmFp64Cupy(bench.settings())
    before = bench.open_libraries
    bench.open_libraries = lambda: libraries
    try:
        with opened_by(bench):
            kernel.setup(GemmProblem(m=n, n=n, k=n, precision="fp64"), SelfComm(), None)
        message = ""
    except NotPossible as error:
        message = str(error)
    finally:
        kernel.close()
        bench.open_libraries = before
    libraries.release()
    left = libraries.used_bytes()
    good = "the largest n" in message and "\n" not in message and left == 0
    return judged(good, message or f"n = {n} was taken", left_bytes=left)
