"""The TOP500's XML list as a grid: the same columns as its Excel list, but rates in GFlop/s (Excel has TFlop/s), power in kW.

Element names: TOP500_YYYYMM_all.xml, namespace http://www.top500.org/xml/top500/1.0.
"""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from flopbench.errors import BadInput
from flopbench.inventory.exchange.grid import Grid, Line, clean

#: Element of a <site>, and the heading it gets. A path in brackets of the installation site is one level down.
FIELDS = (
    ("rank", "Rank"),
    ("system-name", "Name"),
    ("computer", "Computer"),
    ("installation-site/installation-site-name", "Site"),
    ("manufacturer", "Manufacturer"),
    ("country", "Country"),
    ("year", "Year"),
    ("area-of-installation", "Segment"),
    ("number-of-processors", "Total Cores"),
    ("r-max", "Rmax [GFlop/s]"),
    ("r-peak", "Rpeak [GFlop/s]"),
    ("n-max", "Nmax"),
    ("n-half", "Nhalf"),
    ("power", "Power (kW)"),
    ("system-id", "System ID"),
)


def is_xml(raw: bytes) -> bool:
    return raw.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<?xml") or raw.lstrip().startswith((b"<list", b"<top500"))


def read_grid(path: Path, raw: bytes) -> Grid:
    """The list in `raw`. Raises BadInput: not well formed, a document type (none is needed, and it can hold a bomb), no <site>."""
    if b"<!DOCTYPE" in raw or b"<!ENTITY" in raw:
        raise BadInput(f"{path}: XML with a document type or entities is not read; a TOP500 list has none")
    try:
        root = ElementTree.fromstring(raw)
    except (ElementTree.ParseError, ValueError) as error:
        raise BadInput(f"{path}: not well-formed XML ({error}); was it cut off?") from error
    sites = [element for element in root.iter() if _name(element) == "site"]
    if not sites:
        raise BadInput(f"{path}: XML without a <site> element, so this is no TOP500 list")
    lines = [Line(1, [heading for _, heading in FIELDS])]
    for number, site in enumerate(sites, start=1):
        lines.append(Line(number, [_text(site, name) for name, _ in FIELDS]))
    return Grid(str(path), lines, ["XML: rates in GFlop/s; a row's number is its place in the list"])


def _text(site: ElementTree.Element, path: str) -> str:
    element: ElementTree.Element | None = site
    for step in path.split("/"):
        element = next((child for child in element if _name(child) == step), None) if element is not None else None
    return clean(element.text or "") if element is not None else ""


def _name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""
