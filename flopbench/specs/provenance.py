"""How far the table's documents were read: each source, and the entries that rest on it.

A source is "read" if every number taken from it was found in the document or in a copy or quotation of it, "read in part" if some
were not (`unread` names them), and "named" if the document was named from knowledge and not read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from flopbench.specs.schema import GpuModel, Source
from flopbench.specs.table import Table

STATES = ("read", "read in part", "named")


def state(source: Source) -> str:
    """One of STATES."""
    if not source.read_through:
        return "named"
    return "read in part" if source.unread else "read"


def state_text(source: Source) -> str:
    """How the document was read, as one sentence for people."""
    if not source.read_through:
        return "named from knowledge, not read"
    return f"read through {source.read_through}" + (f"; not found there: {source.unread}" if source.unread else "")


def gpu_sources(gpu: GpuModel) -> dict[str, None]:
    """The sources of one GPU's own numbers, without those of its design, in the order of their use."""
    return dict.fromkeys(s for s in (gpu.source, gpu.clock_source, *(p.source for p in gpu.peaks)) if s)


def entries(table: Table) -> Iterator[tuple[str, str, list[str]]]:
    """(kind, name, source ids) of every entry that has numbers of its own, by those numbers."""
    for micro in table.microarchitectures.values():
        yield "core designs", micro.name, list(dict.fromkeys(row.source for row in micro.arithmetic))
    for cpu in table.cpus.values():
        yield "processors", cpu.name, [cpu.source]
    for design in table.gpu_architectures.values():
        if design.arithmetic:
            yield "GPU designs", design.name, list(dict.fromkeys(row.source for row in design.arithmetic))
    for gpu in table.gpus.values():
        yield "GPUs", gpu.name, list(gpu_sources(gpu))


def entry_state(table: Table, sources: Iterable[str]) -> str:
    """The state of the least read of an entry's sources; a source that the table lacks was not read either."""
    found = [state(table.sources[s]) if s in table.sources else "named" for s in sources]
    return max(found, key=STATES.index, default="named")


@dataclass(frozen=True)
class Reading:
    """Counts over a table. `sources` maps a state to source ids; `entries` maps a kind of entry to its count of each state."""

    sources: dict[str, list[str]]
    entries: dict[str, Counter[str]]

    @property
    def total(self) -> int:
        """All sources."""
        return sum(len(ids) for ids in self.sources.values())


def reading(table: Table) -> Reading:
    """What of the table was read."""
    kinds: dict[str, Counter[str]] = {}
    for kind, _, sources in entries(table):
        kinds.setdefault(kind, Counter())[entry_state(table, sources)] += 1
    return Reading(
        {s: [source.id for source in table.sources.values() if state(source) == s] for s in STATES},
        kinds,
    )


def lines(found: Reading) -> list[str]:
    """The counts as sentences, one line each."""
    read, partly, named = (len(found.sources[s]) for s in STATES)
    kinds = [
        f"{kind}: {sum(c.values())} entries, {c['read']} read, {c['read in part']} in part, {c['named']} only named"
        for kind, c in found.entries.items()
    ]
    return [
        f"{read + partly} of {found.total} sources read ({partly} of them in part), {named} only named",
        *kinds,
    ]


def markdown(table: Table) -> str:
    """The sources and how each was read, as Markdown: counts, then one table; what docs/rpeak.md holds."""
    rows = [
        f"| {source.id} | {source.publisher} | {state(source)} | {source.read_through} | {source.unread} |"
        for s in STATES
        for source in table.sources.values()
        if state(source) == s
    ]
    head = ["| source | publisher | state | read through | not found there |", "|---|---|---|---|---|"]
    return "\n".join([*(f"- {line}" for line in lines(reading(table))), "", *head, *rows]) + "\n"
