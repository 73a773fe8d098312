"""What a power meter is: something that tells energy so far, or power now, of a named part of the machine. And why there is none."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

from flopbench.machine.source import Source


class MeterLost(Exception):
    """A meter that was there gives no reading any more."""


@dataclass(frozen=True)
class Found:
    """What one kind of meter offers here: meters, or the reason why there is none, in half a line."""

    kind: str
    meters: tuple[Meter, ...] = ()
    why_not: str | None = None


class Meter(ABC):
    """One meter. `read` gives J since some zero (quantity "energy") or W (quantity "power"), and may be called from any one thread."""

    #: What a reading shows: "energy" counters are exact over any time that is long against their tick, "power" has to be integrated.
    quantity: ClassVar[Literal["energy", "power"]]
    #: Seconds between readings: often enough to see every wrap-around, or a power that changes.
    period_s: ClassVar[float] = 1.0

    def __init__(self, name: str, cover: str, wrap_j: float | None = None) -> None:
        """`cover`: what the meter sees, a key of flopbench.energy.levels.COVERS. `wrap_j`: where an energy counter begins again at 0."""
        self.name, self.cover, self.wrap_j = name, cover, wrap_j

    @abstractmethod
    def read(self) -> float:
        """J or W now. Raises MeterLost."""


class FileMeter(Meter):
    """A number in a file of sysfs, times `unit`."""

    def __init__(
        self, source: Source, path: str, name: str, cover: str, unit: float, wrap_j: float | None = None
    ) -> None:
        super().__init__(name, cover, wrap_j)
        self._source, self._path, self._unit = source, path, unit

    def read(self) -> float:
        return read_number(self._source, self._path) * self._unit


class EnergyFile(FileMeter):
    quantity = "energy"


class PowerFile(FileMeter):
    quantity = "power"
    period_s = 0.2


def read_number(source: Source, path: str) -> float:
    """The first word of a file as a number. Raises MeterLost with the reason."""
    try:
        return float(source.text(path).split()[0])
    except OSError as error:
        raise MeterLost(f"{path}: {error.strerror or error}") from error
    except (ValueError, IndexError) as error:
        raise MeterLost(f"{path}: not a number") from error


def denied(source: Source, path: str, what_to_do: str) -> str | None:
    """None if `path` can be read, else why not; `what_to_do` is added where permission is what is missing."""
    try:
        source.text(path)
    except PermissionError:
        return f"{path} may not be read: permission denied; {what_to_do}"
    except OSError as error:
        return f"{path}: {error.strerror or error}"
    return None
