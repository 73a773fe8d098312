"""Name the microarchitecture from the processor's own numbers; from its flags, as a guess, where a hypervisor made the numbers up."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

import msgspec


class _Strict(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    pass


class _X86(_Strict):
    name: str
    vendor: str
    family: int
    models: list[tuple[int, int]]
    steppings: tuple[int, int] | None = None


class _Arm(_Strict):
    name: str
    implementer: int
    part: int


class _Power(_Strict):
    name: str
    word: str


class _Only(_Strict):
    vendor: str
    flag: str
    names: list[str]


class _Guess(_Strict):
    name: str
    vendor: str
    flags: list[str]


class Table(_Strict):
    """data/microarchitectures.toml."""

    x86: list[_X86]
    arm: list[_Arm]
    power: list[_Power]
    only: list[_Only]
    guess: list[_Guess]

    def names(self) -> set[str]:
        """Every microarchitecture that can be the answer."""
        return {entry.name for kind in (self.x86, self.arm, self.power) for entry in kind}


class Answer(_Strict):
    """`name` None: not known, for `reason`. A guess has its reason too."""

    name: str | None
    is_guess: bool = False
    reason: str = ""


@cache
def table() -> Table:
    """The table that is installed with flopbench."""
    text = (files("flopbench.machine") / "data" / "microarchitectures.toml").read_text(encoding="utf-8")
    return msgspec.toml.decode(text.encode(), type=Table)


def is_generic(model_name: str | None) -> bool:
    """Whether a name is a hypervisor's, without a model number: "Intel(R) Xeon(R) Processor @ 2.60GHz", "AMD EPYC-Milan Processor".

    Products carry a number of at least three digits; the clock and QEMU's version do not count.
    """
    text = re.sub(r"@.*$|version.*$", "", model_name or "")
    return re.search(r"\d{3}", text) is None


def of_x86(
    vendor: str | None,
    family: int | None,
    model: int | None,
    stepping: int | None,
    flags: frozenset[str],
    made_up: bool,
) -> Answer:
    """By vendor, family, model and stepping. `made_up`: under a hypervisor and with a generic name, so that the numbers prove little."""
    by_numbers = next(
        (
            entry.name
            for entry in table().x86
            if (entry.vendor, entry.family) == (vendor, family)
            and any(low <= (-1 if model is None else model) <= high for low, high in entry.models)
            and (entry.steppings is None or entry.steppings[0] <= (stepping or 0) <= entry.steppings[1])
        ),
        None,
    )
    contradiction = next(
        (o.flag for o in table().only if o.vendor == vendor and o.flag in flags and by_numbers not in o.names), None
    )
    if by_numbers and not contradiction:
        if made_up:
            return Answer(
                name=by_numbers, is_guess=True, reason="the hypervisor gives a generic name; by family and model"
            )
        return Answer(name=by_numbers)
    why = (
        f"family {family} model {model} would be {by_numbers}, which has no {contradiction}"
        if by_numbers
        else f"family {family} model {model} of {vendor} is not in the table"
    )
    by_flags = next((g.name for g in table().guess if g.vendor == vendor and flags.issuperset(g.flags)), None)
    if by_flags is None:
        return Answer(name=None, reason=f"{why}, and its flags are not distinctive")
    return Answer(name=by_flags, is_guess=True, reason=f"{why}; {by_flags} or newer by its flags")


def of_arm(implementer: int, part: int) -> Answer:
    """By the implementer and part numbers of MIDR_EL1."""
    name = next((e.name for e in table().arm if (e.implementer, e.part) == (implementer, part)), None)
    return Answer(
        name=name, reason="" if name else f"implementer 0x{implementer:02x} part 0x{part:03x} is not in the table"
    )


def of_power(text: str) -> Answer:
    """By the word in the line `cpu`: "POWER9, altivec supported", "POWER8NVL (raw), ...", "POWER7 (architected), ..."."""
    word = re.match(r"POWER\d+", text.upper())
    name = next((e.name for e in table().power if word and e.word == word.group()), None)
    return Answer(name=name, reason="" if name else f"{text!r} is not in the table")
