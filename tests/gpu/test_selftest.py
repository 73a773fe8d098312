"""The self-test over the stand-in: its items pass on a sound GPU, and each fails on the fault that it is there for."""

import json

import numpy as np
import pytest
from flopbench_kernels import gemm_cupy
from flopbench_kernels.device import cuda

from flopbench import cli
from flopbench.errors import BadInput
from flopbench.gpu import nvml, probe
from flopbench.gpu_selftest import resources, suite, surroundings
from flopbench.gpu_selftest.bench import SMALL, Bench
from flopbench.gpu_selftest.stand_in import blas
from flopbench.gpu_selftest.stand_in.libraries import StandIn
from flopbench.gpu_selftest.stand_in.memory import Arena


@pytest.fixture
def bench(monkeypatch):
    """A bench whose GPU is the stand-in, with small buffers."""
    monkeypatch.setattr(gemm_cupy, "BEYOND_L2_BYTES", 1)
    monkeypatch.setattr(gemm_cupy, "WORKSPACE_BYTES", 0)
    monkeypatch.setattr(cuda, "SCRATCH", 1 << 12)
    monkeypatch.setattr(cuda, "INDEX_CAPACITY", 512)
    return Bench(lambda: StandIn(policy="lazy", capacity=64 << 20), sizes=SMALL, real=False)


def verdict(bench, number):
    return suite.run(bench, [number], lambda entry: None)["items"][0]


ON_THE_STAND_IN = {1: "PASSED", 9: "SKIPPED", 11: "SKIPPED", 12: "SKIPPED", 14: "SKIPPED", 15: "SKIPPED"}


@pytest.mark.parametrize("number", suite.ITEMS)
def test_every_item_comes_to_a_verdict_on_a_sound_gpu(number, bench):
    entry = verdict(bench, number)
    assert entry["verdict"] == ON_THE_STAND_IN.get(number, "PASSED"), entry["reason"]
    assert entry["reason"]
    assert "\n" not in entry["reason"]


def wrong_tf32(monkeypatch):
    honest = blas.Cublas.gemmEx
    monkeypatch.setattr(
        blas.Cublas, "gemmEx", lambda s, *a: honest(s, *a[:-2], 77 if a[-2] == 68 and a[8] == 0 else a[-2], a[-1])
    )


def wrong_halves(monkeypatch):
    """Products of halves are summed in halves whatever was asked for."""
    honest = blas._product
    monkeypatch.setattr(blas, "_product", lambda a, b, kind, compute: honest(a, b, kind, 64 if kind == 2 else compute))


def wrong_tile(monkeypatch):
    """One element of every product is off by a thousandth of it."""
    honest = blas._product

    def product(a, b, kind, compute):
        c = honest(a, b, kind, compute)
        c[-1, -1] = c[-1, -1] * 2 + 1
        return c

    monkeypatch.setattr(blas, "_product", product)


def forgets_the_diagonal(monkeypatch):
    honest = blas.Cublas.dtrsm
    monkeypatch.setattr(
        blas.Cublas, "dtrsm", lambda s, h, side, uplo, trans, diag, *rest: honest(s, h, side, uplo, trans, 0, *rest)
    )


def leaks(monkeypatch):
    kept = []
    honest = StandIn.allocate
    monkeypatch.setattr(StandIn, "allocate", lambda s, size: (kept.append(honest(s, size)), kept[-1])[1])


def never_full(monkeypatch):
    honest = Arena.new

    def new(self, size, kind):
        self.capacity = 1 << 40
        return honest(self, size, kind)

    monkeypatch.setattr(Arena, "new", new)


def takes_every_leading_dimension(monkeypatch):
    monkeypatch.setattr(blas, "invalid_value", lambda: blas.CublasError(0, "SUCCESS"))


@pytest.mark.parametrize(
    ("fault", "number"),
    [
        (wrong_tf32, 2), (wrong_halves, 2), (wrong_tile, 3), (wrong_tile, 4), (takes_every_leading_dimension, 4),
        (forgets_the_diagonal, 7), (wrong_tile, 7), (leaks, 10), (wrong_tile, 16), (never_full, 17),
    ],
    ids=lambda v: getattr(v, "__name__", str(v)),
)  # fmt: skip
def test_an_item_fails_on_the_fault_that_it_is_there_for(fault, number, bench, monkeypatch):
    fault(monkeypatch)
    assert verdict(bench, number)["verdict"] == "FAILED"


def test_an_item_that_raises_is_failed_with_the_reason_and_the_others_still_run(bench, monkeypatch):
    def broken(bench):
        raise RuntimeError("the GPU\nfell off the bus")

    monkeypatch.setitem(suite.ITEMS, 2, ("arithmetic identity", broken))
    told = []
    document = suite.run(bench, [1, 2, 16], told.append)
    assert [entry["verdict"] for entry in document["items"]] == ["PASSED", "FAILED", "PASSED"]
    assert document["items"][1]["reason"] == "RuntimeError: the GPU fell off the bus"
    assert (document["verdict"], len(told)) == ("FAILED", 3)


def test_emulation_in_the_environment_fails_the_first_item(bench, monkeypatch):
    monkeypatch.setenv("CUBLAS_EMULATE_DOUBLE_PRECISION", "1")
    entry = verdict(bench, 1)
    assert entry["verdict"] == "FAILED"
    assert "CUBLAS_EMULATE_DOUBLE_PRECISION=1" in entry["reason"]


GOOD = {
    "wall": [1.01, 1.011, 1.009],
    "events": [1.0, 1.001, 0.999],
    "half": [0.125],
    "rates": {"gemm_fp64_cupy": 50.0},
    "peaks": {"fp64": 67.0},
}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({}, None),
        ({"wall": [1.5, 1.5, 1.5]}, "wall clock 50.0% above the events"),
        ({"wall": [0.9, 0.9, 0.9]}, "wall clock -10.0% above"),
        ({"half": [0.5]}, "2.0 times as long, not 8"),
        ({"events": [1.0, 1.2, 0.9]}, "times scatter by"),
        ({"rates": {"gemm_fp64_cupy": 70.0}}, "gemm_fp64_cupy at 104% of its peak"),
        ({"rates": {"gemm_fp64_cupy": 20.0}}, "gemm_fp64_cupy at 30% of its peak"),
        ({"peaks": {}}, None),
    ],
)
def test_times_are_judged(change, complaint):
    finding = resources.judge_timing(**{**GOOD, **change})
    assert finding.verdict == ("FAILED" if complaint else "PASSED")
    assert complaint is None or complaint in finding.reason


def test_meters_are_judged():
    idle = nvml.Reading(2e8, 1e9, 100.0, 40.0, 1)
    good = nvml.Summary(200, 1.7e9, 1.6e9, 600.0, 60.0, 6000.0)
    assert surroundings.judge_meters(idle, 10.0, good).verdict == "PASSED"
    for changed, complaint in (
        (nvml.Summary(200, 1.7e9, 1.6e9, 600.0, 60.0, 9000.0), "energy counter 9000 J, power x time 6000 J"),
        (nvml.Summary(200, 1700.0, 1600.0, 600.0, 60.0, 6000.0), "mean SM clock"),
        (nvml.Summary(200, 1.7e9, 1.6e9, 90.0, 60.0, 900.0), "90 W under load, 100 W before"),
    ):
        finding = surroundings.judge_meters(idle, 10.0, changed)
        assert finding.verdict == "FAILED"
        assert complaint in finding.reason
    nothing = nvml.Summary(5, None, None, None, None, None)
    assert surroundings.judge_meters(nvml.Reading(None, None, None, None, None), 10.0, nothing).verdict == "PASSED"


def test_items_are_chosen_by_number_and_range():
    assert suite.chosen(None) == list(range(1, 18))
    assert suite.chosen("3, 1,5-7,6") == [1, 3, 5, 6, 7]
    for bad in ("0", "18", "a", "", "7-5", "1,,2"):
        with pytest.raises(BadInput, match="--only"):
            suite.chosen(bad)


def test_the_document_is_json_with_all_that_an_answer_needs(bench, tmp_path):
    document = suite.run(bench, [1, 2], lambda entry: None)
    path = suite.write(document, tmp_path / "new")
    read = json.loads(path.read_text())
    assert read["schema"] == suite.SCHEMA
    assert set(read) == {
        "schema",
        "flopbench",
        "time_start_utc",
        "time_end_utc",
        "machine",
        "verdict",
        "counts",
        "items",
    }
    assert set(read["items"][0]) == {"number", "title", "seconds", "verdict", "reason", "numbers"}
    assert read["items"][1]["numbers"]["errors"]["fp32"] < 1e-5


def test_numpys_numbers_are_written_as_plain_ones():
    assert suite.encode({"a": np.float64(1.5), "b": np.bool_(True), "c": np.int64(3)}) == b'{"a":1.5,"b":true,"c":3}'


def test_without_a_gpu_the_command_says_why_and_exits_with_4(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(probe, "why_not", lambda: "no device: the NVIDIA driver sees no GPU")
    assert cli.run(["gpu-selftest", "--json", "--output", str(tmp_path)]) == 4
    captured = capsys.readouterr()
    assert captured.out == ""
    assert (
        captured.err == "flopbench: the GPU self-test is not possible here: no device: the NVIDIA driver sees no GPU\n"
    )
    assert cli.run(["gpu-selftest", "--only", "99"]) == 2


def test_the_command_prints_the_document_and_its_code_says_the_verdict(bench, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(probe, "why_not", lambda: None)
    monkeypatch.setattr("flopbench_kernels.cuda.libraries.CupyLibraries", bench.open_libraries)
    monkeypatch.setattr("flopbench.gpu_selftest.bench.Bench", lambda libraries, index: bench)
    assert cli.run(["gpu-selftest", "--json", "--only", "1,16", "--output", str(tmp_path)]) == 0
    captured = capsys.readouterr()
    assert [item["number"] for item in json.loads(captured.out)["items"]] == [1, 16]
    assert "PASSED: 2 passed, 0 failed, 0 skipped" in captured.err
    assert len(list(tmp_path.iterdir())) == 1
