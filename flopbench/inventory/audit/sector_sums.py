"""Sums and shares of a sector table: does the total follow from its parts, and each share from its part and the total?"""

from __future__ import annotations

import math
from collections.abc import Iterator

from flopbench.inventory.audit.finding import Cell, Finding, number
from flopbench.inventory.audit.interval import rounded
from flopbench.inventory.audit.tables import Table
from flopbench.inventory.exchange.numbers import Figure
from flopbench.inventory.exchange.sectors import COLUMNS, SectorRow, row


def check(table: Table) -> Iterator[Finding]:
    """Findings of one table of the form "sectors"."""
    read = [row(line.number, line.cells, table.heading) for line in table.lines]
    parts = [r for r in read if not r.is_total]
    total = next((r for r in read if r.is_total), None)
    yield from _counts(table, parts, total)
    for column, share in COLUMNS:
        if table.heading.index(column) is not None:
            yield from _column(table, parts, total, column, share)


def _counts(table: Table, parts: list[SectorRow], total: SectorRow | None) -> Iterator[Finding]:
    counts = [r.counted.value for r in parts if r.counted is not None]
    if total is None or total.counted is None or len(counts) != len(parts):
        return
    if sum(counts) != total.counted.value:
        yield Finding(
            "sum",
            "slip",
            (_cell(table, total, "sites_counted"), *(_cell(table, r, "sites_counted") for r in parts)),
            f"the parts add up to {number(sum(counts))}, the total says {number(total.counted.value)}",
            number(abs(sum(counts) - total.counted.value)),
            "a part is missing, or a digit is wrong",
        )


def _column(
    table: Table, parts: list[SectorRow], total: SectorRow | None, column: str, share: str
) -> Iterator[Finding]:
    figures = [r.totals[column] for r in parts]
    if not parts or any(f is None for f in figures):
        return
    known = [f for f in figures if f is not None]
    sum_of_parts = sum(f.value for f in known)
    whole = total.totals[column] if total else None
    base = sum_of_parts
    if total is not None and whole is not None:
        allowed = sum(f.step for f in known) / 2 + whole.step / 2
        if abs(sum_of_parts - whole.value) > allowed * (1 + 1e-9):
            fit_sum = _fitting(parts, known, share, sum_of_parts)
            fit_printed = _fitting(parts, known, share, whole.value)
            base = sum_of_parts if fit_sum >= fit_printed else whole.value
            yield _wrong_total(table, parts, total, column, share, sum_of_parts, whole, fit_sum > fit_printed)
    for r, figure in zip(parts, known, strict=True):
        printed_share = r.shares[share]
        if printed_share is None or not base:
            continue
        again = 100.0 * figure.value / base
        interval = rounded(printed_share)
        if not interval.low <= again <= interval.high:
            yield _wrong_share(table, r, parts, column, share, again, printed_share)


def _wrong_total(
    table: Table,
    parts: list[SectorRow],
    total: SectorRow,
    column: str,
    share: str,
    sum_of_parts: float,
    whole: Figure,
    shares_follow_sum: bool,
) -> Finding:
    apart = sum_of_parts - whole.value
    decimals = max(0, round(-math.log10(whole.step)))
    cause = "a part is missing or a digit is wrong"
    if _one_digit_off(whole.value, sum_of_parts, decimals):
        cause = f"one digit of the total is wrong: {sum_of_parts:,.{decimals}f} was meant"
    if shares_follow_sum:
        off = [
            f"{r.label} {r.shares[share].value:g} %"  # type: ignore[union-attr]
            for r in parts
            if not _fits(r, r.totals[column], share, whole.value)
        ]
        cause += f"; the printed shares ({', '.join(off)}) follow from the sum of the parts, not from the printed total"
    return Finding(
        "sum",
        "slip",
        (_cell(table, total, column), *(_cell(table, r, column) for r in parts)),
        f"the parts add up to {sum_of_parts:,.{decimals}f}, the total says {whole.value:,.{decimals}f}",
        f"{abs(apart):,.{decimals}f} ({100 * abs(apart) / sum_of_parts:.3g} %)",
        cause,
    )


def _wrong_share(
    table: Table, r: SectorRow, parts: list[SectorRow], column: str, share: str, again: float, printed_share: Figure
) -> Finding:
    decimals = max(0, round(-math.log10(printed_share.step)))
    nearest = round(again, decimals)
    steps = round(abs(nearest - printed_share.value) / printed_share.step)
    shares = [p.shares[share] for p in parts]
    cause = "computed from other figures, or mistyped"
    if steps <= 1:
        cause = "cut off instead of rounded"
        if (
            all(s is not None for s in shares)
            and abs(sum(s.value for s in shares if s) - 100.0) < printed_share.step / 2
        ):
            cause += ", or lowered so that the shares add up to 100 %"
    return Finding(
        "share",
        "slip",
        (_cell(table, r, share if table.heading.index(share) is not None else column), _cell(table, r, column)),
        f"the share is {again:.{decimals + 2}f} %, rounds to {nearest:.{decimals}f} %; printed is {printed_share.value:.{decimals}f} %",
        f"{abs(again - printed_share.value):.{decimals + 2}f} percentage points",
        cause,
    )


def _fitting(parts: list[SectorRow], figures: list[Figure], share: str, base: float) -> int:
    return sum(_fits(r, f, share, base) for r, f in zip(parts, figures, strict=True))


def _fits(r: SectorRow, figure: Figure | None, share: str, base: float) -> bool:
    printed_share = r.shares[share]
    if printed_share is None or figure is None or not base:
        return False
    interval = rounded(printed_share)
    return interval.low <= 100.0 * figure.value / base <= interval.high


def _one_digit_off(first: float, second: float, decimals: int) -> bool:
    one, two = f"{first:.{decimals}f}", f"{second:.{decimals}f}"
    return len(one) == len(two) and sum(a != b for a, b in zip(one, two, strict=True)) == 1


def _cell(table: Table, r: SectorRow, field: str) -> Cell:
    line = next(line for line in table.lines if line.number == r.line)
    return table.cell(line, field)
