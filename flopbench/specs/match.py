"""What a Machine is in the hardware table. Nothing is assumed: a name that tells no model gives a reason, and at most a guess."""

from __future__ import annotations

import re
from dataclasses import dataclass

from flopbench.machine.microarchitecture import is_generic
from flopbench.machine.model import Cpu, Gpu, Machine
from flopbench.specs import names, table
from flopbench.specs.schema import CpuModel, GpuModel, Microarchitecture

_MIG = re.compile(r"\s+MIG\s+\S+$", re.IGNORECASE)


@dataclass(frozen=True)
class GpuMatch:
    """One GPU of the machine; `spec` is None with the `reason` why."""

    gpu: Gpu
    spec: GpuModel | None
    reason: str = ""


@dataclass(frozen=True)
class Match:
    """The machine's processor and GPUs in the table.

    cpu                    the model, or None with `cpu_reason`
    microarchitecture      the core design, or None; `is_guess` when the model's name does not settle it
    """

    cpu: CpuModel | None
    cpu_reason: str
    microarchitecture: Microarchitecture | None
    is_guess: bool
    microarchitecture_basis: str
    gpus: list[GpuMatch]


def find(machine: Machine, specs: table.Table | None = None) -> Match:
    """The entries of `specs` (the table that comes with flopbench, unless given) that `machine` is."""
    specs = specs or table.load()
    cpu, name = machine.cpu, machine.cpu.model_name
    gpus = [_gpu(gpu, specs) for gpu in machine.gpus]
    model = specs.cpu(name) if name else None
    if model is not None:
        micro = specs.microarchitectures[model.microarchitecture]
        return Match(model, "", micro, False, f"model name {name!r}", gpus)
    named = specs.microarchitecture_by_name(name) if name else None
    if named is not None:
        return Match(None, f"{name!r} is not in the hardware table", named, False, f"model name {name!r}", gpus)
    micro, is_guess, basis = _as_detected(cpu, specs)
    if name is None:
        reason = "the processor's model name is unknown"
    elif is_generic(name):
        reason = f"the processor calls itself {name!r}, which names no model"
        is_guess = True
    else:
        reason = f"{name!r} is not in the hardware table"
    return Match(None, reason, micro, is_guess and micro is not None, basis, gpus)


def _as_detected(cpu: Cpu, specs: table.Table) -> tuple[Microarchitecture | None, bool, str]:
    """The core design that the processor's own numbers tell, whether that is a guess, and on what grounds."""
    candidates = specs.microarchitectures_detected(cpu.microarchitecture)
    if not candidates:
        return None, False, ""
    basis = f"detected as {cpu.microarchitecture} by its own numbers or flags"
    if len(candidates) > 1:
        return candidates[0], True, f"{basis}, which is sold with one or with two FMA units"
    return candidates[0], cpu.microarchitecture_is_guess, basis


def _gpu(gpu: Gpu, specs: table.Table) -> GpuMatch:
    spec = specs.gpu(_MIG.sub("", gpu.name))
    if spec is not None:
        return GpuMatch(gpu, spec)
    near = names.near(gpu.name, specs.gpus, count=3)
    like = f"; the nearest entries are {', '.join(near)}" if near else ""
    return GpuMatch(gpu, None, f"GPU {gpu.name!r} is not in the hardware table{like}")
