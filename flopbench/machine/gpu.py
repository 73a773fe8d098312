"""The NVIDIA GPUs of the host, through NVML; and what other accelerators the kernel shows, so that none goes unmentioned."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from flopbench.machine.model import Gpu, MigDevice
from flopbench.machine.source import Source

#: FP32 lanes ("CUDA cores") of one multiprocessor, by compute capability: NVML counts lanes. Source: CUDA C++ Programming Guide, appendix
#: "Compute Capabilities" (arithmetic instructions: throughput of 32-bit floating-point add, multiply, multiply-add).
_LANES_PER_SM = {
    "6.0": 64, "6.1": 128, "7.0": 64, "7.5": 64, "8.0": 64, "8.6": 128, "8.7": 128, "8.9": 128, "9.0": 128,
    "10.0": 128, "10.3": 128, "12.0": 128, "12.1": 128,
}  # fmt: skip

#: PCI vendors that make accelerators which NVML does not see.
_OTHER_VENDORS = {"0x1002": "AMD", "0x8086": "Intel"}


def detect(source: Source, nvml: Any = None) -> tuple[list[Gpu], dict[str, str]]:
    """(GPUs, unknown). `nvml` is the pynvml module or a fake; None imports it on a live host. Never raises."""
    seen = len(source.names("/proc/driver/nvidia/gpus"))
    others = _others(source)
    beside = f"; {others}, for which flopbench has no backend" if others else ""
    if nvml is None:
        if source.psutil is None:
            return [], {"gpus": f"a recorded host without NVML{beside}"}
        try:
            nvml = import_module("pynvml")
        except ImportError:
            driver = f"{seen} in /proc/driver/nvidia" if seen else "no NVIDIA driver is loaded"
            return [], {"gpus": f"nvidia-ml-py is not installed (pip install nvidia-ml-py); {driver}{beside}"}
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        return [], {"gpus": f"NVML does not answer: {error}{beside}"}
    try:
        count = nvml.nvmlDeviceGetCount()
        gpus: list[Gpu] = []
        unknown: dict[str, str] = {}
        driver = _ask(nvml, unknown, "gpus.driver", lambda: _text(nvml.nvmlSystemGetDriverVersion()))
        for index in range(count):
            try:
                handle = nvml.nvmlDeviceGetHandleByIndex(index)
                gpus.append(_one(nvml, handle, index, driver, unknown))
            except nvml.NVMLError as error:
                unknown[f"gpus.{index}"] = f"NVML does not give this device: {error}"
        if not gpus and not unknown:
            unknown["gpus"] = f"NVML finds no device{beside}"
        elif beside:
            unknown["gpus.other"] = beside.removeprefix("; ")
        return gpus, unknown
    finally:
        nvml.nvmlShutdown()


def _one(nvml: Any, handle: Any, index: int, driver: str | None, unknown: dict[str, str]) -> Gpu:
    def ask(field: str, question: Callable[[], Any]) -> Any:
        return _ask(nvml, unknown, f"gpus.{index}.{field}", question)

    capability = ask(
        "compute_capability", lambda: ".".join(str(part) for part in nvml.nvmlDeviceGetCudaComputeCapability(handle))
    )
    lanes = ask("multiprocessors", lambda: nvml.nvmlDeviceGetNumGpuCores(handle))
    per_sm = _LANES_PER_SM.get(capability or "")
    if lanes and not per_sm:
        unknown[f"gpus.{index}.multiprocessors"] = f"lanes per multiprocessor of compute capability {capability}"
    mig = ask("mig", lambda: nvml.nvmlDeviceGetMigMode(handle)[0] == nvml.NVML_DEVICE_MIG_ENABLE)
    if mig is None:  # a GPU before Ampere answers "not supported"
        mig = False
        unknown.pop(f"gpus.{index}.mig", None)
    clock = ask("max_sm_hz", lambda: nvml.nvmlDeviceGetMaxClockInfo(handle, nvml.NVML_CLOCK_SM) * 1e6)
    return Gpu(
        index=index,
        name=_text(nvml.nvmlDeviceGetName(handle)),
        uuid=ask("uuid", lambda: _text(nvml.nvmlDeviceGetUUID(handle))),
        pci_bus_id=ask("pci_bus_id", lambda: _text(nvml.nvmlDeviceGetPciInfo(handle).busId)),
        memory_bytes=ask("memory_bytes", lambda: nvml.nvmlDeviceGetMemoryInfo(handle).total),
        multiprocessors=lanes // per_sm if lanes and per_sm else None,
        compute_capability=capability,
        max_sm_hz=clock,
        power_limit_w=ask("power_limit_w", lambda: nvml.nvmlDeviceGetEnforcedPowerLimit(handle) / 1e3),
        mig=mig,
        mig_devices=_slices(nvml, handle, index, unknown) if mig else [],
        driver=driver,
    )


def _slices(nvml: Any, handle: Any, index: int, unknown: dict[str, str]) -> list[MigDevice]:
    """The MIG devices of a GPU: NVML numbers the places and answers "not found" for the empty ones."""
    found = []
    for place in range(nvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
        try:
            device = nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, place)
        except nvml.NVMLError:
            continue
        name = f"gpus.{index}.mig_devices.{len(found)}"
        attributes = _ask(nvml, unknown, name, lambda d=device: nvml.nvmlDeviceGetAttributes(d))
        found.append(
            MigDevice(
                uuid=_text(nvml.nvmlDeviceGetUUID(device)),
                name=_text(nvml.nvmlDeviceGetName(device)),
                multiprocessors=attributes.multiprocessorCount if attributes else None,
                memory_bytes=attributes.memorySizeMB << 20 if attributes else None,
            )
        )
    return found


def _ask(nvml: Any, unknown: dict[str, str], field: str, question: Callable[[], Any]) -> Any:
    """The answer, or None with NVML's reason under `field`; an old binding that lacks the function is a reason too."""
    try:
        return question()
    except nvml.NVMLError as error:
        unknown[field] = f"NVML: {error}"
    except AttributeError as error:
        unknown[field] = f"this nvidia-ml-py is too old: {error}"
    return None


def _others(source: Source) -> str:
    """Display or compute controllers of other vendors, from /sys/class/drm; render nodes only, so no server's console chip."""
    names = []
    for card in source.names("/sys/class/drm"):
        vendor = _OTHER_VENDORS.get(source.read(f"/sys/class/drm/{card}/device/vendor") or "")
        if card.startswith("renderD") and vendor:
            names.append(vendor)
    return " and ".join(f"{names.count(vendor)} {vendor} GPU(s)" for vendor in sorted(set(names)))


def _text(value: str | bytes) -> str:
    """Older bindings give bytes."""
    return value.decode() if isinstance(value, bytes) else value
