"""Readings become joules: wrap-around, resets, files that vanish, power that is integrated. The clock is a fake."""

import pytest
from energy.trees import AMD, RANGE_UJ, RAPL, set_energy, write_zones

from flopbench.energy import rapl
from flopbench.energy.meter import Meter
from flopbench.energy.sampling import Sampler, Track, integrate, use


class Clock:
    def __init__(self):
        self.seconds = 100.0

    def __call__(self):
        return self.seconds


class Power(Meter):
    quantity = "power"

    def __init__(self, watts):
        super().__init__("hwmon", "node")
        self.watts = watts

    def read(self):
        return self.watts


@pytest.fixture
def host(tmp_path):
    source = write_zones(tmp_path, AMD)
    clock = Clock()
    (meter,) = rapl.find(source).meters
    return tmp_path, clock, Sampler([meter], clock)


def test_energy_of_a_region_is_the_counter_s_difference_over_it(host):
    root, clock, sampler = host
    with sampler.region():
        clock.seconds += 10
        set_energy(root, "intel-rapl:0", 7_000_000 + 850_000_000)
    (found,) = sampler.uses()
    assert found.joules == pytest.approx(850.0)


def test_energy_between_regions_is_not_counted(host):
    root, clock, sampler = host
    counter = 7_000_000
    for inside, between in ((100, 5000), (200, 7000)):
        with sampler.region():
            clock.seconds += 1
            counter += inside * 1_000_000
            set_energy(root, "intel-rapl:0", counter)
        clock.seconds += 20
        counter += between * 1_000_000
        set_energy(root, "intel-rapl:0", counter)
    assert sampler.uses()[0].joules == pytest.approx(300.0)


def test_a_counter_that_wraps_once_is_followed(host):
    root, clock, sampler = host
    set_energy(root, "intel-rapl:0", RANGE_UJ - 40_000_000)
    with sampler.region():
        clock.seconds += 1
        set_energy(root, "intel-rapl:0", 60_000_000)
    assert sampler.uses()[0].joules == pytest.approx(100.0)


def test_a_counter_that_is_reset_gives_no_energy_and_says_so(host):
    root, clock, sampler = host
    set_energy(root, "intel-rapl:0", 90_000_000_000)
    with sampler.region():
        clock.seconds += 1
        set_energy(root, "intel-rapl:0", 5_000_000)
    (found,) = sampler.uses()
    assert found.joules is None
    assert "reset" in found.reason


def test_a_file_that_vanishes_during_the_run_gives_no_energy_and_says_which(host):
    root, clock, sampler = host
    with sampler.region():
        clock.seconds += 1
        (root / RAPL / "intel-rapl:0/energy_uj").unlink()
    (found,) = sampler.uses()
    assert found.joules is None
    assert "energy_uj: No such file" in found.reason


@pytest.mark.parametrize("text", ["", "n/a"])
def test_a_file_that_holds_no_number_is_a_meter_that_is_lost(host, text):
    root, clock, sampler = host
    with sampler.region():
        clock.seconds += 1
        (root / RAPL / "intel-rapl:0/energy_uj").write_text(text)
    assert "not a number" in sampler.uses()[0].reason


def test_power_is_integrated_over_the_readings_inside_the_region():
    clock = Clock()
    meter = Power(100.0)
    track = Track(meter, clock)
    for at, watts in ((99.0, 900.0), (101.0, 100.0), (102.0, 200.0), (103.0, 200.0), (105.0, 900.0)):
        clock.seconds, meter.watts = at, watts
        track.take()
    found = use(track, [(100.0, 104.0)])
    assert found.joules == pytest.approx(100 + 150 + 200 + 200)
    assert found.readings == 3


def test_too_few_power_readings_in_a_run_are_no_energy():
    clock = Clock()
    track = Track(Power(100.0), clock)
    track.take()
    found = use(track, [(100.0, 100.1)])
    assert found.joules is None
    assert "1 readings in 0.10 s" in found.reason


def test_constant_power_over_any_readings_is_power_times_time():
    assert integrate([1.0, 1.5, 4.0], [50.0, 50.0, 50.0], 0.0, 6.0) == pytest.approx(300.0)


def test_the_reading_threads_end_with_the_run(host):
    _, _, sampler = host
    sampler.start()
    threads = list(sampler._threads)
    sampler.stop()
    assert threads
    assert not any(thread.is_alive() for thread in threads)
