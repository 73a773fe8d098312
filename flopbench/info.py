"""What is this machine, and what could it reach? Machine, hardware table, Rpeak, ceiling, environment, meters and kernels."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from flopbench import ceiling, kernel_list
from flopbench.energy.measure import meters_of
from flopbench.kernel_list import KernelRow
from flopbench.machine import blas, environment
from flopbench.machine.detect import detect
from flopbench.machine.model import Machine
from flopbench.machine.source import Source
from flopbench.precision import PRECISIONS
from flopbench.results import Ceiling, Environment, Rpeak
from flopbench.specs import match
from flopbench.specs.rpeak import machine_rpeak

NOT_MEASURED = "not measured; add --measure"


class _Strict(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    pass


class SpecOf(_Strict):
    """What the machine is in the hardware table. `name` None: not in it, for `reason`."""

    what: str  # cpu, or gpu and its index
    name: str | None
    reason: str
    microarchitecture: str | None = None
    microarchitecture_is_guess: bool = False


class Rates(_Strict):
    """What a precision could reach on a device. Null means unknown, for the reason beside it."""

    precision: str
    unit: str
    device: str
    rpeak: Rpeak | None
    rpeak_reason: str | None
    ceiling: Ceiling | None
    ceiling_reason: str | None


class MeterOf(_Strict):
    """One meter that `--energy` would read: what it covers (package, dram, gpu, node), and whether it counts energy or shows power."""

    name: str
    cover: str
    quantity: str


class Meters(_Strict):
    """What one kind of meter offers; `why_not` where it offers none."""

    kind: str
    meters: list[MeterOf]
    why_not: str | None


class Info(_Strict):
    """The answer of `flopbench info`."""

    machine: Machine
    specs: list[SpecOf]
    rates: list[Rates]
    environment: Environment
    meters: list[Meters]
    kernels: list[KernelRow]


def gather(
    measure: bool = False,
    machine: Machine | None = None,
    ceilings: Callable[[list[str], int, Machine], dict[str, Ceiling | str]] | None = None,
    source: Source | None = None,
) -> Info:
    """Find out everything about `machine`, this one unless given. With `measure`, take a second or two for the ceilings.

    ceilings: measures them; ceiling.measure_all unless given
    source: where the meters of `machine` are looked for, this host unless given
    """
    machine = machine or detect()
    blas.load_usual()
    names = list(PRECISIONS)
    measured: dict[str, Ceiling | str] = dict.fromkeys(names, NOT_MEASURED)
    if measure:
        measured = (ceilings or ceiling.measure_all)(names, machine.limits.usable_cores, machine)
    devices = ["cpu", *(["cuda"] if machine.gpus else [])]
    return Info(
        machine=machine,
        specs=_specs(machine),
        rates=[_rates(machine, name, device, measured[name]) for device in devices for name in names],
        environment=environment.collect(machine),
        meters=_meters(machine, source or Source.here()),
        kernels=kernel_list.rows(machine),
    )


def _meters(machine: Machine, source: Source) -> list[Meters]:
    found = meters_of(machine, "cuda", source, ask_redfish=False)  # as for a run on GPUs, whose meters are named too
    return [
        Meters(
            kind=one.kind,
            meters=[MeterOf(name=meter.name, cover=meter.cover, quantity=meter.quantity) for meter in one.meters],
            why_not=one.why_not,
        )
        for one in found
    ]


def _specs(machine: Machine) -> list[SpecOf]:
    found = match.find(machine)
    design = found.microarchitecture
    cpu = SpecOf(
        what="cpu",
        name=found.cpu.name if found.cpu else None,
        reason=found.cpu_reason,
        microarchitecture=design.title if design else None,
        microarchitecture_is_guess=found.is_guess,
    )
    gpus = [
        SpecOf(what=f"gpu {gpu.gpu.index}", name=gpu.spec.name if gpu.spec else None, reason=gpu.reason)
        for gpu in found.gpus
    ]
    return [cpu, *gpus]


def _rates(machine: Machine, precision: str, device: str, measured: Ceiling | str) -> Rates:
    peak = machine_rpeak(machine, precision, device=device)
    if device != "cpu":
        measured = "ceilings are measured on processors only"
    return Rates(
        precision=precision,
        unit=PRECISIONS[precision].unit,
        device=device,
        rpeak=None if isinstance(peak, str) else peak,
        rpeak_reason=peak if isinstance(peak, str) else None,
        ceiling=None if isinstance(measured, str) else measured,
        ceiling_reason=measured if isinstance(measured, str) else None,
    )
