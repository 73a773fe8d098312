"""`--energy` from the command line to the record, with a counter that adds 10 J at each reading and no waiting."""

import json

import pytest

from flopbench import run as run_hpl_module
from flopbench import run_gemm as run_gemm_module
from flopbench.cli import run
from flopbench.energy.measure import EnergyMeters
from flopbench.energy.meter import Found, Meter, MeterLost
from flopbench.energy.sampling import Sampler

HPL = ["hpl", "--n", "200", "--repeat", "2", "--energy", "--json"]
GEMM = ["gemm", "--precision", "fp64", "--backend", "numpy", "--n", "64", "--repeat", "3", "--energy", "--json"]


class Counter(Meter):
    quantity = "energy"
    period_s = 60.0  # so that only the ends of regions are read

    def __init__(self, good_readings=10**9):
        super().__init__("RAPL package-0", "package")
        self.readings, self.good = 0, good_readings

    def read(self):
        self.readings += 1
        if self.readings > self.good:
            raise MeterLost("energy_uj: No such file or directory")
        return 10.0 * self.readings


@pytest.fixture
def host(monkeypatch):
    """host(Found, ...): the machine has these meters."""

    def has(*found):
        def open_meters(comm, machine, device):
            def make(meters, now):
                return Sampler(meters, now, sleep=lambda seconds: None)

            return EnergyMeters(comm, machine.hostname, list(found), make=make)

        for module in (run_hpl_module, run_gemm_module):
            monkeypatch.setattr(module, "open_meters", open_meters)

    return has


def record_of(command, tmp_path, capsys):
    assert run([*command, "--output", str(tmp_path)]) == 0
    (record,) = json.loads(capsys.readouterr().out)["results"]
    assert record["verification"]["verdict"] == "PASSED"
    return record


@pytest.mark.parametrize("command", [HPL, GEMM], ids=["hpl", "gemm"])
def test_energy_covers_every_timed_repeat_and_nothing_else(command, host, tmp_path, capsys):
    host(Found("RAPL", (Counter(),)))
    record = record_of(command, tmp_path, capsys)
    energy, repeats = record["energy"], len(record["times_s"])
    assert repeats == int(command[command.index("--repeat") + 1])
    # a region has a reading at each end, 10 J apart; the sampling thread's first reading may fall inside one of them
    assert energy["joules"] in (10.0 * repeats, 10.0 * repeats + 10.0)
    assert energy["mean_power_w"] == pytest.approx(energy["joules"] / sum(record["times_s"]))
    assert energy["flops_per_watt"] == pytest.approx(record["flop_count"] * repeats / energy["joules"])
    assert energy["idle_power_w"] in (2.0, 4.0)
    assert (energy["cover"], energy["level"]) == (["package"], "none: component energy")
    assert record["energy_reason"] is None


@pytest.mark.parametrize(("command", "green500"), [(HPL, True), (GEMM, False)], ids=["hpl", "gemm"])
def test_runs_that_are_too_short_are_warned_of(command, green500, host, tmp_path, capsys):
    host(Found("RAPL", (Counter(),)))
    said = " ".join(record_of(command, tmp_path, capsys)["energy"]["warnings"])
    assert "10 s" in said
    assert ("Green500" in said) == green500


@pytest.mark.parametrize("command", [HPL, GEMM], ids=["hpl", "gemm"])
def test_without_a_meter_the_run_goes_on_and_says_why_each_is_absent(command, host, tmp_path, capsys):
    host(Found("RAPL", why_not="no counters"), Found("IPMI", why_not="no reading"))
    record = record_of(command, tmp_path, capsys)
    assert record["energy"] is None
    assert record["energy_reason"] == "no meter: RAPL: no counters; IPMI: no reading"


@pytest.mark.parametrize("command", [HPL, GEMM], ids=["hpl", "gemm"])
def test_a_meter_that_is_lost_during_the_run_costs_the_energy_and_not_the_rate(command, host, tmp_path, capsys):
    host(Found("RAPL", (Counter(good_readings=5),)))
    record = record_of(command, tmp_path, capsys)
    assert record["rmax_flops"] > 0
    assert record["energy"] is None
    assert record["energy_reason"] == "energy_uj: No such file or directory"
