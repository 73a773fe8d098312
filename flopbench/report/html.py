"""A Report as one HTML page that needs nothing else: no network, no script; light, dark and print; every word from a record escaped."""

from __future__ import annotations

from html import escape
from importlib.resources import files

from flopbench.report.content import Report, Section, Table
from flopbench.report.svg import chart

_VERDICTS = ("PASSED", "FAILED", "SKIPPED", "UNCHECKED")
#: Nothing may be loaded, whatever a record contains.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"


def to_html(report: Report) -> str:
    """The page as text."""
    style = files("flopbench.report").joinpath("page.css").read_text(encoding="utf-8")
    body = [f"<header><h1>{escape(report.title)}</h1>", _list(report.summary, "summary"), "</header>", "<main>"]
    body += [_section(section, "results") for section in report.results]
    body.append('<h2 class="part">What these numbers rest on</h2>')
    body += [_folded(section) for section in report.background]
    body.append("</main>")
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<meta name="color-scheme" content="light dark">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(_POLICY)}">\n'
        f"<title>{escape(report.title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        + "\n".join(body)
        + "\n</body>\n</html>\n"
    )


def _section(section: Section, kind: str) -> str:
    parts = [f'<section class="{kind}">', f"<h2>{escape(section.heading)}</h2>"]
    parts += [f"<p>{escape(text)}</p>" for text in section.paragraphs]
    parts += [f"<figure>{chart(content)}</figure>" for content in section.charts]
    parts += [f"<h3>{escape(table.title)}</h3>{_table(table)}" for table in section.tables]
    return "\n".join([*parts, "</section>"])


def _folded(section: Section) -> str:
    """Open on screen and in print, and can be folded away."""
    tables = "".join(_table(table) for table in section.tables)
    return f"<details open><summary>{escape(section.heading)}</summary>{tables}</details>"


def _table(table: Table) -> str:
    kinds = [' class="number"' if column.numeric else "" for column in table.columns]
    head = "".join(
        f'<th scope="col"{kind}>{escape(column.heading)}</th>'
        for column, kind in zip(table.columns, kinds, strict=True)
    )
    rows = "\n".join(
        "<tr>" + "".join(_cell(cell, kind) for cell, kind in zip(row, kinds, strict=True)) + "</tr>"
        for row in table.rows
    )
    text = f'<div class="wide"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table></div>'
    return text + _list(table.notes, "notes")


def _cell(cell: str, kind: str) -> str:
    if cell in _VERDICTS:
        return f'<td{kind}><span class="verdict {cell.lower()}">{cell}</span></td>'
    return f"<td{kind}>{escape(cell)}</td>"


def _list(lines: tuple[str, ...], kind: str) -> str:
    if not lines:
        return ""
    return f'<ul class="{kind}">' + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>"
