"""One self-contained HTML page of the inventory, in English and Traditional Chinese: no network, no foreign script.

Everything from data goes through `escape`; a content security policy lets only the page's own script run, by its hash.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from importlib import resources
from typing import Any

from sqlalchemy import Connection

import flopbench
from flopbench.inventory import charts, summary
from flopbench.inventory.model import SECTORS
from flopbench.inventory.overview import MachineRow, machine_rows
from flopbench.inventory.published import SectorTable, sector_tables
from flopbench.units import percent, rate

_SECTOR_ORDER = [*SECTORS, "not stated"]


@functools.cache
def _texts() -> dict[str, list[str]]:
    return tomllib.loads(_data("page.toml"))


def _data(name: str) -> str:
    return resources.files("flopbench.inventory").joinpath(f"data/{name}").read_text(encoding="utf-8")


def say(key: str, **values: Any) -> str:
    """The text called `key` in both languages; the page shows one of them. `values` are escaped."""
    english, chinese = (escape(text.format(**values)) for text in _texts()[key])
    return f'<span class="en" lang="en">{english}</span><span class="zh" lang="zh-Hant-TW">{chinese}</span>'


@dataclass(frozen=True)
class Contents:
    """What the page shows: the `ranked` machines by Rmax, then the `others`, sums by sector, and the published tables."""

    ranked: list[MachineRow]
    others: list[MachineRow]
    sums: summary.Summary
    published: list[SectorTable]

    @property
    def machines(self) -> list[MachineRow]:
        return [*self.ranked, *self.others]


def contents(connection: Connection) -> Contents:
    ranked = summary.ranking(connection, "rmax").rows
    known = {row.machine_id for row in ranked}
    others = [row for row in machine_rows(connection) if row.machine_id not in known]
    return Contents(ranked, others, summary.by(connection, "sector"), sector_tables(connection))


def render(shown: Contents, now: datetime | None = None) -> str:
    """The whole page. `now` in UTC."""
    script, style = _data("page.js"), _data("page.css") + _phone_labels()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    date = (now or datetime.now(UTC)).strftime("%Y-%m-%d %H:%M")
    return "".join(
        [
            '<!DOCTYPE html>\n<html lang="zh-Hant-TW" data-language="zh"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(_texts()['title'][1])}</title><style>{style}</style></head><body><main>",
            f'<header><h1>{say("title")}</h1><button class="language" type="button">{say("language")}</button></header>',
            f"<p>{say('lead')}</p>",
            _key_figures(shown.sums),
            _sectors(shown.sums),
            *map(_published, shown.published),
            _charts(shown.ranked),
            _machines(shown.machines, len(shown.ranked)),
            f'<p class="soft">{say("made", version=flopbench.__version__, date=date)}</p></main>',
            f"<script>{script}</script></body></html>\n",
        ]
    )


def _key_figures(sums: summary.Summary) -> str:
    total = sums.total
    figures = [
        (f"{total.machines:,}", "machines_counted"),
        (f"{len(total.organisations):,}", "organisations_counted"),
        (rate(total.fp64), "fp64_sum"),
        (rate(total.rmax), "rmax_sum"),
        (f"{total.verified:,}", "verified_count"),
    ]
    return f'<ul class="key">{"".join(f"<li><b>{escape(value)}</b>{say(text)}</li>" for value, text in figures)}</ul>'


def _sectors(sums: summary.Summary) -> str:
    bars = []
    for name, precision in (("fp64", "FP64"), ("fp32", "FP32")):
        whole = getattr(sums.total, name)
        if whole:
            parts = "".join(
                f'<i class="s{_colour(group.name)}" style="flex:{getattr(group, name) / whole:.6f}" '
                f'title="{escape(group.name)} {100 * getattr(group, name) / whole:.2f} %"></i>'
                for group in sums.groups
            )
            bars.append(f'<span class="soft">{precision}</span><div class="bar">{parts}</div>')
    body = "".join(
        f'<tr><td><i class="dot s{_colour(g.name)}"></i>{_sector(g.name)}</td>{_sums(g, sums.total)}</tr>'
        for g in sums.groups
    )
    body += f'<tr class="total"><td>{say("total")}</td>{_sums(sums.total, sums.total)}</tr>'
    head = "".join(
        f'<th class="n">{cell}</th>' for cell in (say("organisations"), "FP64 TFLOPS", "FP32 TFLOPS", "Rmax TFLOPS")
    )
    notes = [
        say(name, count=f"{group.machines:,}", tflops=f"{group.fp64 / 1e12:,.2f}")
        for name, group in (("small", sums.small), ("planned_apart", sums.planned), ("retired_apart", sums.retired))
        if group.machines
    ]
    said = "".join(f'<p class="soft">{note}</p>' for note in notes)
    return f"<section><h2>{say('sectors')}</h2>{''.join(bars)}{_sums_table(head, body)}{said}</section>"


def _sums_table(head: str, body: str) -> str:
    """Scrolls sideways by itself where it is wider than the page."""
    heading = f"<thead><tr><th>{say('sector')}</th>{head}</tr></thead>"
    return f'<div class="wide"><table class="sums">{heading}<tbody>{body}</tbody></table></div>'


def _sums(group: summary.Group, total: summary.Group) -> str:
    def cell(part: float, whole: float) -> str:
        shown = f"{part / 1e12:,.2f} ({100 * part / whole:.2f}%)" if whole else ""
        return f'<td class="n">{shown}</td>'

    return (
        f'<td class="n">{len(group.organisations):,}</td>{cell(group.fp64, total.fp64)}{cell(group.fp32, total.fp32)}'
        f"{cell(group.rmax, total.rmax)}"
    )


def _published(table: SectorTable) -> str:
    """A published sector table: parts as printed, shares and sum recomputed, the printed total below."""

    def cells(counted: float | None, values: dict[str, float | None]) -> str:
        shown = [f'<td class="n">{counted:,.0f}</td>' if counted is not None else '<td class="n"></td>']
        for name in ("fp64_total", "fp32_total"):
            value, whole = values[name], table.sums[name]
            text = f"{value:,.2f} ({100 * value / whole:.2f}%)" if value is not None and whole else ""
            shown.append(f'<td class="n">{text}</td>')
        return "".join(shown)

    def printed(figures: dict[str, Any]) -> dict[str, float | None]:
        return {name: figure.value if figure else None for name, figure in figures.items()}

    body = "".join(
        f"<tr><td>{escape(r.label)}</td>{cells(r.counted.value if r.counted else None, printed(r.totals))}</tr>"
        for r in table.parts
    )
    body += f'<tr class="total"><td>{say("sum_recomputed")}</td>{cells(None, dict(table.sums))}</tr>'
    if table.total:
        counted = table.total.counted.value if table.total.counted else None
        body += f"<tr><td>{escape(table.total.label)}, {say('as_printed')}</td>{cells(counted, printed(table.total.totals))}</tr>"
    head = "".join(f'<th class="n">{cell}</th>' for cell in (say("organisations"), "FP64 TFLOPS", "FP32 TFLOPS"))
    return f"<section><h2>{say('published', title=table.title)}</h2>{_sums_table(head, body)}</section>"


def _charts(rows: list[MachineRow]) -> str:
    measured = [row for row in rows if row.best]
    against = [_dot(row, row.rpeak, row.rmax) for row in measured if row.rpeak]
    shares = [_dot(row, row.year, 100 * row.of_rpeak) for row in measured if row.year and row.of_rpeak]
    energy = [
        _dot(row, row.year, row.flops_per_watt / 1e9)
        for row in measured
        if row.year and row.flops_per_watt and not row.cover
    ]
    figures = []
    if against:
        x, y = charts.decades([d.x for d in against]), charts.decades([d.y for d in against])
        svg = charts.scatter(against, x, y, _texts()["rmax_rpeak"][0], diagonal=True)
        figures.append(_figure("rmax_rpeak", svg))
    if shares:
        top = max(100.0, 20.0 * -(-max(d.y for d in shares) // 20))
        y = charts.linear(0, min(top, 200.0), 20 if top <= 120 else 50, " %")
        shares = [d for d in shares if d.y <= y.high]
        svg = charts.scatter(shares, charts.years([d.x for d in shares]), y, _texts()["efficiency"][0])
        figures.append(_figure("efficiency", svg))
    if energy:
        y = charts.decades([d.y for d in energy], prefixes=False)
        svg = charts.scatter(energy, charts.years([d.x for d in energy]), y, _texts()["energy"][0])
        figures.append(_figure("energy", svg))
    return f'<div class="charts">{"".join(figures)}</div>' if figures else f"<section>{say('no_data')}</section>"


def _dot(row: MachineRow, x: float | None, y: float | None) -> charts.Dot:
    assert row.best is not None and x is not None and y is not None
    title = f"{row.name} ({row.organisation}): {rate(row.best.rmax_flops)}"
    return charts.Dot(float(x), float(y), row.best.standing, title)


def _figure(name: str, svg: str) -> str:
    marks = {
        "verified": '<circle class="verified" cx="6" cy="6" r="5"/>',
        "foreign": '<circle class="foreign" cx="6" cy="6" r="4"/>',
        "listed": '<circle class="listed" cx="6" cy="6" r="5"/>',
    }
    legend = "".join(
        f'<span><svg class="dot" viewBox="0 0 12 12" aria-hidden="true">{mark}</svg>{say(kind)}</span>'
        for kind, mark in marks.items()
        if f'class="{kind}"' in svg
    )
    note = f'<figcaption>{say(f"{name}_note")}<br><span class="legend">{legend}</span></figcaption>'
    return f"<figure><h2>{say(name)}</h2>{svg}{note}</figure>"


#: Columns of the list of machines, and whether they are numbers.
_COLUMNS = [
    ("rank", True), ("machine", False), ("organisation", False), ("sector", False), ("cores", True), ("rmax", True),
    ("rpeak", True), ("of_rpeak", True), ("power", True), ("gflops_per_watt", True), ("year", True), ("standing", False),
]  # fmt: skip


def _phone_labels() -> str:
    """On a phone a row is a card: each cell carries its column's name, in the language that is shown."""
    rules = []
    for place, (name, _) in enumerate(_COLUMNS, start=1):
        for language, text in zip(("en", "zh"), _texts()[name], strict=True):
            rules.append(
                f'html[data-language="{language}"] .list td:nth-child({place})::before {{ content: "{text}"; }}'
            )
    return "@media (max-width: 44rem) {" + " ".join(rules) + "}"


def _machines(rows: list[MachineRow], ranked: int) -> str:
    head = "".join(
        f'<th scope="col"{" class=n" if number else ""}{" aria-sort=ascending" if name == "rank" else ""}>'
        f'<button type="button">{say(name)}</button></th>'
        for name, number in _COLUMNS
    )
    body = "".join(_row(place if place <= ranked else None, row) for place, row in enumerate(rows, start=1))
    tools = (
        f'<div class="tools"><label>{say("search")} <input type="search"></label>'
        f'<span class="soft"><output>{len(rows)}</output> {say("shown")}</span></div>'
    )
    return (
        f'<section class="machines"><h2>{say("table")}</h2><p class="soft">{say("standing_note")}</p>{tools}'
        f'<div class="wide"><table class="list"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div></section>'
    )


def _row(place: int | None, row: MachineRow) -> str:
    power = row.best.power_w if row.best and row.cover else row.machine_power_w
    of = f' <span class="soft">({escape(row.cover)})</span>' if row.cover else ""
    standing = row.best.standing if row.best else "none"
    tags = [f'<span class="tag{" v" if standing == "verified" else ""}">{say(standing)}</span>']
    if row.status != "running":
        tags.append(f'<span class="tag">{say(row.status)}</span>')
    cells: Iterable[tuple[str, str, Any]] = [
        ("n", f"{place}" if place else "", place or 10**9),
        ("w name", escape(row.name), row.name),
        ("w", escape(row.organisation), row.organisation),
        ("", _sector(row.sector) if row.sector else "", row.sector or ""),
        ("n", f"{row.facts['cores']:,}" if row.facts["cores"] else "", row.facts["cores"]),
        ("n", rate(row.rmax) if row.rmax else "", row.rmax),
        ("n", rate(row.rpeak) if row.rpeak else "", row.rpeak),
        ("n", percent(row.of_rpeak) if row.of_rpeak else "", row.of_rpeak),
        ("n", f"{power / 1e3:,.4g} kW{of}" if power else "", power if not row.cover else None),
        (
            "n",
            f"{row.flops_per_watt / 1e9:.3f}{of}" if row.flops_per_watt else "",
            row.flops_per_watt if not row.cover else None,
        ),
        ("n", str(row.year or ""), row.year),
        ("", " ".join(tags), standing),
    ]
    return f"<tr>{''.join(_cell(*cell) for cell in cells)}</tr>"


def _cell(kind: str, shown: str, sort: Any) -> str:
    value = escape("" if sort is None else str(sort))
    return f'<td class="{kind}" data-sort="{value}">{shown}</td>'


def _sector(name: str) -> str:
    return say(name if name in SECTORS else "not_stated")


def _colour(name: str) -> int:
    return _SECTOR_ORDER.index(name) if name in _SECTOR_ORDER else len(_SECTOR_ORDER) - 1
