"""What the machine ran with: variables, libraries, load, governor, steal. Everything that a reader of a record needs to doubt a number."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from flopbench.machine import blas
from flopbench.machine.model import Machine
from flopbench.machine.source import Source, format_cpu_list
from flopbench.results import Environment

#: Variables that change which code runs, on how many threads, where. Kept by name, or by the beginning of the name.
_EXACT = {
    "CUDA_DEVICE_MAX_CONNECTIONS", "CUDA_DEVICE_ORDER", "CUDA_LAUNCH_BLOCKING", "CUDA_VISIBLE_DEVICES", "CUPY_TF32", "GOMP_CPU_AFFINITY",
    "HIP_VISIBLE_DEVICES", "LD_PRELOAD", "MALLOC_ARENA_MAX", "NPY_DISABLE_CPU_FEATURES", "NPY_ENABLE_CPU_FEATURES", "NVIDIA_TF32_OVERRIDE",
    "NVIDIA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "VECLIB_MAXIMUM_THREADS",
}  # fmt: skip
_BEGINNINGS = (
    "AOCL_", "BLIS_", "CUBLAS_", "GOTO_", "I_MPI_PIN", "KMP_", "MKL_", "NUMBA_", "NVPL_", "OMP_", "OPENBLAS_", "ARMPL_",
    "UCX_TLS", "UCX_NET_DEVICES", "FI_PROVIDER", "MPICH_GPU", "OMPI_MCA_btl", "OMPI_MCA_pml",
)  # fmt: skip

#: threadpoolctl sets it for its own process when it is imported, so it says nothing about the user.
_SET_BY_THREADPOOLCTL = "KMP_DUPLICATE_LIB_OK"

#: Packages whose versions a record names, if they are installed.
_PACKAGES = (
    "numpy", "scipy", "numba", "llvmlite", "threadpoolctl", "mpi4py", "cupy-cuda12x", "cupy-cuda13x", "nvidia-ml-py", "mkl",
)  # fmt: skip


@dataclass(frozen=True)
class CpuTimes:
    """Jiffies of all CPUs since boot: all, and those that the hypervisor gave to others."""

    total: int
    steal: int


def cpu_times(source: Source) -> CpuTimes | None:
    """From the first line of /proc/stat: user nice system idle iowait irq softirq steal guest guest_nice (proc(5)); guest is in user."""
    fields = (source.read("/proc/stat") or "").partition("\n")[0].split()
    if len(fields) < 9 or fields[0] != "cpu" or not all(value.isdigit() for value in fields[1:9]):
        return None
    numbers = [int(value) for value in fields[1:9]]
    return CpuTimes(sum(numbers), numbers[7])


def steal_fraction(before: CpuTimes | None, after: CpuTimes | None) -> float | None:
    """The part of all CPUs' time between two readings that the hypervisor took away; None if it cannot be told."""
    if before is None or after is None or after.total <= before.total:
        return None
    return max(0, after.steal - before.steal) / (after.total - before.total)


def variables(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that matter, sorted by name."""
    wanted = (name for name in sorted(environ) if name in _EXACT or name.startswith(_BEGINNINGS))
    return {name: environ[name] for name in wanted if name != _SET_BY_THREADPOOLCTL}


def libraries(names: Iterable[str] = _PACKAGES) -> dict[str, str]:
    """Installed version of each package; those that are not installed are left out. Nothing is imported."""
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def governor(source: Source) -> str | None:
    """cpufreq's governor, or all of them with "+" if the CPUs differ; None where there is no cpufreq, as in most virtual machines."""
    root = "/sys/devices/system/cpu/cpufreq"
    found = {source.read(f"{root}/{policy}/scaling_governor") for policy in source.names(root)}
    return "+".join(sorted(g for g in found if g)) or None


def load_average(source: Source) -> float | None:
    """Runnable processes, averaged over the last minute, or None."""
    text = re.match(r"\d+\.\d+", source.read("/proc/loadavg") or "")
    if text:
        return float(text.group())
    return float(source.psutil.getloadavg()[0]) if source.psutil is not None else None


def warnings(machine: Machine, load: float | None, governor_name: str | None, steal: float | None = None) -> list[str]:
    """What makes a measurement on this machine, now, less than it could be; each says what to do."""
    found = []
    limits = machine.limits
    if load is not None and load > 0.5 + 0.1 * limits.affinity_cores:
        found.append(f"load average {load:.2f} before the run: other processes use this machine; wait until it is idle")
    if governor_name and governor_name not in ("performance", "schedutil"):
        found.append(f"cpufreq governor {governor_name!r}: clocks may lag; set it to 'performance'")
    if steal is not None and steal > 0.01:
        found.append(f"the hypervisor gave {steal * 100:.1f} % of CPU time to others during the run; repeat it")
    if limits.quota_cpus is not None and limits.quota_cpus < limits.affinity_cores:
        found.append(
            f"the control group allows {limits.quota_cpus:g} CPUs of {limits.affinity_cores} cores; "
            f"a run of more than {limits.usable_cores} thread(s) is throttled"
        )
    elif machine.cpu.cores and limits.affinity_cores < machine.cpu.cores:
        found.append(
            f"affinity allows {limits.affinity_cores} of {machine.cpu.cores} cores; Rpeak of the whole machine is out of reach"
        )
    return found


def collect(
    machine: Machine,
    source: Source | None = None,
    kernel: Mapping[str, str] | None = None,
    steal: float | None = None,
    extra_warnings: Iterable[str] = (),
) -> Environment:
    """The environment as it is now, for a record. Call it before the run; BLAS libraries are seen once they are loaded.

    kernel          what the kernel says it chose
    steal           of steal_fraction over the run, where known
    extra_warnings  of the run itself
    """
    where = source or Source.here()
    load, governor_name = load_average(where), governor(where)
    seen: list[dict[str, Any]] = blas.loaded()
    return Environment(
        python=f"{platform.python_implementation()} {platform.python_version()}",
        libraries=libraries(),
        blas=seen,
        variables=variables(where.environ),
        kernel=dict(kernel or {}),
        load_average_1min=load,
        governor=governor_name,
        affinity=format_cpu_list(where.affinity) if where.affinity is not None else None,
        steal_fraction=steal,
        warnings=[*warnings(machine, load, governor_name, steal), *extra_warnings],
    )
