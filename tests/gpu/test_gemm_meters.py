"""Clock, power and throttling of a product on a GPU: read (recorded values) in the timed runs, kept in the record, told in the table."""

from datetime import UTC, datetime, timedelta

import pytest
from flopbench_kernels import gemm_cupy
from flopbench_kernels.cuda import context
from records import gemm_record
from rich.console import Console

from flopbench.comm import SelfComm
from flopbench.gemm_measure import Rule, measure_gemm
from flopbench.gpu import nvml
from flopbench.kernel_api import GemmProblem
from flopbench.measure import Measurement
from flopbench.progress import Progress
from flopbench.report import assemble, meters
from flopbench.report.terminal import print_table
from flopbench.results import GpuMeters, Problem, from_document, to_document

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


def gpu_record(seconds: float = 0.1, repeats: int = 10, pause: float = 0.0, **changes):
    """A product on a GPU: after the first repeat a second for the check, between the others `pause`."""
    start = datetime(2026, 11, 27, tzinfo=UTC)
    begins = [0.0] + [seconds + 1.0 + place * (seconds + pause) for place in range(repeats - 1)]
    ends = [tuple((start + timedelta(seconds=at)).isoformat() for at in (begin, begin + seconds)) for begin in begins]
    fields = {
        "kernel": "gemm_fp16_cupy_acc16",
        "device": "cuda",
        "times_s": [seconds] * repeats,
        "run_times_utc": ends,
        "gpu_meters": SEEN,
    }
    return from_document(to_document(gemm_record(**{**fields, **changes})))


SEEN = GpuMeters(
    samples=12,
    mean_sm_clock_hz=1.4e9,
    min_sm_clock_hz=1.3e9,
    mean_power_w=699.6,
    max_temperature_c=None,
    throttled={"software power cap": 0.75},
)


def test_the_table_says_clock_power_busy_share_and_what_throttled_in_a_row_each():
    table = meters.meter_table([gpu_record()])
    assert table.rows == (("gemm_fp16_cupy_acc16", "8000", "1400 MHz", "700 W", "100%", "12", "power cap 75%"),)
    assert meters.meter_table([gemm_record()]) is None


@pytest.mark.parametrize(
    ("record", "power"),
    [
        (gpu_record(0.1, 5), 699.6),
        (gpu_record(0.1, 4), None),
        (gpu_record(0.013, 1), None),
        (gpu_record(0.1, 10, pause=0.03), 699.6),
        (gpu_record(0.1, 10, pause=0.04), None),
        (gpu_record(0.6, 1), 699.6),
        (gpu_record(gpu_meters=None), None),
        (gpu_record(run_times_utc=[]), None),
    ],
)
def test_a_power_is_told_after_half_a_second_of_runs_that_fill_three_quarters_of_the_time(record, power):
    assert meters.power_w(record) == power


def test_what_is_too_short_says_so_and_the_record_keeps_what_was_read():
    record = gpu_record(0.013, 1)
    table = meters.meter_table([record])
    assert table.rows[0][3] == "too short"
    assert "too short to tell: under 0.5 s" in table.notes[-1]
    assert record.gpu_meters.mean_power_w == 699.6


def test_the_short_table_has_a_row_a_kernel_its_fastest_size_with_a_power():
    slow, fast = (
        gpu_record(rmax_flops=1e12, problem=Problem(n=4096, m=4096, k=4096, seed=1)),
        gpu_record(rmax_flops=2e12),
    )
    fastest_but_short = gpu_record(0.01, 2, rmax_flops=3e12, problem=Problem(n=512, m=512, k=512, seed=1))
    other = gpu_record(0.01, 2, kernel="gemm_fp64_cupy")
    rows = meters.meter_table([slow, fastest_but_short, fast, other], best_only=True).rows
    assert [(row[0], row[1], row[3]) for row in rows] == [
        ("gemm_fp16_cupy_acc16", "8000", "700 W"),
        ("gemm_fp64_cupy", "8000", "too short"),
    ]


def test_both_tables_keep_to_80_columns_and_a_report_has_every_run(capsys):
    records = [gpu_record(), gpu_record(0.01, 2, problem=Problem(n=16384, m=16384, k=16384, seed=1))]
    print_table(meters.meter_table(records, best_only=True), Console(width=80))
    lines = capsys.readouterr().out.splitlines()
    (row,) = [line for line in lines if "gemm_fp16" in line]
    assert row.rstrip().endswith("power cap 75%")
    assert max(map(len, lines)) <= 80
    last = assemble.assemble(records).results[0].tables[-1]
    assert (last.title, len(last.rows)) == ("GPU during the timed runs (NVML)", 2)


def test_a_power_read_right_after_a_pause_does_not_count_where_there_are_others():
    watts = iter([120.0, 650.0, 700.0])
    gpu = nvml.NvmlGpu(None, None)
    gpu.read = lambda: nvml.Reading(None, None, next(watts), None, None)
    sampler = nvml.Sampler(gpu, interval_s=3600.0)
    for settled, mean in ((False, 120.0), (True, 650.0), (True, 675.0)):
        sampler.resume(settled)
        sampler.pause()
        assert sampler.of_runs().mean_power_w == mean
    assert sampler.of_runs().samples == 3
