"""The page in a real browser: nothing is wider than the window, and what can be clicked does what it says."""

from __future__ import annotations

from pathlib import Path

import pytest
from devtools import Browser, find

from flopbench.cli import run

REPORT = Path(__file__).parent / "report"
WIDTHS = {"phone": 390, "tablet": 820, "desktop": 1440}
COLUMN = "[...document.querySelectorAll('table.list tbody tr')].map(r => r.cells[{}].dataset.sort)"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    where = ["--inventory", str(folder / "i.db")]
    assert run(["inventory", "init", *where]) == 0
    for name in ("table-3.1", "table-3.4", "table-5.3"):
        assert run(["inventory", "import", str(REPORT / f"{name}.csv"), "--edition", "2024-06", *where]) == 0
    assert run(["inventory", "export", "--html", str(folder / "page.html"), *where]) == 0
    return folder / "page.html"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    program = find()
    if program is None:
        pytest.skip("no Chromium here (Debian: apt-get install chromium)")
    opened = Browser(program, tmp_path_factory.mktemp("profile"))
    yield opened
    opened.close()


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_nothing_is_wider_than_the_window_and_no_word_is_set_letter_under_letter(browser, page, width):
    browser.show(page, width)
    for _ in ("one language", "the other"):
        assert browser.js("innerWidth") == width
        assert browser.js("document.documentElement.scrollWidth") <= width
        assert browser.js("Math.max(...[...document.querySelectorAll('.list td')].map(e => e.offsetHeight))") < 250
        browser.click("button.language")


def test_the_language_is_switched_by_its_button(browser, page):
    browser.show(page, 820)
    shown = [browser.js("[document.documentElement.lang, document.title, document.querySelector('h1').innerText]")]
    browser.click("button.language")
    shown.append(browser.js("[document.documentElement.lang, document.title, document.querySelector('h1').innerText]"))
    assert sorted(shown) == [["en", *["Inventory of computing power"] * 2], ["zh-Hant-TW", *["算力盤點"] * 2]]


def test_a_click_on_a_heading_sorts_and_what_is_not_known_stays_last(browser, page):
    browser.show(page, 1440)
    for direction, largest_first in (("descending", True), ("ascending", False)):
        browser.click(".list th:nth-child(7) button")
        assert browser.js("document.querySelector('.list th:nth-child(7)').ariaSort") == direction
        values = browser.js(COLUMN.format(6))
        known = [float(v) for v in values if v]
        assert "" in values
        assert values[len(known) :] == [""] * (len(values) - len(known))
        assert known == sorted(known, reverse=largest_first)


def test_the_search_shows_the_machines_that_have_all_words(browser, page):
    browser.show(page, 390)
    browser.click("input[type=search]")
    browser.call("Input.insertText", text="taiwania 3")
    rows = browser.js(
        "[...document.querySelectorAll('.list tbody tr')].filter(r => r.offsetParent).map(r => r.innerText)"
    )
    assert rows
    assert all("taiwania" in row.lower() and "3" in row for row in rows)
    assert browser.js("document.querySelector('output').value") == str(len(rows))


def test_printed_it_has_its_headings_and_no_buttons(browser, page):
    browser.show(page, 1440)
    browser.call("Emulation.setEmulatedMedia", media="print")
    shown = "getComputedStyle(document.querySelector('{}')).display"
    assert [browser.js(shown.format(s)) for s in ("button.language", ".tools")] == ["none", "none"]
    assert browser.js(shown.format(".list thead")) == "table-header-group"
    browser.call("Emulation.setEmulatedMedia", media="")
