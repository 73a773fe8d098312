"""NVML during a run: clocks, power, energy, temperature and what throttled the GPU. Everything that a card does not support is None.

Units: NVML gives mW, mJ and MHz (nvml.h 13.0); W, J and Hz here. GPUs are found by PCI address, since NVML ignores CUDA_VISIBLE_DEVICES.
"""

from __future__ import annotations

import statistics
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any

INTERVAL_S = 0.05  # 20 samples a second; the driver renews its readings every 20 to 100 ms
LAG_S = 0.1  # after a pause the power that is read still averages over it: the longest interval above

#: nvmlClocksEventReasons, nvml.h. Idle and the applications' own clock setting are no throttling.
REASONS = {
    0x4: "software power cap",
    0x8: "hardware slowdown",
    0x10: "sync boost",
    0x20: "software thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "hardware power brake",
}
_FIELD_POWER_INSTANT = 186  # NVML_FI_DEV_POWER_INSTANT


@dataclass(frozen=True)
class Reading:
    """One look at the GPU; None is what the card or the driver does not tell."""

    sm_hz: float | None
    memory_hz: float | None
    power_w: float | None
    temperature_c: float | None
    reasons: int | None


@dataclass(frozen=True)
class Summary:
    """Of the readings during a run. `throttled` is the share of readings with each reason; `energy_j` is the card's own counter."""

    samples: int
    mean_sm_hz: float | None
    min_sm_hz: float | None
    mean_power_w: float | None
    max_temperature_c: float | None
    energy_j: float | None
    throttled: dict[str, float] = field(default_factory=dict)


class NvmlGpu:
    """One GPU as NVML sees it."""

    def __init__(self, nvml: Any, handle: Any) -> None:
        self._nvml, self._handle = nvml, handle

    @classmethod
    def by_pci_bus_id(cls, pci_bus_id: str, nvml: Any = None) -> NvmlGpu | None:
        """The GPU at a PCI address, or None if NVML or the GPU is not to be had. `nvml` is the module pynvml or a fake."""
        if nvml is None:
            try:
                nvml = import_module("pynvml")
            except ImportError:
                return None
        try:
            nvml.nvmlInit()
            return cls(nvml, nvml.nvmlDeviceGetHandleByPciBusId(pci_bus_id.encode()))
        except nvml.NVMLError:
            return None

    def read(self) -> Reading:
        nvml, handle = self._nvml, self._handle
        return Reading(
            sm_hz=self._ask(lambda: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM) * 1e6),
            memory_hz=self._ask(lambda: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_MEM) * 1e6),
            power_w=self.power_w(),
            temperature_c=self._ask(lambda: float(nvml.nvmlDeviceGetTemperature(handle, 0))),
            reasons=self._reasons(),
        )

    def power_w(self) -> float | None:
        """Power now. nvmlDeviceGetPowerUsage is an average over a second on Ampere and later except GA100, so the field comes first."""
        instant = self._ask(self._instant_power)
        return (
            instant
            if instant is not None
            else self._ask(lambda: self._nvml.nvmlDeviceGetPowerUsage(self._handle) / 1e3)
        )

    def energy_j(self) -> float | None:
        """Since the driver was loaded (Volta and later)."""
        return self._ask(lambda: self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle) / 1e3)

    def ecc(self) -> bool | None:
        return self._ask(lambda: bool(self._nvml.nvmlDeviceGetEccMode(self._handle)[0]))

    def mig(self) -> bool:
        """Whether the card is cut into slices; cards without the mode say "not supported", which is no."""
        return bool(self._ask(lambda: self._nvml.nvmlDeviceGetMigMode(self._handle)[0]))

    def other_processes(self, own_pid: int) -> int | None:
        """Compute processes on the card beside this one."""
        processes = self._ask(lambda: self._nvml.nvmlDeviceGetComputeRunningProcesses(self._handle))
        return None if processes is None else sum(process.pid != own_pid for process in processes)

    def max_sm_hz(self) -> float | None:
        return self._ask(lambda: self._nvml.nvmlDeviceGetMaxClockInfo(self._handle, self._nvml.NVML_CLOCK_SM) * 1e6)

    def _instant_power(self) -> float | None:
        value = self._nvml.nvmlDeviceGetFieldValues(self._handle, [(_FIELD_POWER_INSTANT, 0)])[0]
        return value.value.uiVal / 1e3 if value.nvmlReturn == 0 else None

    def _reasons(self) -> int | None:
        """The new name of the call first; drivers before 535 know only the old one."""
        for name in ("nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons"):
            found = self._ask(lambda name=name: getattr(self._nvml, name)(self._handle))
            if found is not None:
                return int(found)
        return None

    def _ask(self, question: Callable[[], Any]) -> Any:
        """The answer, or None where card, driver or binding do not have it."""
        try:
            return question()
        except (self._nvml.NVMLError, AttributeError):
            return None


class Sampler:
    """Reads a GPU on a thread of its own between `start` and `stop`."""

    def __init__(self, gpu: NvmlGpu, interval_s: float = INTERVAL_S) -> None:
        self._gpu, self._interval = gpu, interval_s
        self._readings: list[Reading] = []
        self._end = threading.Event()
        self._thread: threading.Thread | None = None
        self._energy_before: float | None = None
        self._settled: list[float] = []  # powers read while the GPU was at work for LAG_S already

    def start(self) -> None:
        self._readings, self._settled = [], []
        self._energy_before = self._gpu.energy_j()
        self.resume()

    def resume(self, settled: bool = False) -> None:
        """Read on, into the same summary, after a `pause`. `settled`: the GPU has been at work for LAG_S, so that its power is of that."""
        self._end.clear()
        self._thread = threading.Thread(target=self._work, args=(settled,), daemon=True)
        self._thread.start()

    def pause(self) -> None:
        """End the thread; at least one reading since `start` or `resume`."""
        self._end.set()
        if self._thread is not None:
            self._thread.join()

    def stop(self) -> Summary:
        """End the thread and say what was seen; at least one reading."""
        after = self._gpu.energy_j()
        self.pause()
        return summarise(self._readings, self._energy_before, after)

    def of_runs(self) -> Summary:
        """What was seen between `resume` and `pause`, without the energy counter, which also ran in between.

        The mean power is that of the settled readings, if there are any, else of all.
        """
        found = summarise(self._readings, None, None)
        return replace(found, mean_power_w=statistics.fmean(self._settled)) if self._settled else found

    def _work(self, settled: bool) -> None:
        while True:
            reading = self._gpu.read()
            self._readings.append(reading)
            if settled and reading.power_w is not None:
                self._settled.append(reading.power_w)
            if self._end.wait(self._interval):
                return


def summarise(readings: list[Reading], energy_before: float | None, energy_after: float | None) -> Summary:
    """Mean clock and power over the readings; the energy counter's difference, None if it went back (a driver reload)."""
    clocks = [r.sm_hz for r in readings if r.sm_hz is not None]
    powers = [r.power_w for r in readings if r.power_w is not None]
    heats = [r.temperature_c for r in readings if r.temperature_c is not None]
    masks = [r.reasons for r in readings if r.reasons is not None]
    energy = None
    if energy_before is not None and energy_after is not None and energy_after >= energy_before:
        energy = energy_after - energy_before
    throttled = {
        name: share
        for bit, name in REASONS.items()
        if masks and (share := sum(bool(mask & bit) for mask in masks) / len(masks)) > 0
    }
    return Summary(
        samples=len(readings),
        mean_sm_hz=statistics.fmean(clocks) if clocks else None,
        min_sm_hz=min(clocks, default=None),
        mean_power_w=statistics.fmean(powers) if powers else None,
        max_temperature_c=max(heats, default=None),
        energy_j=energy,
        throttled=throttled,
    )
