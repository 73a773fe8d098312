"""Every registered kernel, with the reason why it cannot run here if it cannot: an absent backend is a fact, not a silence."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from flopbench import registry
from flopbench.errors import BadInput
from flopbench.machine.model import Machine


class KernelRow(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """One kernel. `why_not` None: it can run on this machine. What only the class knows is empty if the package is broken."""

    name: str
    package: str
    routine: str = ""
    precision: str = ""
    backend: str = ""
    device: str = ""
    distributed: bool = False
    summary: str = ""
    options: dict[str, list[str]] = {}  # --option NAME=VALUE: allowed values, the default first
    why_not: str | None = None


def rows(machine: Machine, entries: Mapping[str, registry.KernelEntry] | None = None) -> list[KernelRow]:
    """All kernels by routine, device, precision and the order in which they are taken. A broken one says what is broken."""
    found = []
    for name, entry in (registry.installed() if entries is None else entries).items():
        try:
            cls = entry.load()
        except BadInput as error:
            found.append(((9, "", "", 0, name), KernelRow(name=name, package=entry.package, why_not=str(error))))
            continue
        try:
            why_not = cls().why_not(machine)
        except Exception as error:  # a foreign package that breaks the contract is told, and stops none of the others
            why_not = f"its why_not raised {type(error).__name__}: {error}"
        row = KernelRow(
            name=name,
            package=entry.package,
            routine=cls.routine,
            precision=cls.precision,
            backend=cls.backend,
            device=cls.device,
            distributed=cls.distributed,
            summary=cls.summary,
            options={name: list(values) for name, values in cls.options.items()},
            why_not=why_not,
        )
        found.append(((0 if cls.routine == "lu" else 1, cls.device, cls.precision, cls.user_order, name), row))
    return [row for _, row in sorted(found, key=lambda pair: pair[0])]
