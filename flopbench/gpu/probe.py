"""May a GPU be used through CuPy, and if not, why: no driver, driver too old, no device, or CuPy not installed.

The driver is asked itself (libcuda, through ctypes), because CuPy says "driver version is insufficient" also where there is no driver at
all, and reports a broken driver as "no GPU".
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from typing import Protocol

#: CUresult, cuda.h of CUDA 12.9
_NO_DEVICE, _STUB_LIBRARY, _DRIVER_MISMATCH = 100, 34, 803

#: CuPy's wheels and the least CUDA version of a driver that runs each (CUDA minor version compatibility: the first of the major version).
_WHEELS = {"cupy-cuda12x": 12000, "cupy-cuda13x": 13000}


class Driver(Protocol):
    """libcuda: cuInit, cuDriverGetVersion, cuDeviceGetCount."""

    def init(self) -> int: ...
    def version(self) -> int: ...
    def device_count(self) -> int: ...


class CudaDriver:
    """The driver library of this machine. Raises OSError where there is none."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL("libcuda.so.1")

    def init(self) -> int:
        """0, or the CUresult that says why not."""
        return int(self._library.cuInit(0))

    def version(self) -> int:
        """The newest CUDA version that the driver runs, as 1000 major + 10 minor; 0 if it does not say."""
        return self._number("cuDriverGetVersion")

    def device_count(self) -> int:
        return self._number("cuDeviceGetCount")

    def _number(self, function: str) -> int:
        value = ctypes.c_int(0)
        return 0 if getattr(self._library, function)(ctypes.byref(value)) else value.value


@dataclass(frozen=True)
class Probe:
    """`why_not` is None if a GPU can be used. `cuda` is the driver's CUDA version (1000 major + 10 minor), None without a driver."""

    why_not: str | None
    cuda: int | None
    devices: int
    cupy: str | None


def probe(
    open_driver: Callable[[], Driver] = CudaDriver, cupy_wheels: Callable[[], dict[str, str]] | None = None
) -> Probe:
    """Look at the driver, the devices and CuPy, in this order; the first that fails is the reason. Never raises."""
    wheels = (cupy_wheels or installed_cupy)()
    cupy = ", ".join(f"{name} {version}" for name, version in wheels.items()) or None

    def no(reason: str, cuda: int | None = None) -> Probe:
        return Probe(reason, cuda, 0, cupy)

    try:
        driver = open_driver()
    except OSError as error:
        missing = "cannot open shared object file" in str(error)
        detail = "is not on this machine" if missing else f"cannot be loaded ({error})"
        return no(f"no driver: libcuda.so.1 of the NVIDIA driver {detail}")
    cuda = driver.version()
    status = driver.init()
    if status == _STUB_LIBRARY:
        return no(
            "no driver: libcuda.so.1 is the toolkit's stub; install the NVIDIA driver, or take the stub off the library path",
            cuda,
        )
    if status == _DRIVER_MISMATCH:
        return no(
            "driver broken: its library and its kernel module are of different versions; reboot, or reload the module",
            cuda,
        )
    needed = min((_WHEELS.get(name, 0) for name in wheels), default=0)
    if cuda < needed:
        return no(
            f"driver too old: it runs CUDA {_dotted(cuda)}, {cupy} needs {_dotted(needed)}; update the NVIDIA driver"
            + (" or install flopbench[cuda12] in a new environment" if 12000 <= cuda < 13000 else ""),
            cuda,
        )
    if status not in (0, _NO_DEVICE):
        return no(f"driver broken: cuInit fails with CUresult {status}; nvidia-smi may say more", cuda)
    devices = driver.device_count() if status == 0 else 0
    if devices == 0:
        return no("no device: the NVIDIA driver sees no GPU (is CUDA_VISIBLE_DEVICES empty?)", cuda)
    if cupy is None:
        return Probe(f"CuPy not installed (pip install 'flopbench[{_extra(cuda)}]')", cuda, devices, None)
    if len(wheels) > 1:
        return Probe(f"more than one CuPy installed ({cupy}); uninstall all, then install one", cuda, devices, cupy)
    return Probe(None, cuda, devices, cupy)


@cache
def why_not() -> str | None:
    """Why no GPU can be used in this process, or None. Asked once."""
    return probe().why_not


def installed_cupy() -> dict[str, str]:
    """CuPy's distributions on this Python, with their versions."""
    found = {}
    for name in (*_WHEELS, "cupy"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _extra(cuda: int) -> str:
    return "cuda13" if cuda >= 13000 else "cuda12"


def _dotted(version: int) -> str:
    return f"{version // 1000}.{version % 1000 // 10}"
