"""Results go in once, checked again; what is refused says why."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from records import gemm_record, hpl_record, machine

from flopbench import results
from flopbench.cli import run
from flopbench.errors import BadInput
from flopbench.inventory import checks, overview
from flopbench.inventory.store import Inventory
from flopbench.inventory.submit import Submission, submit
from flopbench.machine.model import Cpu
from flopbench.results import Efficiency, Rpeak, to_document

NOW = datetime(2026, 11, 3, tzinfo=UTC)


@pytest.fixture
def inventory(tmp_path: Path):
    with Inventory(str(tmp_path / "inventory.sqlite3")) as opened:
        opened.init()
        yield opened


def changed(record: results.Record, **changes) -> results.Record:
    """The record with other fields and a fitting hash: what a careful forger would write."""
    record = msgspec.structs.replace(record, **changes)
    return msgspec.structs.replace(record, content_sha256=to_document(record)["content_sha256"])


def file_one(inventory, record, **options):
    (outcome,) = submit(inventory, [Submission(record, "run.json", "NTU", "alpha")], NOW, **options)
    return outcome


def reasons(record) -> str:
    return "\n".join(checks.reasons_against(record, NOW))


def test_a_passed_record_is_filed_once(inventory):
    record = hpl_record()
    assert file_one(inventory, record).what == "filed"
    assert file_one(inventory, record).what == "already filed"
    with inventory.reading() as connection:
        (row,) = overview.machine_rows(connection)
    assert row.best.run_id == record.run_id
    assert row.best.standing == "verified"
    assert row.rmax == record.rmax_flops
    assert row.of_rpeak == pytest.approx(0.8)


def test_one_record_twice_in_one_command_is_filed_once(inventory):
    record = hpl_record()
    outcomes = submit(inventory, [Submission(record, "a", "NTU", "alpha")] * 2, NOW)
    assert [o.what for o in outcomes] == ["filed", "already filed"]


def test_the_whole_record_comes_back_as_it_went_in(inventory):
    from flopbench.inventory import history

    record = gemm_record()
    file_one(inventory, record)
    with inventory.reading() as connection:
        assert history.record(connection, record.run_id) == to_document(record)


def test_a_dry_run_files_nothing(inventory):
    assert file_one(inventory, hpl_record(), dry_run=True).what == "would be filed"
    with inventory.reading() as connection:
        assert overview.machine_rows(connection) == []


def test_one_refusal_holds_back_the_others_unless_told_to_keep_going(inventory):
    pair = [
        Submission(hpl_record(), "good", "NTU", "alpha"),
        Submission(changed(hpl_record(), flop_count=1.0), "bad", "NTU", "alpha"),
    ]
    assert [o.what for o in submit(inventory, pair, NOW)] == ["not filed", "refused"]
    assert [o.what for o in submit(inventory, pair, NOW, keep_going=True)] == ["filed", "refused"]


def test_a_run_with_other_content_under_the_same_id_is_refused(inventory):
    record = hpl_record()
    file_one(inventory, record)
    outcome = file_one(inventory, changed(record, threads_per_rank=1))
    assert outcome.what == "refused"
    assert "other content" in outcome.reasons[0]


def test_an_edited_digit_is_refused(tmp_path):
    path = results.write(hpl_record(), tmp_path)
    text = path.read_text()
    edited = text.replace('"threads_per_rank": 48', '"threads_per_rank": 49')
    assert edited != text
    path.write_text(edited)
    assert run(["submit", str(path), "--inventory", str(tmp_path / "i.db"), "--organisation", "NTU"]) == 2
    with pytest.raises(BadInput, match="altered"):
        results.read(path)


def test_a_record_of_a_newer_schema_says_which_flopbench_reads_it(tmp_path, capsys):
    Inventory(str(tmp_path / "i.db")).init()
    document = to_document(hpl_record())
    document["schema_version"] = results.SCHEMA_VERSION + 1
    document["flopbench"]["version"] = "9.9.0"
    path = tmp_path / "new.json"
    path.write_text(json.dumps(document))
    assert run(["submit", str(path), "--inventory", str(tmp_path / "i.db")]) == 2
    assert "use flopbench 9.9.0 or newer" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: changed(hpl_record(), flop_count=hpl_record().flop_count * 1.001), "2/3 n^3 + 3/2 n^2"),
        (lambda: changed(hpl_record(), rmax_flops=1.6e12), "shortest of 3 times"),
        (lambda: changed(hpl_record(), unit="OP/s"), "counted in FLOP/s"),
        (lambda: changed(hpl_record(), kernel="gemm_fp64_numpy"), "is not for lu"),
        (lambda: changed(hpl_record(), run_id="../../etc/passwd"), "UUID"),
        (lambda: changed(hpl_record(), precision="fp128"), "unknown precision"),
        (
            lambda: changed(hpl_record(), time_start_utc="2031-01-01T00:00:00Z", time_end_utc="2031-01-01T01:00:00Z"),
            "future",
        ),
        (lambda: changed(hpl_record(), time_start_utc="1970-01-01T00:00:00Z"), "clock"),
        (lambda: changed(hpl_record(), time_end_utc="2026-11-02T03:04:06Z"), "the repeats take"),
        (lambda: changed(hpl_record(), time_end_utc="2026-11-01T00:00:00Z"), "before it starts"),
        (lambda: changed(hpl_record(), time_start_utc="yesterday"), "not a date"),
        (lambda: changed(hpl_record(), time_start_utc="2026-11-02T03:04:05"), "time zone"),
    ],
)
def test_what_cannot_be_is_refused_with_its_reason(make, words):
    assert words in reasons(make())


def test_a_lower_rpeak_needs_an_explanation():
    low = Rpeak(flops=1e12, convention="base clock", spec="x", source="y")
    record = changed(hpl_record(), rpeak=low, efficiency=Efficiency(of_rpeak=1.5, of_ceiling=None))
    assert "--explain" in reasons(record)
    assert checks.reasons_against(record, NOW, "turbo clock") == []


@pytest.mark.parametrize("name", ["residual_inf", "a_inf", "x_inf", "eps", "n"])
def test_a_changed_ingredient_does_not_give_the_residual(name):
    record = hpl_record()
    ingredients = dict(record.verification.ingredients)
    ingredients[name] = ingredients[name] * 2
    verification = msgspec.structs.replace(record.verification, ingredients=ingredients)
    assert reasons(changed(record, verification=verification))


def test_a_lax_threshold_is_refused():
    record = hpl_record()
    verification = msgspec.structs.replace(record.verification, threshold=1e6)
    assert "HPL's threshold is 16" in reasons(changed(record, verification=verification))


def test_a_failed_run_is_never_filed():
    record = hpl_record()
    failed = msgspec.structs.replace(record.verification, verdict="FAILED", reason="residual 1e9")
    assert "only PASSED" in reasons(changed(record, verification=failed, rmax_flops=None))


def test_the_factory_makes_records_that_nothing_speaks_against():
    for record in (hpl_record(), gemm_record(), gemm_record(precision="int8"), gemm_record(precision="fp64")):
        assert checks.reasons_against(record, NOW) == []


def test_another_processor_is_not_the_machine_that_was_entered(inventory):
    file_one(inventory, hpl_record())
    other = machine(cpu=Cpu(architecture="x86_64", model_name="Intel Xeon Platinum 8480+", sockets=2, cores=112))
    outcome = file_one(inventory, hpl_record(machine=other))
    assert outcome.what == "refused"
    assert "8480" in " ".join(outcome.reasons)


def test_an_unknown_machine_needs_an_owner(inventory):
    (outcome,) = submit(inventory, [Submission(hpl_record(), "a")], NOW)
    assert "--organisation" in outcome.reasons[0]
    (outcome,) = submit(inventory, [Submission(hpl_record(), "a", "NTU")], NOW)
    assert outcome.what == "filed"
    (outcome,) = submit(inventory, [Submission(hpl_record(), "a")], NOW)
    assert outcome.what == "filed", "the machine is known by its host name now"


def test_what_cannot_be_filed_now_waits_and_is_sent_later(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("FLOPBENCH_PENDING", str(tmp_path / "pending"))
    record = hpl_record(time_start_utc="2026-11-02T03:04:05Z")
    path = results.write(record, tmp_path)
    where = str(tmp_path / "later.db")
    assert run(["submit", str(path), "--inventory", where, "--organisation", "NTU"]) == 4
    assert "--pending" in capsys.readouterr().err
    assert run(["submit", "--pending"]) == 4
    Inventory(where).init()
    assert run(["submit", "--pending"]) == 0
    assert f"run {record.run_id}" in capsys.readouterr().out
    assert list((tmp_path / "pending").iterdir()) == []
    assert run(["submit", str(path), "--inventory", where]) == 0
    assert "already filed" in capsys.readouterr().out


def test_a_damaged_waiting_file_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("FLOPBENCH_PENDING", str(tmp_path))
    (tmp_path / f"{uuid.uuid4()}.json").write_text("{")
    assert run(["submit", "--pending"]) == 2
    assert str(tmp_path) in capsys.readouterr().err


def test_json_says_what_became_of_each_record(tmp_path, capsys):
    where = str(tmp_path / "i.db")
    Inventory(where).init()
    path = results.write(hpl_record(), tmp_path)
    assert run(["submit", str(path), "--inventory", where, "--organisation", "NTU", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["submissions"]
    assert row["outcome"] == "filed"
