"""Instruction sets: what each needs of the processor, and their order for `--isa`."""

from __future__ import annotations

from typing import Any

from flopbench.errors import UnknownName

#: Flags as Linux names them in /proc/cpuinfo.
NEEDS: dict[str, tuple[str, ...]] = {
    "generic": (),
    "avx2": ("avx2", "fma", "f16c"),
    "avx512": ("avx512f", "avx512bw", "avx512dq", "avx512vl"),
}

#: From least to most; `--isa X` allows X and all before it.
LEVELS: tuple[str, ...] = tuple(NEEDS)


def check_name(name: str | None) -> None:
    """Raises UnknownName if the user's `--isa` is none of ours."""
    if name is not None and name not in NEEDS:
        raise UnknownName("instruction set", name, NEEDS)


def supported(machine: Any) -> set[str]:
    """The instruction sets that this processor has."""
    flags = set(machine.cpu.isa)
    return {name for name, needs in NEEDS.items() if flags.issuperset(needs)}


def missing(name: str, machine: Any) -> list[str]:
    """The flags that `name` needs and this processor lacks."""
    return [flag for flag in NEEDS[name] if flag not in machine.cpu.isa]
