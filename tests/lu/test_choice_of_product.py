"""Who multiplies in the update, and who solves: ourselves where it was measured, a named library multiplies; or as the user says."""

import copy

import pytest
from flopbench_kernels.device import blas
from flopbench_kernels.gemm_numba import isa
from flopbench_kernels.lu_blockcyclic import kernel as lu_kernel
from flopbench_kernels.lu_blockcyclic.kernel import LuFp64Numba

from flopbench.comm import SelfComm
from flopbench.hpl_matrix import HplMatrix
from flopbench.kernel_api import LuProblem, Settings
from flopbench.machine.detect import detect

from .cases import Case, faults

_AVX512 = isa.NEEDS["avx2"] + isa.NEEDS["avx512"]
needs_avx2 = pytest.mark.skipif(isa.why_not("avx2", detect()) is not None, reason="this processor has no AVX2")


@pytest.fixture
def named(monkeypatch):
    """A library by path: SciPy's own, under another name."""
    for module in (blas, lu_kernel):
        monkeypatch.setattr(module, "blas_by_path", lambda path: blas.scipy_blas())
    return "/somewhere/libblas.so"


def described(flags, vendor="GenuineIntel", **settings):
    machine = copy.deepcopy(detect())
    machine.cpu.isa, machine.cpu.vendor = list(flags), vendor
    kernel = LuFp64Numba(Settings(threads=1, **settings))
    kernel.setup(LuProblem(40, 8, HplMatrix(40)), SelfComm(), machine)
    try:
        return kernel.describe()
    finally:
        kernel.close()


def update_of(*machine, **settings):
    return described(*machine, **settings)["update"]


def solve_of(*machine, **settings):
    return described(*machine, **settings)["trsm"]


@needs_avx2
@pytest.mark.parametrize("vendor", ["AuthenticAMD", "GenuineIntel", None])
def test_avx2_and_no_more_multiplies_by_our_own_product(vendor):
    assert update_of(isa.NEEDS["avx2"], vendor) == "own product, fp64_float64_avx2_4x12"


@needs_avx2
def test_avx512_does_so_on_amd_where_it_was_timed():
    assert update_of(_AVX512, "AuthenticAMD") == "own product, fp64_float64_avx512_8x24"


@pytest.mark.parametrize("vendor", ["GenuineIntel", None])
def test_avx512_elsewhere_leaves_it_to_blas(vendor):
    assert update_of(_AVX512, vendor) == "BLAS"


def test_neither_leaves_it_to_blas():
    assert update_of(()) == "BLAS"


def test_a_library_that_was_named_multiplies_itself(named):
    assert update_of(isa.NEEDS["avx2"], blas=named) == "BLAS"


@needs_avx2
def test_beside_a_library_that_was_named_we_solve_where_that_was_measured(named):
    assert solve_of(isa.NEEDS["avx2"], blas=named) == "own solve, fp64_float64_avx2_4x12"
    assert solve_of(_AVX512, "AuthenticAMD", blas=named) == "own solve, fp64_float64_avx512_8x24"
    assert solve_of(_AVX512, "GenuineIntel", blas=named) == "BLAS"


@needs_avx2
def test_who_multiplies_also_solves(named):
    assert solve_of(isa.NEEDS["avx2"]) == "own solve, fp64_float64_avx2_4x12"
    assert solve_of(()) == "BLAS"
    assert solve_of(isa.NEEDS["avx2"], extra={"update": "blas"}) == "BLAS"
    assert solve_of(isa.NEEDS["avx2"], blas=named, extra={"update": "blas"}) == "BLAS"
    assert solve_of((), extra={"update": "own"}).startswith("own solve")


@needs_avx2
def test_the_option_overrules_processor_and_library(named):
    assert update_of(isa.NEEDS["avx2"], extra={"update": "blas"}) == "BLAS"
    assert update_of(isa.NEEDS["avx2"], blas=named, extra={"update": "own"}).startswith("own product")
    assert update_of((), extra={"update": "own"}) == "own product, fp64_float64_generic_6x4"


@needs_avx2
def test_a_product_of_the_library_and_our_solve_go_together(named):
    n, kernel = 150, LuFp64Numba(Settings(threads=2, blas=named))
    machine = copy.deepcopy(detect())
    machine.cpu.isa = list(isa.NEEDS["avx2"])
    kernel.setup(LuProblem(n, 16, HplMatrix(n)), SelfComm(), machine)
    kernel.reset()
    kernel.run()
    assert (kernel.describe()["update"], kernel.describe()["trsm"][:3]) == ("BLAS", "own")
    assert not faults(Case(n, 16), kernel.outcome().x, kernel.pivots())
    kernel.close()
