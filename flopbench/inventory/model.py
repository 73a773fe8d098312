"""What the inventory keeps, as plain dataclasses: SI base units, text as entered, None for unknown."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import Any

from flopbench.errors import UnknownName

#: Table 3.1 and 3.3 of the source report count three sectors; industry is listed beside them, TOP500 adds research and vendors.
SECTORS = {
    "university": ("university", "universities", "academic", "academia", "school", "學校", "大學", "公私立(技職)大學"),
    "hospital": ("hospital", "hospitals", "medical", "medical centre", "醫院", "醫學中心"),
    "government": ("government", "gov", "政府機構", "政府機構(含taipei-1)", "政府"),
    "industry": ("industry", "vendor", "company", "產業界", "企業", "民間企業"),
    "research": ("research", "研究機構", "專屬設施"),
    "other": ("other", "others", "classified", "not specified", "其他"),
}
STATUSES = ("planned", "running", "retired")

#: How far a rate can be trusted. verified: a flopbench record, checked on arrival. foreign: read from another program's output.
#: listed: a published figure, entered or imported.
STANDINGS = ("verified", "foreign", "listed")

#: The report registers machines from this FP64 peak on; smaller ones are kept, but not counted.
LEAST_COUNTED_FLOPS = 1e12


@dataclass(frozen=True)
class Provenance:
    """Where a figure comes from: source (a URL, a document, a run), when it was looked up, why it was corrected."""

    source: str
    query_date: str | None = None
    remarks: str | None = None
    reason: str | None = None


@dataclass(frozen=True)
class OrganisationFacts:
    """`tier` is free text, as in the report's table 3.3: national centre, university, dedicated, industry."""

    name: str
    sector: str | None = None
    tier: str | None = None


@dataclass(frozen=True)
class MachineFacts:
    """Everything but rates. Cores as TOP500 counts them: `cores` in all, `accelerator_cores` of them on accelerators (SMs, CUs)."""

    name: str
    model: str | None = None
    cpu: str | None = None
    cpu_count: int | None = None
    gpu: str | None = None
    gpu_count: int | None = None
    cores: int | None = None
    accelerator_cores: int | None = None
    nodes: int | None = None
    cores_per_node: int | None = None
    memory_bytes: float | None = None
    interconnect: str | None = None
    os: str | None = None
    use: str | None = None
    site_power_w: float | None = None
    status: str | None = None  # running, unless said otherwise when first entered
    year: int | None = None
    country: str | None = None

    def merged(self, newer: MachineFacts) -> MachineFacts:
        """These facts with everything that `newer` knows put over them."""
        known = {f.name: getattr(newer, f.name) for f in fields(newer) if getattr(newer, f.name) is not None}
        return MachineFacts(**{**{f.name: getattr(self, f.name) for f in fields(self)}, **known})


@dataclass(frozen=True)
class PeakFacts:
    """A theoretical rate, FLOP/s (OP/s for int8), and how it was reckoned."""

    precision: str
    flops: float
    convention: str = "as published"
    formula: str | None = None


@dataclass(frozen=True)
class MeasurementFacts:
    """One measured rate. `rmax_flops` None withdraws the row that `corrects` names. `record` is the whole JSON document."""

    standing: str
    routine: str
    precision: str
    rmax_flops: float | None
    rpeak_flops: float | None = None
    run_id: str | None = None
    kernel: str | None = None
    n: int | None = None
    nb: int | None = None
    p: int | None = None
    q: int | None = None
    verdict: str | None = None
    measured_on: str | None = None
    power_w: float | None = None
    flops_per_watt: float | None = None
    power_cover: str | None = None
    content_sha256: str | None = None
    unverified: str | None = None
    record: str | None = None


@dataclass(frozen=True)
class Entry:
    """One machine of a file that is imported: what it says, and the row it stood in."""

    line: int
    label: str
    organisation: OrganisationFacts
    machine: MachineFacts
    peaks: tuple[PeakFacts, ...] = ()
    measurement: MeasurementFacts | None = None
    cells: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    remarks: str | None = None
    source: str | None = None


#: The one cover that a published power also has: what a site pays for. A package, a GPU or a node's own sensor sees less.
WALL = "wall"


def cover(seen: Iterable[str]) -> str:
    """What the meters of a run saw, as the inventory keeps it: "dram, package"."""
    return ", ".join(sorted(set(seen)))


def key(name: str) -> str:
    """The form in which two spellings of one name are equal: NFKC, case folded, single spaces."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def sector(name: str) -> str:
    """The sector called `name`, English or Chinese. Raises UnknownName."""
    wanted = key(name).replace(" ", "")
    for known, spellings in SECTORS.items():
        if any(wanted == key(s).replace(" ", "") for s in spellings):
            return known
    raise UnknownName("sector", name, SECTORS)
