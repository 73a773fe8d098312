"""Meters that are files: opened once, read from the start, opened again when they fail or are taken away; how often they are read."""

import os

import pytest
from energy.trees import AMD, LAPTOP, set_energy, write_zones
from hypothesis import given
from hypothesis import strategies as st

from flopbench.energy import rapl
from flopbench.energy.bmc import SlowMeter
from flopbench.energy.meter import LARGEST_POWER_W, EnergyFile, Meter, MeterLost, PowerFile
from flopbench.energy.sampling import Sampler, turns
from flopbench.machine.source import Source


class Counting(Source):
    """A recorded host that keeps the descriptors it hands out."""

    def open(self, path):
        self.environ.setdefault("opened", []).append(super().open(path))
        return self.environ["opened"][-1]


@pytest.fixture
def power(tmp_path):
    """(a file with 250 W, its meter, the descriptors that reading has opened)."""
    (tmp_path / "power1_average").write_text("250000000\n")
    opened: list[int] = []
    meter = PowerFile(Counting(root=tmp_path, environ={"opened": opened}), "/power1_average", "hwmon", "node", 1e-6)
    yield tmp_path / "power1_average", meter, opened
    meter.close()


def test_a_file_is_opened_once_and_its_newest_number_is_read_each_time(power):
    path, meter, opened = power
    for watts in (250, 99, 1000):
        path.write_text(f"{watts}000000\n")  # the same file, as sysfs renews it
        assert meter.read() == watts
    assert len(opened) == 1


def test_a_descriptor_that_fails_is_replaced_once(power):
    _, meter, opened = power
    meter.read()
    os.close(opened[0])
    assert meter.read() == 250.0
    assert len(opened) == 2


def test_a_file_that_is_replaced_is_read_anew_and_one_that_is_gone_is_lost(power):
    path, meter, opened = power
    meter.read()
    path.with_suffix(".new").write_text("70000000\n")
    os.replace(path.with_suffix(".new"), path)
    assert meter.read() == 70.0
    path.unlink()
    with pytest.raises(MeterLost, match="/power1_average: No such file or directory"):
        meter.read()
    assert len(opened) == 2


def test_a_file_that_cannot_be_read_after_it_was_opened_is_lost_with_the_reason(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(MeterLost, match="/folder: Is a directory"):
        PowerFile(Source(root=tmp_path), "/folder", "hwmon", "node", 1e-6).read()


def test_the_end_of_a_run_closes_the_files_and_the_next_run_opens_them_again(power):
    _, meter, opened = power
    for run in (1, 2):
        sampler = Sampler([meter])
        sampler.start()
        sampler.stop()
        assert len(opened) == run
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(opened[-1])


def test_a_counter_is_read_once_a_second_and_oftener_only_where_it_would_wrap_twice(tmp_path):
    source = write_zones(tmp_path, AMD)
    (meter,) = rapl.find(source).meters
    assert meter.period_s == 1.0
    small = EnergyFile(source, "/x", "x", "package", 1.0, wrap_j=1000.0)
    assert small.period_s * LARGEST_POWER_W == pytest.approx(small.wrap_j / 2)


def test_power_files_are_read_five_times_a_second(power):
    assert power[1].period_s == pytest.approx(1 / 5)


@pytest.mark.parametrize(
    ("periods_s", "beat_s", "every"),
    [
        ([1.0], 1.0, [1]),
        ([1.0, 0.2], 0.2, [5, 1]),
        ([1.0, 1.0, 0.2, 0.3], 0.2, [5, 5, 1, 1]),
        ([0.7, 0.2], 0.2, [3, 1]),
    ],
)
def test_readings_of_several_meters_fall_together(periods_s, beat_s, every):
    assert turns(periods_s) == (beat_s, every)


@given(st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=12))
def test_no_meter_is_read_less_often_than_it_asks_for_and_none_oftener_than_the_shortest_period(periods_s):
    beat_s, every = turns(periods_s)
    assert beat_s == min(periods_s)
    for period_s, number in zip(periods_s, every, strict=True):
        assert number >= 1
        assert number * beat_s <= period_s * (1 + 1e-6)
        assert (number + 1) * beat_s > period_s * (1 - 1e-6)


def test_all_quick_meters_share_a_thread_and_each_slow_one_has_its_own(tmp_path, power):
    quick = [*rapl.find(write_zones(tmp_path, LAPTOP)).meters, power[1]]
    slow: list[Meter] = [SlowMeter("IPMI", lambda: 400.0), SlowMeter("Redfish", lambda: 410.0)]
    sampler = Sampler([*quick, *slow])
    sampler.start()
    number = len(sampler._threads)
    sampler.stop()
    assert number == 1 + len(slow)


def test_a_meter_that_is_lost_does_not_stop_the_others_of_its_thread(tmp_path, power):
    path, meter, _ = power
    (counter,) = rapl.find(write_zones(tmp_path, AMD)).meters
    path.unlink()
    sampler = Sampler([meter, counter])
    sampler.start()
    with sampler.region():
        set_energy(tmp_path, "intel-rapl:0", 7_000_000 + 50_000_000)
    sampler.stop()
    lost, energy = sampler.uses()
    assert (lost.joules, energy.joules) == (None, pytest.approx(50.0))
    assert "No such file" in lost.reason
