"""TOP500 lists read in all their dialects, and held against the table."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from flopbench.errors import BadInput
from flopbench.inventory.exchange import grid
from flopbench.specs import top500
from flopbench.specs.audit import audit
from flopbench.specs.table import load

NEW = (
    'Rank::Name:Computer:"Total Cores":"Accelerator/Co-Processor Cores":"Rmax [TFlop/s]":"Rpeak [TFlop/s]":Processor:'
    '"Processor Speed (MHz)":Accelerator/Co-Processor:"Processor Generation"\n'
)
OLD = "Rank::Computer:Cores:RMax:RPeak:Processor:Processor Speed (MHz):Accelerator\n"


def systems(tmp_path: Path, text: str, encoding: str = "utf-8") -> list[top500.System]:
    path = tmp_path / "list.csv"
    path.write_bytes(text.encode(encoding))
    return read(path)


def read(path: Path) -> list[top500.System]:
    sheet = grid.read_grid(path, grid.read_bytes(path))
    return top500.systems([row.cells for row in sheet.lines], str(path))


def test_a_new_list_is_in_tflops_and_an_old_one_in_gflops(tmp_path):
    new = systems(tmp_path, NEW + '1::A:"Box, Xeon":1000::20:76.8:"Xeon Gold 6148 20C 2.4GHz":2400:None:"Xeon Gold"\n')
    old = systems(tmp_path, OLD + '1::Box:1000:20:8000:"Intel EM64T Xeon X5550":2000:None\n')
    assert (new[0].rpeak_flops, old[0].rpeak_flops) == (76.8e12, 8e12)
    assert new[0].cores == 1000 and new[0].clock_ghz == 2.4 and not new[0].has_accelerator


def test_an_unbalanced_quote_and_another_encoding_spoil_nothing(tmp_path):
    text = (
        NEW
        + '1::"Universität":Box:1000:0:20:76.8:"Xeon Gold 6148":2400:None:"Gold ":"Cascade":,"\n'
        + '2::B:Box:1000:0:20:32:"AMD EPYC 7742":2000:None:EPYC\n'
    )
    read = systems(tmp_path, text, "iso-8859-1")
    assert [s.rank for s in read] == [1, 2] and read[0].name == "Universität" and read[1].processor == "AMD EPYC 7742"


def test_commas_and_tabs_separate_as_well(tmp_path):
    comma = systems(
        tmp_path,
        'Rank,Name,Total Cores,Rpeak [TFlop/s],Processor,Processor Speed (MHz)\n1,A,"1,000",76.8,Xeon Gold 6148,2400\n',
    )
    assert comma[0].cores == 1000


@pytest.mark.parametrize(
    ("text", "message"),
    [("\n", "empty"), ("a:b:c\n1:2:3\n", "no column rank; processor")],
)
def test_a_file_that_is_no_list_is_refused(tmp_path, text, message):
    with pytest.raises(BadInput, match=message):
        systems(tmp_path, text)


def line(
    cores: float, rpeak_tflops: float, processor: str, mhz: float, computer: str = "Box", accelerator: str = "None"
) -> str:
    return f'1::Name:"{computer}":{cores}::1:{rpeak_tflops}:"{processor}":{mhz}:{accelerator}:Some\n'


@pytest.mark.parametrize(
    ("entry", "outcome", "cause"),
    [
        (line(1000, 76.8, "Xeon Gold 6148 20C 2.4GHz", 2400), "agrees", ""),
        (line(1000, 77.1, "Xeon Gold 6148 20C 2.4GHz", 2400), "agrees", ""),
        (line(1000, 77.5, "Xeon Gold 6148 20C 2.4GHz", 2400), "differs", "rounding"),
        (line(1000, 38.4, "Xeon Gold 6148 20C 2.4GHz", 2400), "differs", "16 FLOP/cycle/core counted, Intel Skylake-SP and -X"),
        (line(1000, 73.6, "Xeon Gold 5118 12C 2.3GHz", 2300), "differs", "Skylake-SP, one AVX-512 FMA unit has 16"),
        (line(1000, 64.0, "Xeon Gold 6148 20C 2.4GHz", 2400), "differs", "AVX clock taken (2.00 GHz instead of 2.4)"),
        (line(1000, 96.0, "Xeon Gold 6148 20C 2.4GHz", 2400), "differs", "higher clock taken (3.00 GHz instead of 2.4 (turbo to 3.7))"),
        (line(1000, 64.0, "Xeon Gold 6148 20C 2.4GHz", 2400, "Box, Xeon 2GHz"), "differs", "its description says 2 GHz"),
        (line(1000, 66.0, "Xeon Gold 6148 20C 2.4GHz", 2400, "Xeon Gold 6148/E5-2680v4"), "differs", "mixed processors: Gold 6148, E5-2"),
        (line(1000, 200.0, "Xeon Gold 6148 20C 2.4GHz", 2400, "Box, NVIDIA Tesla P100"), "differs", "co-processors counted"),
        (line(1000, 8.0, "Transputer T9000", 2000), "unknown CPU", "no core design known for 'Transputer T9000'"),
        (line(1000, 76.8, "Xeon Gold 6148", 2400, accelerator="NVIDIA V100"), "accelerator", "not compared"),
        (line(1000, 76.8, "Xeon Gold 6148", 0), "unreadable", "no mhz"),
    ],
)  # fmt: skip
def test_each_system_gets_an_outcome_and_a_likely_cause(tmp_path, entry, outcome, cause):
    result = audit(systems(tmp_path, NEW + entry), load()).lines[0]
    assert result.outcome == outcome
    assert cause in result.cause


def test_the_share_counts_unknown_processors_against_the_table(tmp_path):
    text = (
        NEW
        + line(1000, 76.8, "Xeon Gold 6148", 2400)
        + line(10, 1, "Transputer", 2400)
        + line(1, 1, "Xeon Gold 6148", 2400, accelerator="GPU")
    )
    result = audit(systems(tmp_path, text), load())
    assert (result.compared, result.share) == (2, 0.5)


def real_lists() -> Path | None:
    """The folder of real lists beside the checkout, or where FLOPBENCH_SHARED says; None if there is none."""
    places = [Path(p) for p in [os.environ.get("FLOPBENCH_SHARED")] if p]
    places += [parent / "shared" for parent in Path(__file__).resolve().parents]
    return next((place / "data" / "top500" for place in places if (place / "data" / "top500").is_dir()), None)


@pytest.mark.parametrize("name", ["TOP500_201406.csv", "TOP500_201811.csv"])
def test_nine_of_ten_systems_of_a_real_list_are_reproduced(name):
    folder = real_lists()
    if folder is None:
        pytest.skip("no ../shared/data/top500 beside the checkout and FLOPBENCH_SHARED is not set")
    result = audit(read(folder / name), load())
    assert len(result.lines) == 500
    assert result.share is not None and result.share >= 0.9
    assert all(entry.cause for entry in result.lines if entry.outcome != "agrees")
