"""Clock, power and throttling of a product on a GPU: read (recorded values) in the timed runs, kept in the record, told in the table."""

import pytest
from flopbench_kernels import gemm_cupy
from flopbench_kernels.cuda import context

from flopbench.comm import SelfComm
from flopbench.gemm_measure import Rule, measure_gemm
from flopbench.gpu import nvml
from flopbench.kernel_api import GemmProblem
from flopbench.measure import Measurement
from flopbench.progress import Progress
from flopbench.report.rates import meters

from .test_nvml import NotSupported, card


@pytest.fixture
def measured(stand_in, monkeypatch):
    """Three repeats of one product over the stand-in, with the card that a test describes; gives what was seen."""
    monkeypatch.setattr(gemm_cupy, "BEYOND_L2_BYTES", 1)
    monkeypatch.setattr(context, "open_libraries", lambda: stand_in(pci_bus_id="0000:C1:00.0"))

    def run(open_card):
        problem = GemmProblem(64, 64, 64, "fp64")
        kernel = gemm_cupy.GemmFp64Cupy()
        kernel.setup(problem, SelfComm(), None)
        seen = Measurement()
        rule = Rule(budget_s=1.0, repeats=3, warm_up=False)
        measure_gemm(seen, [kernel], problem, SelfComm(), rule, Progress(quiet=True), open_card=open_card)
        kernel.close()
        return seen

    return run


def test_the_meters_are_read_during_each_timed_run_on_the_card_of_the_kernel(measured):
    asked = []

    def open_card(address):
        asked.append(address)
        return nvml.NvmlGpu.by_pci_bus_id(address, card())

    found = measured(open_card).gpu_meters
    assert asked == ["0000:C1:00.0"]
    assert found.samples >= 3
    assert found.mean_sm_clock_hz == found.min_sm_clock_hz == 1.755e9
    assert (found.mean_power_w, found.max_temperature_c) == (701.5, 61.0)
    assert found.throttled == {"software power cap": 1.0}


def test_what_a_card_does_not_tell_is_none_and_without_nvml_there_are_no_meters(measured):
    no = NotSupported()
    silent = {
        "nvmlDeviceGetPowerUsage": no,
        "nvmlDeviceGetFieldValues": no,
        "nvmlDeviceGetCurrentClocksEventReasons": 0,
    }
    found = measured(lambda address: nvml.NvmlGpu.by_pci_bus_id(address, card(**silent))).gpu_meters
    assert (found.mean_power_w, found.throttled) == (None, {})
    assert measured(lambda address: None).gpu_meters is None


def test_the_table_says_clock_power_and_what_throttled():
    from records import gemm_record

    from flopbench.results import GpuMeters, from_document, to_document

    seen = GpuMeters(
        samples=12, mean_sm_clock_hz=1.4e9, min_sm_clock_hz=1.3e9, mean_power_w=699.6, max_temperature_c=None,
        throttled={"software power cap": 0.75},
    )  # fmt: skip
    record = from_document(to_document(gemm_record(gpu_meters=seen)))
    assert record.gpu_meters == seen
    (line,) = meters([record])
    assert "mean SM clock 1400 MHz, mean power 700 W, software power cap in 75" in line
    assert "(12 readings)" in line
    assert meters([gemm_record()]) == []
