"""Opening the GPU of a rank: may it be used at all, which one, and is its arithmetic the one that is named."""

from __future__ import annotations

import os
from typing import Any

from flopbench.errors import NotPossible
from flopbench.gpu import hazards, placement, probe
from flopbench.kernel_api import Comm, Settings
from flopbench_kernels.cuda.context import Gpu, Lane


def why_not(precision: str) -> str | None:
    """Why no GPU of this machine can compute in `precision` as it is named, or None. Does not raise, does not touch a GPU."""
    reason = probe.why_not()
    if reason is None:
        reason = next((str(hazard) for hazard in hazards.hazards(precision, os.environ)), None)
    return reason


def open_gpu(settings: Settings, comm: Comm) -> Gpu:
    """This rank's GPU, no other rank's unless `oversubscribe=1` was asked for. Collective. Raises NotPossible, BadInput, CudaFault."""
    local = placement.local_rank(comm)
    gpu = Gpu(lambda devices: placement.choose(local, devices, settings.device_index))
    try:
        placement.require_distinct(comm, gpu.facts.pci_bus_id, settings.extra.get("oversubscribe") == "1")
    except NotPossible:
        gpu.close()
        raise
    return gpu


def require_arithmetic(gpu: Gpu, lane: Lane, precision: str) -> None:
    """Raises NotPossible if the environment or the lane's handle would compute in another arithmetic than `precision`."""
    found = next((str(hazard) for hazard in hazards.hazards(precision, os.environ)), None)
    reason = found or hazards.math_mode_hazard(precision, gpu.math_mode(lane))
    if reason:
        raise NotPossible(f"{precision} on GPU {gpu.index}: {reason}")


def describe(gpu: Gpu) -> dict[str, str]:
    """The GPU, the libraries, and the environment variables that matter to them."""
    facts = gpu.facts
    found: dict[str, Any] = {
        "device": f"{facts.name}, compute capability {facts.capability[0]}.{facts.capability[1]}, {facts.pci_bus_id}",
        **gpu.libraries.versions(),
        **hazards.recorded(os.environ),
    }
    return found
