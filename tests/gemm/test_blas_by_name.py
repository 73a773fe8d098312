"""Any BLAS library by path or name: found and called whatever its symbols and integers, and refused in one line if it is none."""

from __future__ import annotations

import ctypes
import os
import struct
from pathlib import Path

import numpy as np
import pytest
import scipy
from flopbench_kernels import blas_library
from flopbench_kernels.gemm_cblas import GemmFp32Cblas, GemmFp64Cblas, GemmInt8Cblas
from layout_cases import as_float

from flopbench import registry
from flopbench.comm import SelfComm
from flopbench.errors import BadInput
from flopbench.kernel_api import GemmProblem, Settings
from flopbench.machine.detect import detect

MACHINE = detect()


def bundled(package) -> str:
    """The OpenBLAS inside a wheel: NumPy's has 64-bit integers and suffixed symbols, SciPy's 32-bit integers."""
    folder = Path(package.__file__).parent.parent / f"{package.__name__}.libs"
    found = sorted(folder.glob("lib*openblas*.so*"))
    if not found:
        pytest.skip(f"no OpenBLAS in {folder}: this {package.__name__} is no wheel")
    return str(found[0])


@pytest.fixture(autouse=True)
def no_library_in_the_environment(monkeypatch):
    monkeypatch.delenv(blas_library.VARIABLE, raising=False)


@pytest.mark.parametrize("package", [np, scipy], ids=["64-bit integers", "32-bit integers"])
@pytest.mark.parametrize("beta", [0, 1])
@pytest.mark.parametrize("cls", [GemmFp64Cblas, GemmFp32Cblas])
def test_a_library_multiplies(cls, beta, package):
    kernel = cls(Settings(blas=bundled(package), threads=1))
    assert kernel.why_not(MACHINE) is None
    kernel.setup(GemmProblem(17, 31, 23, kernel.precision, beta=beta), SelfComm(), MACHINE)
    kernel.reset()
    kernel.run()
    seen = kernel.outcome()
    expected = seen.a.astype(float) @ seen.b.astype(float) + (seen.c0 if beta else 0.0)
    assert np.abs(seen.c - expected).max() < {"float64": 1e-13, "float32": 1e-4}[seen.accumulator]
    assert "gemm" in kernel.describe()["symbol"]
    kernel.close()
    kernel.close()


def test_fortran_symbols_are_enough():
    """A library with dgemm_ alone, as vendors ship it; the same routine under its other name."""
    kernel = GemmFp64Cblas(Settings(blas=bundled(scipy), threads=1))
    kernel._routine = kernel._library.routine("dgemm_")
    assert "cblas" not in kernel._routine[0]
    kernel.setup(GemmProblem(9, 5, 7, "fp64", beta=1), SelfComm(), MACHINE)
    kernel.reset()
    kernel.run()
    seen = kernel.outcome()
    assert np.abs(seen.c - (seen.a @ seen.b + seen.c0)).max() < 1e-14
    kernel.close()


def test_the_environment_variable_names_a_library_and_the_option_wins(monkeypatch):
    monkeypatch.setenv(blas_library.VARIABLE, bundled(np))
    assert GemmFp64Cblas().why_not(MACHINE) is None
    with pytest.raises(BadInput, match=r"^--blas /nowhere/libx\.so: no such file"):
        GemmFp64Cblas(Settings(blas="/nowhere/libx.so"))


def test_without_a_library_the_kernel_says_how_to_name_one():
    assert GemmFp64Cblas().why_not(MACHINE) == "needs a BLAS library: name one with --blas PATH or FLOPBENCH_BLAS"


def test_a_missing_low_precision_call_is_a_reason_not_an_error():
    reason = GemmInt8Cblas(Settings(blas=bundled(np))).why_not(MACHINE)
    assert reason.endswith("exports no cblas_gemm_s8s8s32 or cblas_gemm_s8u8s32")


def one_line(error: pytest.ExceptionInfo) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


def test_text_is_no_library(tmp_path):
    path = tmp_path / "libblas.so"
    path.write_text("hello")
    with pytest.raises(BadInput) as error:
        GemmFp64Cblas(Settings(blas=str(path)))
    assert "not a shared library (no ELF header)" in one_line(error)


def test_a_library_for_another_processor_is_named_as_such(tmp_path):
    other = 183 if MACHINE.cpu.architecture == "x86_64" else 62
    path = tmp_path / "libblas.so"
    path.write_bytes(b"\x7fELF" + bytes([2, 1, 1]) + bytes(9) + struct.pack("<HH", 3, other) + bytes(44))
    with pytest.raises(BadInput) as error:
        GemmFp64Cblas(Settings(blas=str(path)))
    name = "aarch64" if other == 183 else "x86_64"
    assert f"built for {name}, this is {MACHINE.cpu.architecture}" in one_line(error)


def test_a_cut_off_library_is_refused(tmp_path):
    path = tmp_path / "libblas.so"
    path.write_bytes(Path(bundled(np)).read_bytes()[:4096])
    with pytest.raises(BadInput) as error:
        GemmFp64Cblas(Settings(blas=str(path)))
    said = one_line(error)
    assert "cannot be loaded" in said or "ends in SIGBUS" in said


def test_a_library_without_dgemm_is_refused():
    with pytest.raises(BadInput) as error:
        GemmFp64Cblas(Settings(blas=ctypes.util.find_library("c")))
    assert "exports neither cblas_dgemm nor dgemm_" in one_line(error)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(BadInput) as error:
        GemmFp64Cblas(Settings(blas="nosuchblas"))
    assert "cannot be loaded" in one_line(error) and "mkl, openblas, blis" in one_line(error)


def test_a_short_name_finds_what_pip_installed(tmp_path, monkeypatch):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "libmkl_rt.so.3").symlink_to(bundled(np))
    monkeypatch.setattr(blas_library.sys, "prefix", str(tmp_path))
    assert blas_library.load("mkl", "--blas").path == str(Path(bundled(np)).resolve())


@pytest.mark.parametrize("precision", ["fp64", "fp32", "bf16", "fp16", "int8"])
def test_every_precision_has_a_kernel(precision):
    assert registry.load(f"gemm_{precision}_cblas").precision == precision


@pytest.mark.parametrize("beta", [0, 1])
@pytest.mark.parametrize("name", [n for n in registry.installed() if n.startswith("gemm_") and "_cblas" in n])
def test_mkl_multiplies_in_every_precision(name, beta):
    """Where MKL is installed beside flopbench, or another library is named for this test."""
    library = os.environ.get("FLOPBENCH_TEST_BLAS", "mkl")
    try:
        kernel = registry.load(name)(Settings(blas=library, threads=2))
    except BadInput as error:
        pytest.skip(str(error))
    reason = kernel.why_not(MACHINE)
    if reason:
        pytest.skip(reason)
    kernel.setup(GemmProblem(37, 41, 65, kernel.precision, beta=beta), SelfComm(), MACHINE)
    kernel.reset()
    kernel.run()
    seen = kernel.outcome()
    error = np.abs(seen.c - (as_float(seen.a) @ as_float(seen.b) + (as_float(seen.c0) if beta else 0.0))).max()
    assert error <= {"float64": 1e-13, "float32": 1e-4, "float16": 0.05, "int32": 0.0}[seen.accumulator]
    kernel.close()
