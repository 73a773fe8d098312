"""The page is one file, in two languages, and nothing from data becomes markup or script."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest
from records import hpl_record

from flopbench.inventory import charts, page
from flopbench.inventory.entries import Entering
from flopbench.inventory.model import MachineFacts, MeasurementFacts, OrganisationFacts, PeakFacts, Provenance
from flopbench.inventory.store import Inventory
from flopbench.inventory.submit import Submission, submit

NOW = datetime(2026, 11, 3, tzinfo=UTC)
NASTY = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"


class Tags(HTMLParser):
    """Counts tags and attributes, and checks that every tag that is opened is closed."""

    VOID = ("meta", "input", "br", "line")

    def __init__(self):
        super().__init__()
        self.seen, self.attributes, self.open = [], [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def parsed(html: str) -> Tags:
    found = Tags()
    found.feed(html)
    assert found.open == []
    return found


@pytest.fixture
def shown(tmp_path):
    with Inventory(str(tmp_path / "i.db")) as inventory:
        inventory.init()
        with inventory.writing() as connection:
            book = Entering(connection, Provenance("a test"), "2026-11-02T00:00:00Z")
            owner = book.organisation(OrganisationFacts(NASTY, "hospital"))
            machine = book.machine(owner, MachineFacts(name=NASTY, year=2020, cores=10))
            book.peak(machine, PeakFacts("fp64", 2e12))
            book.measurement(machine, MeasurementFacts("listed", "lu", "fp64", 1e12, power_w=1e3, measured_on="2020"))
            book.machine(owner, MachineFacts(name="next", status="planned"))
        submit(inventory, [Submission(hpl_record(), "run.json", "臺灣大學", "alpha")], NOW)
        with inventory.reading() as connection:
            yield page.contents(connection)


def test_no_name_becomes_markup(shown):
    html = page.render(shown, NOW)
    found = parsed(html)
    assert found.seen.count("script") == 1
    assert "img" not in found.seen
    assert not [a for a in found.attributes if a[1].startswith("on")]
    assert "&lt;script&gt;alert(1)" in html


def test_the_page_loads_nothing(shown):
    found = parsed(page.render(shown, NOW))
    assert not [a for a in found.attributes if a[1] in ("src", "href", "action", "srcset")]
    assert not {"link", "iframe", "object"} & set(found.seen)


def test_only_the_pages_own_script_may_run(shown):
    import base64
    import hashlib

    html = page.render(shown, NOW)
    script = re.search(r"<script>(.*)</script>", html, re.S)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in html
    assert "default-src 'none'" in html


def test_both_languages_stand_on_it(shown):
    html = page.render(shown, NOW)
    assert "算力盤點" in html
    assert "Inventory of computing power" in html
    assert html.count('class="en"') == html.count('class="zh"')
    assert all(len(texts) == 2 for texts in page._texts().values())


def test_every_machine_is_in_the_table_and_the_charts_show_the_measured_ones(shown):
    html = page.render(shown, NOW)
    body = html.split("<tbody>")[-1].split("</tbody>")[0]
    assert body.count("<tr>") == 3
    plots = html.split('<div class="charts">')[1]
    assert plots.count('<circle class="listed" cx="') >= 3
    assert "verified" in plots


def test_an_empty_inventory_has_a_page_too(tmp_path):
    with Inventory(str(tmp_path / "empty.db")) as inventory:
        inventory.init()
        with inventory.reading() as connection:
            shown = page.contents(connection)
    assert "No machine has these figures yet" in page.render(shown, NOW)


def test_marks_are_where_their_values_are():
    axis = charts.decades([2e12, 5e14])
    assert (axis.low, axis.high) == (1e12, 1e15)
    assert axis.at(1e12) == 0
    assert axis.at(1e15) == 1
    assert [label for _, label in axis.ticks] == ["1T", "10T", "100T", "1P"]


@pytest.mark.parametrize("values", [[1e12], [1e12, 1e12], [3e-3, 2e18], [1.0, 10.0]])
def test_axes_hold_their_values(values):
    axis = charts.decades(values)
    assert axis.low < axis.high
    assert all(0 <= axis.at(v) <= 1 for v in values)
    assert len(axis.ticks) <= 8
