"""NVIDIA GPUs through NVML: the card's energy counter (Volta and later), else its power, which is then integrated."""

from __future__ import annotations

from collections.abc import Callable

from flopbench.energy.meter import Found, Meter, MeterLost
from flopbench.gpu.nvml import NvmlGpu
from flopbench.machine.model import Gpu

KIND = "NVML"


class GpuMeter(Meter):
    """One card, through a question that gives None when the card is gone. A driver that has to wake up takes its time."""

    slow = True

    def __init__(self, name: str, ask: Callable[[], float | None]) -> None:
        super().__init__(name, "gpu")
        self._ask = ask

    def read(self) -> float:
        found = self._ask()
        if found is None:
            raise MeterLost(f"{self.name}: NVML gives no reading")
        return found


class GpuEnergy(GpuMeter):
    quantity = "energy"


class GpuPower(GpuMeter):
    quantity = "power"
    period_s = 0.1  # the driver renews its readings every 20 to 100 ms


def find(gpus: list[Gpu], device: str, open_gpu: Callable[[str], NvmlGpu | None] = NvmlGpu.by_pci_bus_id) -> Found:
    """A meter for every GPU of the node, if the run is on GPUs; or why there is none."""
    if device != "cuda":
        return Found(KIND, why_not="the run is on the processor, so GPUs are not counted")
    if not gpus:
        return Found(KIND, why_not="no GPU was found")
    meters: list[Meter] = []
    for gpu in gpus:
        if gpu.mig:
            return Found(
                KIND, why_not=f"GPU {gpu.index} is divided (MIG): its counter sees all slices, whoever uses them"
            )
        card = open_gpu(gpu.pci_bus_id) if gpu.pci_bus_id else None
        if card is None:
            return Found(KIND, why_not=f"GPU {gpu.index} is not to be had through NVML")
        name = f"{KIND} GPU {gpu.index}"
        if card.energy_j() is not None:
            meters.append(GpuEnergy(name, card.energy_j))
        elif card.power_w() is not None:
            meters.append(GpuPower(name, card.power_w))
        else:
            return Found(KIND, why_not=f"GPU {gpu.index} tells neither energy nor power")
    return Found(KIND, tuple(meters))
