"""`flopbench info` and `flopbench kernels`: what they say of recorded hosts, and of this one."""

import json
from pathlib import Path

import msgspec
import pytest

from flopbench import kernel_list
from flopbench.cli import run
from flopbench.errors import BadInput
from flopbench.info import NOT_MEASURED, gather
from flopbench.kernel_api import Kernel
from flopbench.machine.source import Source
from flopbench.report.machine_text import info_lines, kernel_lines
from flopbench.results import Ceiling

HOSTS = Path(__file__).parent / "hosts"


def fake_ceilings(names, threads, machine):
    return {
        name: Ceiling(flops=1e9 * threads, method=f"fake {name}") if name == "fp64" else "no loop" for name in names
    }


def test_a_known_machine_has_rpeak_with_convention_and_the_ceiling_beside_it(recorded_host):
    machine = recorded_host(HOSTS / "broadwell-2s28c2t.host")[1]
    info = gather(True, machine, fake_ceilings)
    fp64 = next(row for row in info.rates if (row.precision, row.device) == ("fp64", "cpu"))
    assert fp64.rpeak.flops == pytest.approx(28 * 2.4e9 * 16)
    assert fp64.rpeak.convention and fp64.rpeak.source
    assert fp64.ceiling.flops == 28e9
    assert info.specs[0].name is not None
    text = "\n".join(info_lines(info))
    assert "1.075 TFLOPS" in text and "28.00 GFLOPS" in text and fp64.rpeak.convention.split()[0] in text


def test_a_generic_name_gives_no_rpeak_but_the_reason_a_guess_and_a_ceiling(recorded_host):
    machine = recorded_host(HOSTS / "guess_sapphirerapids-1s2c1t-kvm.host")[1]
    info = gather(True, machine, fake_ceilings)
    fp64 = info.rates[0]
    assert fp64.rpeak is None and "names no model" in fp64.rpeak_reason and "guess" in fp64.rpeak_reason
    assert fp64.ceiling.flops == 2e9
    text = "\n".join(info_lines(info))
    assert "a guess" in text and "no clock in the" in text and "2.000 GFLOPS" in text


def test_gpus_get_rows_of_their_own(recorded_host):
    info = gather(False, recorded_host(HOSTS / "zen3-2s128c1t-a100.host")[1])
    fp64 = next(row for row in info.rates if (row.precision, row.device) == ("fp64", "cuda"))
    assert fp64.rpeak.flops == pytest.approx(4 * 19.5e12, rel=0.01)
    assert [spec.what for spec in info.specs] == ["cpu", "gpu 0", "gpu 1", "gpu 2", "gpu 3"]
    assert "processors only" in fp64.ceiling_reason


def test_without_measure_nothing_is_measured_and_that_is_said(recorded_host):
    def explode(*args):
        raise AssertionError("measured without being asked")

    info = gather(False, recorded_host(HOSTS / "zen-2s32c2t.host")[1], explode)
    assert {row.ceiling_reason for row in info.rates} == {NOT_MEASURED}


@pytest.mark.parametrize("path", sorted(HOSTS.glob("*.host")), ids=lambda p: p.stem)
def test_every_recorded_host_can_be_shown_in_80_columns(path, recorded_host):
    lines = info_lines(gather(True, recorded_host(path)[1], fake_ceilings))
    too_wide = [line for line in lines if len(line) > 80 and " " in line.strip()[:60]]
    assert too_wide == []


def test_info_json_is_one_document(capsys):
    assert run(["info", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert set(document) == {"machine", "specs", "rates", "environment", "meters", "kernels"}
    assert document["machine"]["limits"]["usable_cores"] >= 1
    assert {row["precision"] for row in document["rates"]} >= {"fp64", "fp32", "int8"}
    assert any(entry["user_api"] == "blas" for entry in document["environment"]["blas"])


def test_the_meters_of_the_host_are_listed_and_each_absent_one_says_why(recorded_host, tmp_path):
    for file, text in {"name": "package-0", "energy_uj": "1", "max_energy_range_uj": "262143328850"}.items():
        path = tmp_path / "sys/class/powercap/intel-rapl:0" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    source = Source(root=tmp_path, runner=lambda command: None, environ={})
    info = gather(False, recorded_host(HOSTS / "zen-2s32c2t.host")[1], source=source)
    rows = {row.kind: row for row in info.meters}
    assert set(rows) == {"Cray pm_counters", "hwmon", "IPMI", "Redfish", "RAPL", "perf", "NVML"}
    (rapl,) = rows.pop("RAPL").meters
    assert (rapl.name, rapl.cover, rapl.quantity) == ("RAPL package-0", "package", "energy")
    assert all(not row.meters and row.why_not for row in rows.values())
    text = " ".join(" ".join(info_lines(info)).split())
    assert "RAPL package-0 (package, energy)" in text
    for kind, row in rows.items():
        assert f"{kind} none: {row.why_not}" in text


def test_a_bmc_that_may_take_seconds_is_not_asked_for_a_list(recorded_host, tmp_path, monkeypatch):
    def called(*arguments, **named):
        raise AssertionError("the BMC was called")

    monkeypatch.setattr("urllib.request.urlopen", called)
    source = Source(root=tmp_path, runner=lambda command: None, environ={"FLOPBENCH_REDFISH": "https://a:secret@bmc"})
    info = gather(False, recorded_host(HOSTS / "zen-2s32c2t.host")[1], source=source)
    (redfish,) = [row for row in info.meters if row.kind == "Redfish"]
    assert "not asked" in redfish.why_not
    assert "secret" not in redfish.why_not


def test_kernels_lists_every_registered_kernel_with_why_not(capsys):
    from flopbench.registry import installed

    assert run(["kernels", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["kernels"]
    assert {row["name"] for row in rows} == set(installed())
    assert run(["kernels"]) == 0
    text = capsys.readouterr().out
    for row in rows:
        assert row["name"] in text
        assert row["why_not"] is None or row["why_not"].split()[0] in text


class _Moody(Kernel):
    """Breaks the contract: why_not raises."""

    name, routine, precision, backend, summary = "gemm_fp64_moody", "gemm", "fp64", "moody", "raises"

    def why_not(self, machine):
        raise OSError("bad mood")

    memory_bytes = setup = reset = run = outcome = close = lambda self, *args: None


class _Entry:
    def __init__(self, outcome):
        self.outcome, self.package = outcome, "theirs"

    def load(self):
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


def test_a_broken_kernel_is_listed_with_what_is_broken(recorded_host):
    machine = recorded_host(HOSTS / "zen-2s32c2t.host")[1]
    entries = {"gemm_fp64_gone": _Entry(BadInput("cannot be imported: no x")), "gemm_fp64_moody": _Entry(_Moody)}
    rows = {row.name: row for row in kernel_list.rows(machine, entries)}
    assert "cannot be imported: no x" in rows["gemm_fp64_gone"].why_not
    assert rows["gemm_fp64_moody"].why_not == "its why_not raised OSError: bad mood"
    assert "bad mood" in "\n".join(kernel_lines(rows.values()))


def test_an_info_survives_json(recorded_host):
    from flopbench.info import Info

    info = gather(True, recorded_host(HOSTS / "a64fx-1s48c1t.host")[1], fake_ceilings)
    assert msgspec.json.decode(msgspec.json.encode(info), type=Info) == info
