"""The noise floor: what an A/A gate, the same code on both sides, makes of a ratio of one. Kept in a file, per machine and metric."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec

from flopbench.compare.estimate import change
from flopbench.compare.verdict import MetricVerdict
from flopbench.errors import BadInput, CannotWrite
from flopbench.results import write_atomically


class NoiseFloor(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """floors: metric -> the largest slow-down that an A/A gate's interval does not exclude, as a fraction."""

    machine: str
    floors: dict[str, float]


def from_self_check(machine: str, verdicts: list[MetricVerdict]) -> NoiseFloor:
    """The floors of an A/A gate: the bound of each interval that is farther from a ratio of one, where there is an interval."""
    floors = {
        v.metric: change(max(abs(v.interval.low), abs(v.interval.high)))
        for v in verdicts
        if v.interval is not None and math.isfinite(v.interval.half_width) and v.word != "contaminated"
    }
    return NoiseFloor(machine=machine, floors=floors)


def refuse_below(floor: NoiseFloor, threshold: float) -> None:
    """Raises BadInput if `threshold` lies below the noise of any metric: such a gate would see ghosts or nothing."""
    noisy = {name: value for name, value in floor.floors.items() if value > threshold}
    if noisy:
        name = max(noisy, key=noisy.__getitem__)
        raise BadInput(
            f"threshold {threshold:g} is below the noise floor {noisy[name]:.4f} of {name} on this machine; "
            f"use --threshold {noisy[name] * 1.05:.3f} or more, or longer metrics on a quieter machine"
        )


def refuse_other_machine(floor: NoiseFloor, machine: str) -> None:
    """Raises BadInput if `floor` was measured on another machine than `machine`: its numbers mean nothing here."""
    if floor.machine != machine:
        raise BadInput(
            f"the noise floor was measured on another machine ({floor.machine}); this is {machine}; "
            "measure it here: flopbench gate --self-check"
        )


def write_noise_floor(floor: NoiseFloor, path: Path) -> None:
    """Write `floor` as JSON. Raises CannotWrite."""
    text = msgspec.json.format(msgspec.json.encode(floor), indent=1).decode() + "\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text)
    except OSError as error:
        raise CannotWrite(
            f"cannot write the noise floor to {path}: {error.strerror}; choose another --output"
        ) from error


def read_noise_floor(path: Path) -> NoiseFloor:
    """The noise floor in the file at `path`. Raises BadInput."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=NoiseFloor)
    except OSError as error:
        raise BadInput(f"cannot read the noise floor {path}: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise BadInput(f"{path}: {error}; `flopbench gate --self-check --output DIR` writes such a file") from error
