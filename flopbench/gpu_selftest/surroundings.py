"""Items 1 and 12 to 14: what the GPU is and runs with, NVML, TF32 switches, tensor cores for 8 bits."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

from flopbench.gpu import hazards, nvml, probe
from flopbench.gpu_selftest import resources
from flopbench.gpu_selftest.bench import Bench, Finding, judged, opened_by, skipped
from flopbench.precision import PRECISIONS


def environment(bench: Bench) -> Finding:
    """1: the GPU, the driver, the libraries, and nothing in the environment that changes what a precision means."""
    seen = probe.probe()
    gpu = bench.gpu()
    facts, versions = gpu.facts, gpu.libraries.versions()
    free = gpu.libraries.free_bytes()
    gpu.close()
    card = nvml.NvmlGpu.by_pci_bus_id(facts.pci_bus_id) if bench.real else None
    found = [str(hazard) for precision in PRECISIONS for hazard in hazards.hazards(precision, os.environ)]
    others = card.other_processes(os.getpid()) if card else None
    numbers: dict[str, Any] = {
        "name": facts.name,
        "compute_capability": f"{facts.capability[0]}.{facts.capability[1]}",
        "multiprocessors": facts.multiprocessors,
        "memory_bytes": facts.memory_bytes,
        "free_bytes": free,
        "l2_bytes": facts.l2_bytes,
        "pci_bus_id": facts.pci_bus_id,
        "driver_cuda": seen.cuda,
        "cupy": seen.cupy,
        **versions,
        "ecc": card.ecc() if card else None,
        "mig": card.mig() if card else None,
        "max_sm_hz": card.max_sm_hz() if card else None,
        "other_processes": others,
        "variables": hazards.recorded(os.environ),
    }
    found += [f"{others} other process(es) compute on this GPU"] if others else []
    return judged(
        not found, "; ".join(found) or f"{facts.name}, nothing in the environment changes its arithmetic", **numbers
    )


def meters(bench: Bench) -> Finding:
    """12: NVML's energy counter against its power, clocks idle and under load."""
    gpu = bench.gpu()
    gpu.close()
    card = nvml.NvmlGpu.by_pci_bus_id(gpu.facts.pci_bus_id) if bench.real else None
    if card is None:
        return skipped(
            "NVML does not give this GPU (is nvidia-ml-py installed?)" if bench.real else "a stand-in has no meters"
        )
    idle = card.read()
    seconds, seen = _under_load(bench, card)
    return judge_meters(idle, seconds, seen)


def judge_meters(idle: nvml.Reading, seconds: float, seen: nvml.Summary) -> Finding:
    """The verdict on readings before and during `seconds` of load."""
    faults = []
    by_power = seen.mean_power_w * seconds if seen.mean_power_w is not None else None
    if seen.energy_j is not None and by_power and abs(seen.energy_j / by_power - 1) > 0.15:
        faults.append(f"energy counter {seen.energy_j:.0f} J, power x time {by_power:.0f} J")
    if seen.mean_sm_hz is not None and not 0.1e9 < seen.mean_sm_hz < 5e9:
        faults.append(f"mean SM clock {seen.mean_sm_hz:.3g} Hz")
    if idle.power_w is not None and seen.mean_power_w is not None and seen.mean_power_w <= idle.power_w:
        faults.append(f"{seen.mean_power_w:.0f} W under load, {idle.power_w:.0f} W before")
    numbers = {
        "seconds": seconds, "samples": seen.samples, "idle_power_w": idle.power_w, "mean_power_w": seen.mean_power_w,
        "energy_j": seen.energy_j, "idle_sm_hz": idle.sm_hz, "mean_sm_hz": seen.mean_sm_hz, "min_sm_hz": seen.min_sm_hz,
        "max_temperature_c": seen.max_temperature_c, "throttled": seen.throttled,
    }  # fmt: skip
    return judged(not faults, "; ".join(faults) or "energy, power and clocks agree with each other", **numbers)


def _under_load(bench: Bench, card: nvml.NvmlGpu) -> tuple[float, nvml.Summary]:
    """Seconds and NVML's summary of FP64 products, one after the other."""
    from flopbench_kernels.gemm_cupy import GemmFp64Cupy

    from flopbench.comm import SelfComm
    from flopbench.kernel_api import GemmProblem

    n = bench.sizes.timed
    kernel, sampler = GemmFp64Cupy(bench.settings()), nvml.Sampler(card)
    with opened_by(bench):
        kernel.setup(GemmProblem(m=n, n=n, k=n, precision="fp64"), SelfComm(), None)
        try:
            kernel.run()
            sampler.start()
            start = bench.now()
            while bench.now() - start < bench.sizes.thermal_s:
                kernel.run()
            seconds = bench.now() - start
            return seconds, sampler.stop()
        finally:
            kernel.close()


def tf32_switch(bench: Bench) -> Finding:
    """13: NVIDIA_TF32_OVERRIDE=0 makes cuBLAS compute a TF32 product in FP32, and we refuse to call that TF32."""
    refused = bool(hazards.hazards("tf32", {"NVIDIA_TF32_OVERRIDE": "0"}))
    if not bench.real:
        return judged(refused, "the variable is refused; what cuBLAS makes of it shows on a GPU only")
    gpu = bench.gpu()
    gpu.close()
    if gpu.facts.capability < (8, 0):
        return skipped(f"{gpu.facts.name} has no TF32")
    job = [sys.executable, "-m", "flopbench.gpu_selftest.subject", "tf32-error", str(bench.index)]
    errors = {}
    for value in (None, "0"):
        variables = {name: text for name, text in os.environ.items() if name != "NVIDIA_TF32_OVERRIDE"}
        if value is not None:
            variables["NVIDIA_TF32_OVERRIDE"] = value
        done = subprocess.run(job, env=variables, capture_output=True, text=True, check=False)
        if done.returncode:
            return judged(False, f"the process of its own failed: {done.stderr.strip()[-200:]}")
        errors["unset" if value is None else value] = float(done.stdout)
    good = refused and errors["0"] < 1e-5 < errors["unset"]
    return judged(good, "the variable switches TF32 off, and is refused", errors=errors)


def tensor_cores(bench: Bench) -> Finding:
    """14: 8-bit products at more than twice the rate of FP32 ones can only come from tensor cores."""
    if not bench.real:
        return skipped("a stand-in has no speed")
    from flopbench_kernels.gemm_cupy import GemmFp32Cupy, GemmInt8Cupy

    gpu = bench.gpu()
    gpu.close()
    if gpu.facts.capability in ((7, 0), (10, 3)):
        return skipped(f"compute capability {gpu.facts.capability} has none for 8-bit integers, or few")
    times = {
        cls.name: min(resources.run_gemm(bench, cls, bench.sizes.timed, 5)[1]) for cls in (GemmInt8Cupy, GemmFp32Cupy)
    }
    ratio = times["gemm_fp32_cupy"] / times["gemm_int8_cupy"]
    return judged(ratio > 2, f"8-bit products take 1/{ratio:.1f} of the time of FP32 ones", ratio=ratio, seconds=times)
