"""The check of a product where the product lies, on the GPU: it sees what the host's check sees, and fetches sums instead of matrices."""

from dataclasses import replace

import numpy as np
import pytest
from flopbench_kernels import gemm_cupy
from flopbench_kernels.cuda import context
from flopbench_kernels.cuda.held import DeviceMatrix

from flopbench.comm import SelfComm
from flopbench.gpu_selftest.stand_in.memory import matrix
from flopbench.kernel_api import GemmProblem, Settings
from flopbench.verify import freivalds, gemm, operands

from .test_gemm import KERNELS

M, N, K = 96, 64, 132
FIRST = ("fp64", "fp16", "int8")  # one for each way to form the sums


@pytest.fixture
def libraries(stand_in, monkeypatch):
    made = stand_in(policy="lazy")
    monkeypatch.setattr(gemm_cupy, "BEYOND_L2_BYTES", 1)
    monkeypatch.setattr(context, "open_libraries", lambda: made)
    return made


def multiplied(cls, shape=(M, N, K), beta=0, **extra):
    """(problem, kernel after one run)."""
    problem = GemmProblem(*shape, precision=cls.precision, seed=3, beta=beta)
    kernel = cls(Settings(extra=extra))
    kernel.setup(problem, SelfComm(), None)
    kernel.reset()
    kernel.run()
    return problem, kernel


def product_of(kernel):
    """C in the stand-in's device memory, to be spoiled."""
    c = kernel._buffers[kernel._turn].c
    return matrix(c.address, c.rows, c.cols, c.ld, np.dtype(c.array.dtype).name)


def one_wrong_element(c):
    """By one typical element; by ten where the sums are FP16, whose bound is that wide (docs/method.md)."""
    c[37, 11] += 1 if c.dtype.kind == "i" else (10 if c.dtype == np.float16 else 1) * np.std(c.astype(np.float64))


def two_rows_swapped(c):
    c[[5, 6]] = c[[6, 5]]


def two_columns_swapped(c):
    c[:, [5, 60]] = c[:, [60, 5]]


def not_a_number(c):
    c[95, 63] = np.nan


def an_infinity(c):
    c[0, 40] = np.inf


def an_unwritten_tile(c):
    c[32:64, 16:32].view(f"u{c.itemsize}")[:] = (
        int.from_bytes(b"\x80" * 4) if c.dtype.kind == "i" else -1 % 2 ** (8 * c.itemsize)
    )


FLOATS_ONLY = (not_a_number, an_infinity)
PLANTED = (one_wrong_element, two_rows_swapped, two_columns_swapped, an_unwritten_tile, *FLOATS_ONLY)


@pytest.mark.parametrize("fault", PLANTED, ids=lambda fault: fault.__name__)
@pytest.mark.parametrize("cls", KERNELS, ids=lambda cls: cls.name)
def test_a_spoiled_product_fails_the_check_on_the_gpu(cls, fault, libraries):
    if fault in FLOATS_ONLY and cls.precision == "int8":
        pytest.skip("integers have neither")
    problem, kernel = multiplied(cls)
    assert gemm.check(problem, kernel.outcome(), seed=1).verdict == "PASSED"
    fault(product_of(kernel))
    found = gemm.check(problem, kernel.outcome(), seed=1)
    assert found.verdict == "FAILED"
    assert "C" in found.reason


def test_a_nan_is_named_with_its_place(libraries):
    problem, kernel = multiplied(gemm_cupy.GemmBf16Cupy)
    not_a_number(product_of(kernel))
    assert "C holds nan at (95, 63); unwritten" in gemm.check(problem, kernel.outcome()).reason


@pytest.mark.parametrize("beta", [0, 1])
@pytest.mark.parametrize("cls", KERNELS, ids=lambda cls: cls.name)
def test_gpu_and_host_come_to_the_same_verdict_with_the_same_numbers(cls, beta, libraries):
    problem, kernel = multiplied(cls, beta=beta)
    held = kernel.outcome()
    host = replace(held, **{name: np.asarray(getattr(held, name)) for name in ("a", "b", "c")})
    if held.c0 is not None:
        host = replace(host, c0=np.asarray(held.c0))
    here, there = (gemm.check(problem, outcome, seed=5) for outcome in (held, host))
    assert here.verdict == there.verdict == "PASSED"
    assert here.value == pytest.approx(there.value, rel=1e-3)
    assert here.ingredients.get("groups") == there.ingredients.get("groups")


@pytest.mark.parametrize("layout", ["NN", "TN"])
def test_sums_on_the_gpu_are_those_of_the_host(layout, libraries):
    for cls in KERNELS:
        if cls.precision == "int8":
            continue
        _, kernel = multiplied(cls, layout=layout)
        held = kernel.outcome().a
        there = np.asarray(held)
        x = np.random.default_rng(1).uniform(-2, 2, (5, M))
        np.testing.assert_allclose(held.times(x), operands.times(x, there), rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(held.times(x, True), operands.times(x, there, True), rtol=1e-12, atol=1e-12)
        for axis in (0, 1):
            np.testing.assert_allclose(
                operands.squared_norms(held, axis), operands.squared_norms(there, axis), rtol=1e-13
            )


@pytest.mark.parametrize("layout", ["NN", "TN"])
def test_twofold_sums_keep_what_fp64_loses(layout, libraries):
    """The GPU's sum and the exact one differ by far less than FP64's unit roundoff."""
    from fractions import Fraction

    _, kernel = multiplied(gemm_cupy.GemmFp64Cupy, layout=layout)
    held = kernel.outcome().a
    there = np.asarray(held)
    random = np.random.default_rng(2)
    hi = random.uniform(-2, 2, M)
    lo = hi * random.uniform(-1, 1, M) * 2.0**-54
    found_hi, found_lo = held.times_twofold(hi, lo)
    for j in range(0, K, 13):
        pairs = zip(hi, lo, there[:, j], strict=True)
        exact = sum((Fraction(h) + Fraction(low)) * Fraction(v) for h, low, v in pairs)
        size = sum(abs(Fraction(h) * Fraction(v)) for h, v in zip(hi, there[:, j], strict=True))
        assert abs(Fraction(found_hi[j]) + Fraction(found_lo[j]) - exact) <= size * Fraction(1, 2**96)


def test_integer_sums_are_exact_modulo_2_to_the_64(libraries):
    _, kernel = multiplied(gemm_cupy.GemmInt8Cupy)
    outcome = kernel.outcome()
    for held in (outcome.a, outcome.b, outcome.c):
        x = np.random.default_rng(3).integers(-(2**62), 2**62, (1, held.shape[0]))
        np.testing.assert_array_equal(freivalds.times_modulo(x, held), freivalds.times_modulo(x, np.asarray(held)))


@pytest.mark.parametrize("cls", KERNELS, ids=lambda cls: cls.name)
def test_single_elements_rows_and_columns_are_fetched_by_index(cls, libraries):
    _, kernel = multiplied(cls)
    for held in (kernel.outcome().a, kernel.outcome().b, kernel.outcome().c):
        there = np.asarray(held)
        pairs = np.array([0, 3, 50, 63]), np.array([63, 0, 5, 7])
        for key in (pairs, (7, slice(None)), (slice(None), 9), (slice(None, None, 5), slice(None, None, 7)), (2, 3)):
            np.testing.assert_array_equal(
                held[key].view(f"u{held.dtype.itemsize}"), there[key].view(f"u{held.dtype.itemsize}")
            )


@pytest.mark.parametrize("precision", FIRST)
def test_no_matrix_travels_to_the_host_for_a_check(precision, libraries, monkeypatch):
    """No single copy is larger than a few rows; and the memory is that of setup."""
    cls = next(cls for cls in KERNELS if cls.precision == precision)
    n = 512
    problem, kernel = multiplied(cls, (n, n, 128))
    sizes = []
    honest = libraries.runtime.memcpy2DAsync
    monkeypatch.setattr(libraries.runtime, "memcpy2DAsync", lambda *a: (sizes.append(a[4] * a[5]), honest(*a)))
    before = len(libraries.calls)
    assert gemm.check(problem, kernel.outcome(), seed=1).verdict == "PASSED"
    assert not {"allocate", "pinned"} & set(libraries.calls[before:])
    assert sizes
    assert max(sizes) <= 4 * n * 8  # four groups of weights or sums; C alone is n times as large


def test_later_repeats_are_held_against_the_first_on_the_gpu(libraries):
    problem, kernel = multiplied(gemm_cupy.GemmFp64Cupy)
    verdict, watch = gemm.examine(problem, kernel.outcome())
    assert verdict.verdict == "PASSED"
    kernel.reset()
    kernel.run()
    assert watch.differing_columns(kernel.outcome()).size == 0
    product_of(kernel)[9, 17] += 0.5
    assert watch.differing_columns(kernel.outcome()).tolist() == [17]


def test_what_is_handed_over_stays_on_the_gpu(libraries):
    _, kernel = multiplied(gemm_cupy.GemmFp32Cupy, beta=1)
    outcome = kernel.outcome()
    assert all(isinstance(matrix, DeviceMatrix) for matrix in (outcome.a, outcome.b, outcome.c, outcome.c0))
    assert libraries.races == []


def test_sixteen_bit_numbers_are_widened_exactly(libraries):
    """Every bit pattern of both types: subnormal numbers, infinities and NaN included."""
    for cls in (gemm_cupy.GemmFp16Cupy, gemm_cupy.GemmBf16Cupy):
        _, kernel = multiplied(cls, (256, 4, 256), layout="NN")
        held = kernel.outcome().a
        stored = kernel._buffers[kernel._turn].a
        patterns = np.arange(1 << 16, dtype=np.uint16).reshape(256, 256)
        matrix(stored.address, 256, 256, stored.ld, "uint16")[:] = patterns
        with np.errstate(invalid="ignore"):  # signalling NaN
            values = operands.widen(patterns if cls.precision == "bf16" else patterns.view(np.float16))
        for i in range(0, 256, 15):
            only = np.zeros((1, 256))
            only[0, i] = 1.0
            found = held.times(only)[0]
            clean = np.isfinite(values).all(axis=0)
            np.testing.assert_array_equal(found[clean], values[i, clean])
            assert not np.isfinite(found[~clean]).any()
