"""The kernels that are installed: ours and strangers', found through the entry point group `flopbench.kernels`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points

from flopbench.errors import BadInput, UnknownName
from flopbench.kernel_api import Kernel

GROUP = "flopbench.kernels"
_NAME = re.compile(r"[a-z0-9]+(_[a-z0-9]+)+")


@dataclass(frozen=True)
class KernelEntry:
    """One registered kernel, not yet imported."""

    name: str
    entry_point: EntryPoint

    @property
    def package(self) -> str:
        """The distribution that provides it."""
        return self.entry_point.dist.name if self.entry_point.dist else "unknown"

    def load(self) -> type[Kernel]:
        """Import the class. Raises BadInput if the package is broken or the class does not keep the contract."""
        try:
            cls = self.entry_point.load()
        except Exception as error:
            raise BadInput(
                f"kernel {self.name!r} of package {self.package!r} cannot be imported: {type(error).__name__}: {error}"
            ) from error
        if not (isinstance(cls, type) and issubclass(cls, Kernel)):
            raise BadInput(
                f"kernel {self.name!r} of package {self.package!r}: {self.entry_point.value} is no Kernel class"
            )
        if cls.name != self.name:
            raise BadInput(
                f"kernel {self.name!r} of package {self.package!r} calls itself {cls.name!r}; the names must agree"
            )
        if not cls.name.startswith(f"{cls.routine}_{cls.precision}_"):
            raise BadInput(
                f"kernel {self.name!r} of package {self.package!r} does {cls.routine} in {cls.precision}; "
                f"its name must begin with {cls.routine}_{cls.precision}_"
            )
        return cls


def installed(points: Iterable[EntryPoint] | None = None) -> dict[str, KernelEntry]:
    """Every registered kernel by name. Raises BadInput on a bad name, or one that two packages claim."""
    found: dict[str, KernelEntry] = {}
    for point in sorted(entry_points(group=GROUP) if points is None else points, key=lambda p: p.name):
        entry = KernelEntry(point.name, point)
        if not _NAME.fullmatch(point.name):
            raise BadInput(
                f"kernel name {point.name!r} of package {entry.package!r}: only a-z, 0-9 and single _ are allowed"
            )
        twin = found.get(point.name)
        if twin and (twin.package, twin.entry_point.value) != (entry.package, point.value):
            raise BadInput(
                f"kernel {point.name!r} is registered twice, by {twin.package!r} and {entry.package!r}; remove one"
            )
        found[point.name] = entry
    return found


def of_routine(routine: str) -> list[type[Kernel]]:
    """The classes of a routine's kernels, told by their names, so that no other kernel's libraries are imported."""
    return [entry.load() for name, entry in installed().items() if name.startswith(f"{routine}_")]


def load(name: str) -> type[Kernel]:
    """The class of the kernel called `name`. Raises UnknownName."""
    entries = installed()
    if name not in entries:
        raise UnknownName("kernel", name, entries, "after adding one to pyproject.toml, run `make install`")
    return entries[name].load()
