"""The stand-in for CUDA, with CuPy's own arrays over host memory where CuPy is installed, and the C++ compiler that our kernels need."""

import os

import pytest

from flopbench.gpu_selftest.stand_in.compiled import compiler
from flopbench.gpu_selftest.stand_in.libraries import StandIn


def installed_cupy():
    """CuPy, or None; importing it does not touch CUDA."""
    try:
        import cupy
    except ImportError:
        return None
    return cupy


@pytest.fixture(scope="session")
def cupy():
    module = installed_cupy()
    if module is None:
        assert "FLOPBENCH_NEEDS_CUPY" not in os.environ, "this stage is for CuPy, and CuPy cannot be imported"
        pytest.skip("CuPy is not installed here; .ci/gpu.sh runs this with it")
    return module


@pytest.fixture(scope="session", autouse=True)
def _needs_a_compiler():
    if compiler() is None:
        pytest.skip("no C++ compiler (g++ or clang++) to run CUDA kernels on the host")


@pytest.fixture
def stand_in():
    """Makes a stand-in: stand_in(policy="lazy", ...)."""

    def make(**options):
        return StandIn(cupy=installed_cupy(), **options)

    return make
