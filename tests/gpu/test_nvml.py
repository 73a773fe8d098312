"""NVML from recorded values: units, fallbacks, cards that do not tell, slices, a counter that goes back."""

from types import SimpleNamespace

import pytest

from flopbench.gpu import nvml


class Error(Exception):
    pass


class NotSupported(Error):
    pass


def card(**answers):
    """pynvml as one card answers it. A value that is an exception is raised; a call that is left out does not exist in this binding."""
    calls = {
        "nvmlInit": None,
        "nvmlDeviceGetHandleByPciBusId": "handle",
        "nvmlDeviceGetClockInfo": lambda handle, kind: {1: 1755, 2: 2619}[kind],
        "nvmlDeviceGetMaxClockInfo": lambda handle, kind: {1: 1980, 2: 2619}[kind],
        "nvmlDeviceGetPowerUsage": 688_123,
        "nvmlDeviceGetFieldValues": [SimpleNamespace(nvmlReturn=0, value=SimpleNamespace(uiVal=701_500))],
        "nvmlDeviceGetTemperature": 61,
        "nvmlDeviceGetCurrentClocksEventReasons": 0x4,
        "nvmlDeviceGetTotalEnergyConsumption": 123_456_789,
        "nvmlDeviceGetEccMode": [1, 1],
        "nvmlDeviceGetMigMode": [0, 0],
        "nvmlDeviceGetComputeRunningProcesses": [SimpleNamespace(pid=11), SimpleNamespace(pid=12)],
        **answers,
    }

    def call(answer):
        def answered(*args):
            if isinstance(answer, Exception):
                raise answer
            return answer(*args) if callable(answer) else answer

        return answered

    functions = {name: call(answer) for name, answer in calls.items() if answer != "absent"}
    return SimpleNamespace(NVMLError=Error, NVML_CLOCK_SM=1, NVML_CLOCK_MEM=2, **functions)


def open_card(**answers):
    return nvml.NvmlGpu.by_pci_bus_id("0000:01:00.0", card(**answers))


def test_milliwatts_millijoules_and_megahertz_become_si():
    gpu = open_card()
    reading = gpu.read()
    assert (reading.sm_hz, reading.memory_hz, reading.power_w, reading.temperature_c) == (1.755e9, 2.619e9, 701.5, 61.0)
    assert gpu.energy_j() == pytest.approx(123_456.789)
    assert (gpu.ecc(), gpu.mig(), gpu.max_sm_hz(), gpu.other_processes(11)) == (True, False, 1.98e9, 1)


@pytest.mark.parametrize(
    "field",
    [NotSupported(), "absent", [SimpleNamespace(nvmlReturn=3, value=SimpleNamespace(uiVal=0))]],
    ids=["not supported", "old binding", "field not supported"],
)
def test_without_the_instant_power_the_averaged_one_is_taken(field):
    assert open_card(nvmlDeviceGetFieldValues=field).power_w() == 688.123


@pytest.mark.parametrize("new", [NotSupported(), "absent"])
def test_an_old_driver_tells_throttling_under_the_old_name(new):
    gpu = open_card(nvmlDeviceGetCurrentClocksEventReasons=new, nvmlDeviceGetCurrentClocksThrottleReasons=0x40)
    assert gpu.read().reasons == 0x40


def test_what_a_geforce_or_a_slice_does_not_tell_is_none_and_the_rest_is_there():
    no = NotSupported()
    gpu = open_card(
        nvmlDeviceGetPowerUsage=no, nvmlDeviceGetFieldValues=no, nvmlDeviceGetTotalEnergyConsumption=no,
        nvmlDeviceGetEccMode=no, nvmlDeviceGetMigMode=no, nvmlDeviceGetComputeRunningProcesses=no,
    )  # fmt: skip
    assert gpu.read().power_w is None
    assert gpu.read().sm_hz == 1.755e9
    assert (gpu.energy_j(), gpu.ecc(), gpu.mig(), gpu.other_processes(1)) == (None, None, False, None)
    assert open_card(nvmlDeviceGetMigMode=[1, 1]).mig() is True


def test_a_card_that_nvml_does_not_know_is_none():
    assert open_card(nvmlDeviceGetHandleByPciBusId=NotSupported()) is None
    assert open_card(nvmlInit=Error("driver not loaded")) is None


def test_the_card_is_looked_up_by_its_pci_address():
    asked = []
    nvml.NvmlGpu.by_pci_bus_id("0000:C1:00.0", card(nvmlDeviceGetHandleByPciBusId=asked.append))
    assert asked == [b"0000:C1:00.0"]


def reading(sm=1.5e9, power=500.0, heat=60.0, reasons=0):
    return nvml.Reading(sm, 2e9, power, heat, reasons)


def test_a_summary_has_means_shares_of_throttling_and_the_counters_difference():
    seen = nvml.summarise([reading(), reading(1.3e9, 700.0, 70.0, 0x4 | 0x20), reading(reasons=0x1)], 10.0, 25.5)
    assert seen.samples == 3
    assert seen.mean_sm_hz == pytest.approx(4.3e9 / 3)
    assert (seen.min_sm_hz, seen.max_temperature_c, seen.energy_j) == (1.3e9, 70.0, 15.5)
    assert seen.mean_power_w == pytest.approx(1700 / 3)
    assert seen.throttled == {
        "software power cap": pytest.approx(1 / 3),
        "software thermal slowdown": pytest.approx(1 / 3),
    }


def test_a_counter_that_went_back_or_is_missing_gives_no_energy():
    assert nvml.summarise([reading()], 25.0, 10.0).energy_j is None
    assert nvml.summarise([reading()], None, 10.0).energy_j is None


def test_readings_without_numbers_give_no_numbers():
    seen = nvml.summarise([nvml.Reading(None, None, None, None, None)], None, None)
    assert (seen.mean_sm_hz, seen.mean_power_w, seen.max_temperature_c, seen.throttled) == (None, None, None, {})


def test_a_sampler_reads_at_least_once_however_short_the_run():
    sampler = nvml.Sampler(open_card(), interval_s=10.0)
    sampler.start()
    seen = sampler.stop()
    assert seen.samples >= 1
    assert seen.energy_j == 0.0
    assert seen.throttled == {"software power cap": 1.0}


def test_the_installed_binding_has_every_call_that_we_make():
    pynvml = pytest.importorskip("pynvml", reason="nvidia-ml-py is not installed here; .ci/gpu.sh runs this with it")
    for name in dir(card()):
        if name.startswith(("nvml", "NVML")):
            assert hasattr(pynvml, name), name
    assert (pynvml.NVML_CLOCK_SM, pynvml.NVML_CLOCK_MEM, pynvml.NVML_FI_DEV_POWER_INSTANT) == (1, 2, 186)
    assert hasattr(pynvml, "nvmlDeviceGetCurrentClocksThrottleReasons")


def test_an_address_where_no_card_is_gives_none():
    pytest.importorskip("pynvml", reason="nvidia-ml-py is not installed here; .ci/gpu.sh runs this with it")
    assert nvml.NvmlGpu.by_pci_bus_id("ffff:ff:1f.0") is None
