"""What may be compared with what: the properties of a record that must agree, by name, and how they differ."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection
from typing import Any

from flopbench.errors import UnknownName
from flopbench.results import Record


def machine_key(record: Record) -> str:
    """One line that names the kind of machine: processor, cores, GPUs; without clock readings, which change at each boot."""
    cpu, machine = record.machine.cpu, record.machine
    parts = [cpu.model_name or "unknown processor", f"family {cpu.family} model {cpu.model} stepping {cpu.stepping}"]
    parts.append(f"{cpu.sockets or '?'} sockets {cpu.cores or '?'} cores, {machine.limits.usable_cores} usable")
    parts += sorted(gpu.name for gpu in machine.gpus)
    digest = hashlib.sha256(json.dumps(cpu.isa).encode()).hexdigest()[:8]
    return ", ".join([*parts, f"instruction sets {digest}"])


def _blas(record: Record) -> str:
    wanted = ("internal_api", "version", "architecture")
    found = {
        " ".join(str(library.get(key)) for key in wanted if library.get(key))
        for library in record.environment.blas
        if library.get("user_api", "blas") == "blas"
    }
    return ", ".join(sorted(found)) or "none"


def _size(record: Record) -> str:
    problem = record.problem
    return " ".join(f"{key}={value}" for key in ("m", "n", "k") if (value := getattr(problem, key)) is not None)


def _layout(record: Record) -> str:
    grid = f"{record.problem.p}x{record.problem.q}" if record.problem.p else "none"
    return f"{record.ranks} ranks, grid {grid}, {record.threads_per_rank} threads a rank"


#: Property -> its value in a record. Two records can be compared when all agree; --allow NAME lets one differ.
PROPERTIES: dict[str, Callable[[Record], Any]] = {
    "machine": machine_key,
    "kernel": lambda record: record.kernel,
    "precision": lambda record: record.precision,
    "accumulator": lambda record: record.accumulator,
    "device": lambda record: record.device,
    "n": _size,
    "nb": lambda record: record.problem.nb,
    "threads": _layout,
    "blas": _blas,
}


def check_allowed(names: Collection[str]) -> frozenset[str]:
    """The properties that the user lets differ. Raises UnknownName."""
    for name in names:
        if name not in PROPERTIES:
            raise UnknownName("property", name, PROPERTIES, "these can be given to --allow")
    return frozenset(names)


def key(record: Record, allowed: Collection[str] = ()) -> tuple[Any, ...]:
    """Equal for records that can be compared when the properties in `allowed` may differ."""
    return (record.routine, record.unit, *(get(record) for name, get in PROPERTIES.items() if name not in allowed))


def differences(base: Record, head: Record, allowed: Collection[str] = ()) -> list[str]:
    """Why `base` and `head` cannot be compared: one "property: base value, head value" each; empty if they can."""
    found = [] if base.routine == head.routine else [f"routine: base {base.routine}, head {head.routine}"]
    if base.unit != head.unit:
        found.append(f"unit: base {base.unit}, head {head.unit}")
    for name, get in PROPERTIES.items():
        if name not in allowed and get(base) != get(head):
            found.append(f"{name}: base {get(base)}, head {get(head)}")
    return found


def metric_name(record: Record) -> str:
    """How a metric is called in print: the kernel and its size."""
    return f"{record.kernel} {_size(record)}"
