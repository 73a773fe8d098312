"""flopbench energy join: a new record with energy; the one it came from stays; the inventory takes it as a correction."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime

import msgspec
import pytest
from records import hpl_record
from shared_data import shared

from flopbench import results
from flopbench.cli import run
from flopbench.energy.join import joins
from flopbench.inventory.store import Inventory
from flopbench.inventory.submit import Submission, submit
from flopbench.report.assemble import read_records

START = 1_762_052_645.0
NOW = datetime(2026, 11, 3, tzinfo=UTC)
LOG = """HPLinpack 2.3  --  High-Performance Linpack benchmark
- Computational tests pass if scaled residuals are less than                16.0
WR11C2R4       20000   200     2     4             100.00             5.3340e+01
HPL_pdgesv() start time Sun Nov  2 04:04:05 2025
HPL_pdgesv() end time   Sun Nov  2 04:05:45 2025
||Ax-b||_oo/(eps*(||A||_oo*||x||_oo+||b||_oo)*N)=   1.23456789e-03 ...... PASSED
End of Tests.
"""


def iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat().replace("+00:00", "Z")


@pytest.fixture
def record(tmp_path):
    """A filed-away run of two repeats, 100 s and 50 s, with a pause of 50 s between."""
    base = hpl_record()
    record = msgspec.structs.replace(
        base,
        times_s=[100.0, 50.0],
        rmax_flops=base.flop_count / 50,
        median_flops=base.flop_count / 75,
        spread=None,
        rpeak=None,
        rpeak_reason="a test",
        run_times_utc=[(iso(START), iso(START + 100)), (iso(START + 150), iso(START + 200))],
    )
    return results.write(record, tmp_path / "runs")


@pytest.fixture
def meter(tmp_path):
    """Idle at 100 W; 500 W in the first repeat, 800 W in the second; a reading every second."""
    path = tmp_path / "meter.csv"
    level = [100] * 100 + [500] * 101 + [100] * 49 + [800] * 51 + [100] * 99
    path.write_text("time,power_w\n" + "".join(f"{START - 100 + i},{watts}\n" for i, watts in enumerate(level)))
    return path


def joined_file(folder):
    return next(iter(folder.glob("*_energy.json")))


def test_energy_covers_exactly_the_timed_repeats(record, meter, capsys):
    before = record.read_bytes()
    assert run(["energy", "join", str(record), str(meter), "--idle", iso(START - 90), iso(START - 10)]) == 0
    old, new = results.read(record), results.read(joined_file(record.parent))
    joules = 500 * 100 + 800 * 50
    assert new.energy.joules == pytest.approx(joules)
    assert new.energy.mean_power_w == pytest.approx(joules / 150)
    assert new.energy.idle_power_w == pytest.approx(100)
    assert new.energy.flops_per_watt == pytest.approx(2 * old.flop_count / joules)
    assert (new.energy.cover, new.energy.meters[0]["joined_to"]) == (["wall"], old.content_sha256)
    assert record.read_bytes() == before
    assert msgspec.structs.replace(new, energy=None, energy_reason=old.energy_reason, content_sha256="") == (
        msgspec.structs.replace(old, content_sha256="")
    )
    assert "GFLOPS/W" in capsys.readouterr().out


def test_a_second_join_takes_another_name_and_keeps_the_energy_before(record, meter, tmp_path):
    run(["energy", "join", str(record), str(meter)])
    first = joined_file(record.parent)
    assert run(["energy", "join", str(first), str(meter), "--clock-offset", "1"]) == 0
    second = results.read(record.parent / first.name.replace("_energy", "_energy2"))
    assert second.energy.meters[-1]["before"] == msgspec.to_builtins(results.read(first).energy)


def test_all_aspects_of_a_level_must_be_shown(record, meter):
    run(["energy", "join", str(record), str(meter)])
    energy = results.read(joined_file(record.parent)).energy
    assert energy.level.startswith("none")
    assert {line.partition(":")[0] for line in energy.missing} == {"level 1", "level 2", "level 3"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--cover", "moon"], "allowed: package"),
        (["--fraction", "2"], "--fraction"),
        (["--accuracy", "0"], "--accuracy"),
        (["--unit", "BTU"], "--unit"),
        (["--timezone", "Nowhere"], "time zone"),
        (["--idle", "2025-11-02T03:00", "2025-11-02T03:01"], "--timezone"),
        (["--idle", iso(START), iso(START - 1)], "not after its start"),
        (["--clock-offset", "86400"], "time zone"),
        (["--counter-max", "-1"], "--counter-max"),
    ],
)
def test_bad_options_are_one_line_and_exit_2(record, meter, capsys, options, said):
    assert run(["energy", "join", str(record), str(meter), *options]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and said in error
    assert not list(record.parent.glob("*_energy*"))


def test_a_log_takes_the_zone_that_its_meters_write_or_asks(tmp_path, capsys):
    log, meter, out = tmp_path / "hpl.log", tmp_path / "m.csv", tmp_path / "out"
    log.write_text(LOG)
    times = [datetime.fromtimestamp(START + i, UTC).astimezone() for i in range(-60, 160)]
    zone = datetime.fromisoformat("2025-11-02T00:00+01:00").tzinfo
    meter.write_text(
        "time,energy_j\n" + "".join(f"{t.astimezone(zone).isoformat()},{i * 20}\n" for i, t in enumerate(times))
    )
    assert run(["energy", "join", "--hpl-log", str(log), str(meter), "--output", str(out)]) == 0
    new = results.read(joined_file(out))
    assert new.energy.mean_power_w == pytest.approx(20)
    assert any("UTC+01:00" in line for line in new.energy.warnings)
    capsys.readouterr()
    assert run(["report", str(joined_file(out))]) == 0, "a log's record says nothing of memory and limits"
    assert "lu_fp64_foreign" in capsys.readouterr().out
    meter.write_text("time,energy_j\n" + "".join(f"{t.timestamp()},{i * 20}\n" for i, t in enumerate(times)))
    assert run(["energy", "join", "--hpl-log", str(log), str(meter), "--output", str(out)]) == 2
    assert "--timezone" in capsys.readouterr().err


def test_the_inventory_takes_energy_as_a_correction_once_and_in_any_order(record, meter, tmp_path):
    run(["energy", "join", str(record), str(meter)])
    old, new = results.read(record), results.read(joined_file(record.parent))

    def file(inventory, *given):
        return [o.what for o in submit(inventory, [Submission(r, "r.json", "NTU", "alpha") for r in given], NOW)]

    for name, orders in {
        "after": ([old], [new], [old], [new]),
        "together": ([old, new], [new, old]),
        "before": ([new], [old]),
    }.items():
        with Inventory(str(tmp_path / f"{name}.db")) as inventory:
            inventory.init()
            outcomes = [what for order in orders for what in file(inventory, *order)]
        assert outcomes.count("filed") == (1 if name == "before" else 2)
        assert outcomes[1 if name == "before" else 2 :] == ["already filed"] * (1 if name == "before" else 2)


def test_a_filed_run_with_other_figures_is_still_refused(record, meter, tmp_path):
    run(["energy", "join", str(record), str(meter)])
    new = results.read(joined_file(record.parent))
    forged = msgspec.structs.replace(new, device="another")
    forged = results.from_document(results.to_document(forged))
    with Inventory(str(tmp_path / "i.db")) as inventory:
        inventory.init()
        both = [Submission(r, "r.json", "NTU", "alpha") for r in (results.read(record), forged)]
        assert [o.what for o in submit(inventory, both, NOW)] == ["not filed", "refused"]
        submit(inventory, both[:1], NOW)
        (outcome,) = submit(inventory, [Submission(forged, "r.json", "NTU", "alpha")], NOW)
    assert outcome.refused and "other content" in outcome.reasons[0]


def test_a_report_shows_the_joined_energy_in_every_form(record, meter, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    run(["energy", "join", str(record), str(meter), "--idle", iso(START - 90), iso(START - 10)])
    path, page = joined_file(record.parent), tmp_path / "r.html"
    energy = results.read(path).energy
    efficiency = f"{energy.flops_per_watt / 1e6:.1f} MFLOPS/W"
    cover = f"energy: covers wall; level: {energy.level}"
    capsys.readouterr()
    assert run(["report", str(path), "--html", str(page)]) == 0
    assert run(["report", str(path)]) == 0
    terminal = " ".join(capsys.readouterr().out.split())
    assert run(["report", str(path), "--markdown"]) == 0
    markdown = capsys.readouterr().out
    html = page.read_text(encoding="utf-8")
    for text, wanted in (
        (terminal, ["per watt", efficiency, cover]),
        (markdown, ["| per watt |", f"| {efficiency} |", cover]),
        (html, [">per watt</th>", f">{efficiency}</td>", cover]),
    ):
        assert [words for words in wanted if words not in text] == []


def test_a_report_takes_the_latest_join_of_a_run_in_whatever_order_its_records_come(record, meter):
    run(["energy", "join", str(record), str(meter)])
    first = joined_file(record.parent)
    run(["energy", "join", str(first), str(meter), "--clock-offset", "1"])
    second = first.with_name(first.name.replace("_energy", "_energy2"))
    assert [joins(results.read(path)) for path in (record, first, second)] == [0, 1, 2]
    for paths in itertools.permutations((record, first, second)):
        assert [one.content_sha256 for one in read_records(paths)] == [results.read(second).content_sha256]
    assert [one.energy is not None for one in read_records([first, record])] == [True]


def test_the_meters_of_a_real_system_give_its_published_efficiency(tmp_path, capsys):
    log = shared("data", "hpl-logs", "claix-2023-cpu-intel-mkl-hpl.log")
    meters = [shared("data", "energy", f"claix-2023-cpu-{name}.csv.gz") for name in ("pdus", "powermeter")]
    idle = ["--idle", "2024-04-24T03:00+02:00", "2024-04-24T05:00+02:00"]
    assert run(["energy", "join", "--hpl-log", str(log), *map(str, meters), *idle, "--output", str(tmp_path)]) == 0
    energy = results.read(joined_file(tmp_path)).energy
    assert energy.mean_power_w == pytest.approx(676_445.5, abs=0.05)
    assert energy.idle_power_w == pytest.approx(322_175.9, abs=0.05)
    assert energy.flops_per_watt == pytest.approx(4.632e9, abs=0.0005e9)
    out = capsys.readouterr().out
    assert "676.445 kW" in out and "4.632 GFLOPS/W" in out
