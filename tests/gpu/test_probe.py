"""Why a GPU cannot be used: one reason, the right one, and what to do."""

import pytest

from flopbench import cli
from flopbench.gpu import probe


class FakeDriver:
    def __init__(self, version=12040, status=0, devices=1):
        self._version, self._status, self._devices = version, status, devices

    def version(self):
        return self._version

    def init(self):
        return self._status

    def device_count(self):
        return self._devices


CUPY12 = {"cupy-cuda12x": "14.2.0"}


def look(wheels=CUPY12, **driver):
    return probe.probe(lambda: FakeDriver(**driver), lambda: wheels)


def no_driver():
    raise OSError("libcuda.so.1: cannot open shared object file")


def test_a_driver_a_device_and_cupy_make_a_gpu_usable():
    found = look()
    assert (found.why_not, found.devices, found.cuda, found.cupy) == (None, 1, 12040, "cupy-cuda12x 14.2.0")


def test_without_libcuda_there_is_no_driver_whatever_cupy_says():
    assert probe.probe(no_driver, lambda: CUPY12).why_not.startswith("no driver: libcuda.so.1")
    assert probe.probe(no_driver, dict).why_not.startswith("no driver: libcuda.so.1")


@pytest.mark.parametrize(
    ("driver", "wheels", "reason"),
    [
        ({"version": 11040}, CUPY12, "driver too old: it runs CUDA 11.4, cupy-cuda12x 14.2.0 needs 12.0"),
        ({"version": 12090}, {"cupy-cuda13x": "14.2.0"}, "needs 13.0; update the NVIDIA driver or install flopbench[cuda12]"),
        ({"status": 100}, CUPY12, "no device: the NVIDIA driver sees no GPU"),
        ({"devices": 0}, CUPY12, "no device: the NVIDIA driver sees no GPU"),
        ({"status": 34}, CUPY12, "no driver: libcuda.so.1 is the toolkit's stub"),
        ({"status": 803}, CUPY12, "driver broken: its library and its kernel module are of different versions"),
        ({"status": 999}, CUPY12, "driver broken: cuInit fails with CUresult 999"),
        ({}, {}, "CuPy not installed (pip install 'flopbench[cuda12]')"),
        ({"version": 13000}, {}, "CuPy not installed (pip install 'flopbench[cuda13]')"),
        ({}, {**CUPY12, "cupy-cuda13x": "14.2.0"}, "more than one CuPy installed"),
    ],
)  # fmt: skip
def test_each_obstacle_is_named_with_what_to_do(driver, wheels, reason):
    assert reason in look(wheels, **driver).why_not


def test_a_cuda_12_driver_of_any_minor_version_runs_the_cuda_12_wheel():
    assert look(version=12000).why_not is None
    assert look(version=13000).why_not is None


@pytest.mark.parametrize(
    "command", [["hpl", "--device", "cuda"], ["gemm", "--device", "cuda", "--json"]], ids=lambda c: c[0]
)
def test_device_cuda_without_a_gpu_exits_with_4_and_one_line_that_says_why(command, monkeypatch, capsys):
    monkeypatch.setattr(probe, "why_not", lambda: "no driver: libcuda.so.1 cannot be loaded")
    assert cli.run(command) == 4
    error = capsys.readouterr().err.strip()
    assert error.count("no driver: libcuda.so.1") == 1
    assert "\n" not in error
