"""What of the table was read, and that everything that shows the table says so."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from flopbench.cli import run
from flopbench.specs import provenance, table
from flopbench.specs.peak import choose
from flopbench.specs.schema import DataFile, Source

SHIPPED = table.load()
DOCS = Path(__file__).parents[2] / "docs" / "rpeak.md"

SOURCES = """\
[[sources]]
id = "whole"
title = "Data sheet"
publisher = "Maker"
url = "https://example.org/1"
read_through = "its table 1"

[[sources]]
id = "half"
title = "Product brief"
publisher = "Maker"
url = "https://example.org/2"
read_through = "a copy"
unread = "the clock"

[[sources]]
id = "never"
title = "Guide"
publisher = "Maker"
url = "https://example.org/3"
"""


def made_up(*cpu_sources: str) -> table.Table:
    """A table of the three sources, with one processor for each source id given."""
    cpus = [
        f'[[cpus]]\nname = "Chip {n}"\nmicroarchitecture = "x"\ncores = 1\nbase_ghz = 1.0\nsource = "{source}"\n'
        for n, source in enumerate(cpu_sources)
    ]
    return table.join([msgspec.toml.decode((SOURCES + "".join(cpus)).encode(), type=DataFile)])


def test_a_source_is_read_in_part_as_soon_as_one_number_was_not_found():
    states = {s.id: provenance.state(s) for s in made_up().sources.values()}
    assert states == {"whole": "read", "half": "read in part", "never": "named"}


def test_a_source_says_what_was_read_and_what_was_not_found():
    specs = made_up()
    assert provenance.state_text(specs.sources["whole"]) == "read through its table 1"
    assert provenance.state_text(specs.sources["half"]) == "read through a copy; not found there: the clock"
    assert "not read" in provenance.state_text(specs.sources["never"])


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        (["whole"], "read"),
        (["whole", "half"], "read in part"),
        (["half", "never", "whole"], "named"),
        (["whole", "no such source"], "named"),
        ([], "named"),
    ],
)
def test_an_entry_is_as_well_read_as_the_least_read_of_its_sources(sources, expected):
    assert provenance.entry_state(made_up(), sources) == expected


def test_the_counts_are_those_of_the_sources_and_entries():
    lines = provenance.lines(provenance.reading(made_up("whole", "whole", "half", "never")))
    assert lines[0] == "2 of 3 sources read (1 of them in part), 1 only named"
    assert "processors: 4 entries, 2 read, 1 in part, 1 only named" in lines


def test_nothing_is_called_unread_of_a_source_that_was_not_read_at_all():
    assert [s.id for s in SHIPPED.sources.values() if s.unread and not s.read_through] == []


def test_no_entry_of_the_table_rests_on_a_document_that_was_not_read():
    unread = [
        (kind, name)
        for kind, name, sources in provenance.entries(SHIPPED)
        if provenance.entry_state(SHIPPED, sources) == "named"
    ]
    assert unread == [], "read the document, or a copy or quotation of it, and say in read_through what was read"


def test_a_gpu_design_without_rates_of_its_own_is_not_counted():
    design = '[[gpu_architectures]]\nname = "bare"\ntitle = "Bare"\nvendor = "Maker"\nmultiprocessor = "SM"\narithmetic = []\n'
    specs = table.join([msgspec.toml.decode((SOURCES + design).encode(), type=DataFile)])
    assert "bare" in specs.gpu_architectures
    assert [name for _, name, _ in provenance.entries(specs)] == []


def test_every_gpu_counts_each_of_its_own_sources():
    gpu = SHIPPED.named_gpu("H100 NVL")
    assert {"nvidia_h100_page", "nvidia_h100_nvl_brief"} == set(provenance.gpu_sources(gpu))


def test_the_documentation_lists_exactly_the_sources_of_the_table():
    text = DOCS.read_text(encoding="utf-8")
    block = text.split("a test compares -->\n", 1)[1].split("<!-- end -->", 1)[0]
    assert block == provenance.markdown(SHIPPED), (
        "run `flopbench specs sources --markdown` and paste it into docs/rpeak.md"
    )


def test_validate_counts_what_was_read(capsys):
    assert run(["specs", "validate"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == provenance.lines(provenance.reading(SHIPPED))[0]
    assert run(["specs", "validate", "--json"]) == 0
    reading = json.loads(capsys.readouterr().out)["reading"]
    assert sum(len(ids) for ids in reading["sources"].values()) == len(SHIPPED.sources)
    assert sum(reading["entries"]["processors"].values()) == len(SHIPPED.cpus)


def test_validate_still_reports_in_json_when_a_source_is_missing(tmp_path, capsys):
    path = tmp_path / "more.toml"
    path.write_text(
        '[[cpus]]\nname = "Chip"\nmicroarchitecture = "zen4"\ncores = 1\nbase_ghz = 1.0\nsource = "hearsay"\n'
    )
    assert run(["specs", "validate", str(path), "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert any("hearsay" in f["fault"] for f in document["findings"])
    assert document["reading"]["entries"]["processors"]["named"] >= 1


@pytest.mark.parametrize("name", ["zen2", "RTX 6000 Ada", "Grace", "MI300A"])
def test_show_says_under_each_source_how_it_was_read(name, capsys):
    assert run(["specs", "show", name]) == 0
    shown = capsys.readouterr().out
    assert shown.count("\nSource") == shown.count("read through") + shown.count("not read")


def test_sources_lists_all_and_fits_the_terminal(capsys):
    assert run(["specs", "sources"]) == 0
    shown = capsys.readouterr().out
    assert all(source.id in shown for source in SHIPPED.sources.values())
    assert all(len(line) < 80 for line in shown.splitlines() if "/" not in line)
    assert provenance.lines(provenance.reading(SHIPPED))[0] in shown


@pytest.mark.parametrize(
    ("micro", "bf16", "int8"),
    [("neoverse_n2", 64, 128), ("neoverse_v1", 128, 256), ("neoverse_v2", 128, 256), ("power10", 256, 512)],
)
def test_matrix_instructions_count_every_multiply_add_twice(micro, bf16, int8):
    rows = SHIPPED.microarchitectures[micro].arithmetic
    assert getattr(choose(rows, "bf16"), "flop_per_cycle_per_core", None) == bf16
    assert getattr(choose(rows, "int8"), "flop_per_cycle_per_core", None) == int8


def test_a_source_is_strict():
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"id": "a", "title": "b", "publisher": "c", "url": "d", "read": True}, Source)
