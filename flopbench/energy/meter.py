"""What a power meter is: something that tells energy so far, or power now, of a named part of the machine. And why there is none."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar, Literal

from flopbench.machine.source import Source

#: A counter that seems to have wrapped after drawing more than this was set back instead. No package, board or node draws as much.
LARGEST_POWER_W = 20e3
_LONGEST_TEXT = 128  # bytes: a number, a unit and a time


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
    #: Whether an answer takes so long that other meters must not wait for it.
    slow: ClassVar[bool] = False
    #: Seconds between readings. Counters need few: only wrap-arounds must be seen. A power that changes needs more.
    period_s: float = 1.0

    def __init__(self, name: str, cover: str, wrap_j: float | None = None) -> None:
        """`cover`: what the meter sees, a key of flopbench.energy.levels.COVERS. `wrap_j`: where an energy counter begins again at 0."""
        self.name, self.cover, self.wrap_j = name, cover, wrap_j
        if wrap_j is not None:  # two readings in every wrap-around at the largest power
            self.period_s = min(self.period_s, wrap_j / (2 * LARGEST_POWER_W))

    @abstractmethod
    def read(self) -> float:
        """J or W now. Raises MeterLost."""

    def close(self) -> None:  # noqa: B027  most hold nothing
        """Give back what reading holds; a later `read` takes it again."""


class FileMeter(Meter):
    """A number in a file of sysfs, times `unit`. The file stays open: sysfs writes it anew for each reading from its start."""

    def __init__(
        self, source: Source, path: str, name: str, cover: str, unit: float, wrap_j: float | None = None
    ) -> None:
        super().__init__(name, cover, wrap_j)
        self._source, self._path, self._unit = source, path, unit
        self._descriptor: int | None = None

    def read(self) -> float:
        """The first word of the file, in J or W. Raises MeterLost with the reason."""
        try:
            return float(self._text().split()[0]) * self._unit
        except OSError as error:
            raise MeterLost(f"{self._path}: {error.strerror or error}") from error
        except (ValueError, IndexError) as error:
            raise MeterLost(f"{self._path}: not a number") from error

    def close(self) -> None:
        if self._descriptor is not None:
            with suppress(OSError):
                os.close(self._descriptor)
            self._descriptor = None

    def _text(self) -> bytes:
        """What the file holds now. Opened again, once, if the open one fails or has been taken away. Raises OSError."""
        if self._descriptor is not None:
            with suppress(OSError):
                text = os.pread(self._descriptor, _LONGEST_TEXT, 0)
                if os.fstat(self._descriptor).st_nlink > 0:
                    return text
            self.close()
        self._descriptor = self._source.open(self._path)
        return os.pread(self._descriptor, _LONGEST_TEXT, 0)


class EnergyFile(FileMeter):
    quantity = "energy"


class PowerFile(FileMeter):
    quantity = "power"
    period_s = 0.2


def denied(source: Source, path: str, what_to_do: str) -> str | None:
    """None if `path` can be read, else why not; `what_to_do` is added where permission is what is missing."""
    try:
        source.text(path)
    except PermissionError:
        return f"{path} may not be read: permission denied; {what_to_do}"
    except OSError as error:
        return f"{path}: {error.strerror or error}"
    return None
