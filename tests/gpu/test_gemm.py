"""GEMM on a GPU over the stand-in: every precision and layout gives the product, with the calls that it should take and no others."""

import numpy as np
import pytest
from flopbench_kernels import gemm_cupy
from flopbench_kernels.cuda import context
from flopbench_kernels.cuda.faults import CudaFault, OutOfDeviceMemory

from flopbench.comm import SelfComm
from flopbench.errors import BadInput, NotPossible
from flopbench.gpu_selftest.stand_in.blas import invalid_value
from flopbench.kernel_api import GemmProblem, Settings
from flopbench.verify import gemm as verify

KERNELS = [
    gemm_cupy.GemmFp64Cupy,
    gemm_cupy.GemmFp32Cupy,
    gemm_cupy.GemmTf32Cupy,
    gemm_cupy.GemmBf16Cupy,
    gemm_cupy.GemmFp16Cupy,
    gemm_cupy.GemmFp16CupyAcc16,
    gemm_cupy.GemmInt8Cupy,
]


@pytest.fixture(params=KERNELS, ids=lambda cls: cls.name)
def kernel_class(request):
    return request.param


@pytest.fixture(autouse=True)
def small_buffers(monkeypatch):
    """Three sets of buffers at the sizes of these tests, instead of hundreds of megabytes."""
    monkeypatch.setattr(gemm_cupy, "BEYOND_L2_BYTES", 1)


@pytest.fixture
def libraries(stand_in, monkeypatch):
    libraries = stand_in(policy="lazy")
    monkeypatch.setattr(context, "open_libraries", lambda: libraries)
    return libraries


def problem(cls, m=64, n=48, k=80, **changes):
    return GemmProblem(m=m, n=n, k=k, precision=cls.precision, seed=7, **changes)


def run(kernel, what, times=1):
    kernel.setup(what, SelfComm(), None)
    for _ in range(times):
        kernel.reset()
        kernel.run()
    return kernel.outcome()


@pytest.mark.parametrize("layout", ["NN", "NT", "TN", "TT"])
def test_every_precision_passes_the_check_in_every_layout_that_it_takes(kernel_class, layout, libraries):
    if kernel_class.precision == "int8" and layout != "TN":
        pytest.skip("8-bit tensor cores take TN only; refused, see below")
    what = problem(kernel_class)
    outcome = run(kernel_class(Settings(extra={"layout": layout})), what)
    verdict = verify.check(what, outcome)
    assert verdict.verdict == "PASSED", verdict.reason
    assert libraries.races == []


@pytest.mark.parametrize(("m", "n", "k"), [(4, 1, 4), (4, 3, 132), (100, 7, 36)])
def test_odd_sizes_are_multiplied_too(kernel_class, m, n, k, libraries):
    what = problem(kernel_class, m, n, k)
    verdict = verify.check(what, run(kernel_class(), what))
    assert verdict.verdict == "PASSED", verdict.reason


def test_with_beta_one_the_product_is_added_to_c(kernel_class, libraries):
    what = problem(kernel_class, beta=1)
    outcome = run(kernel_class(), what, times=2)
    assert np.any(outcome.c0 != 0)
    verdict = verify.check(what, outcome)
    assert verdict.verdict == "PASSED", verdict.reason


def test_a_run_is_one_product_two_marks_and_one_wait(kernel_class, libraries):
    """Nothing is allocated, copied, compiled or waited for in the timed region, beyond the wait that ends it."""
    kernel = kernel_class()
    kernel.setup(problem(kernel_class), SelfComm(), None)
    kernel.reset()
    before = len(libraries.calls)
    kernel.run()
    assert libraries.calls[before:] == ["event.record", "gemmEx", "event.record", "event.synchronize"]


def test_repeats_take_turns_on_buffers_that_together_exceed_the_cache(libraries, monkeypatch):
    monkeypatch.setattr(gemm_cupy, "BEYOND_L2_BYTES", 3 * 3 * 64 * 64 * 8)
    cls = gemm_cupy.GemmFp64Cupy
    kernel, what = cls(), problem(cls, 64, 64, 64)
    first = run(kernel, what)
    for _ in range(2):
        kernel.reset()
        kernel.run()
        later = kernel.outcome()
        np.testing.assert_array_equal(later.a, first.a)
        np.testing.assert_array_equal(later.c, first.c)
    places = [call[4] for call in libraries.cublas.calls]
    assert len(set(places)) == 3
    kernel.reset()
    kernel.run()
    assert libraries.cublas.calls[3][4] == places[0]
    assert kernel.memory_bytes(what) >= 3 * 3 * 64 * 64 * 8


def test_reset_spoils_c_so_that_a_run_that_writes_nothing_fails(kernel_class, libraries, monkeypatch):
    what = problem(kernel_class)
    kernel = kernel_class()
    run(kernel, what)
    kernel.reset()
    monkeypatch.setattr(libraries.cublas, "gemmEx", lambda *_: None)
    kernel.run()
    assert verify.check(what, kernel.outcome()).verdict == "FAILED"


def test_operands_are_of_their_own_type_and_spread_over_its_range(kernel_class, libraries):
    outcome = run(kernel_class(), problem(kernel_class, 64, 64, 64))
    values = np.asarray(outcome.a)
    if values.dtype == np.uint16:
        values = (values.astype(np.uint32) << 16).view(np.float32)
    values = values.astype(np.float64)
    assert len(np.unique(values)) > 200
    top = 127 if kernel_class.precision == "int8" else 0.5
    assert values.min() < -0.95 * top
    assert values.max() > 0.95 * top
    assert np.abs(values).max() <= top
    assert abs(values.mean()) < 0.05 * top


def test_fp32_is_not_tf32(libraries, monkeypatch):
    """A cuBLAS that carried out FP32 in TF32 would be caught by the check, not only by the compute type that we pass."""
    cls = gemm_cupy.GemmFp32Cupy
    what = problem(cls, 128, 128, 128)
    honest = libraries.cublas.gemmEx

    def in_tf32(*args):
        honest(*args[:-2], 77, args[-1])

    monkeypatch.setattr(libraries.cublas, "gemmEx", in_tf32)
    assert verify.check(what, run(cls(), what)).verdict == "FAILED"


def test_int8_in_another_layout_or_an_odd_size_is_refused_with_the_rule(libraries):
    cls = gemm_cupy.GemmInt8Cupy
    with pytest.raises(BadInput, match=r"NN m=64 .* takes A transposed and B not \(TN\)"):
        run(cls(Settings(extra={"layout": "NN"})), problem(cls))
    with pytest.raises(BadInput, match="m in multiples of 4, got 66"):
        run(cls(), problem(cls, 66))
    with pytest.raises(BadInput, match="may not fit into 32 bits"):
        run(cls(), problem(cls, 4, 4, 200_000))


def test_an_unknown_layout_is_refused_with_those_that_there_are(libraries):
    cls = gemm_cupy.GemmFp64Cupy
    with pytest.raises(BadInput, match="layout=XY; allowed: NN, NT, TN, TT"):
        run(cls(Settings(extra={"layout": "XY"})), problem(cls))


def test_a_full_gpu_says_the_largest_n_that_fits_and_that_n_fits(stand_in, monkeypatch):
    monkeypatch.setattr(gemm_cupy, "WORKSPACE_BYTES", 1 << 20)
    libraries = stand_in(capacity=20 << 20)
    monkeypatch.setattr(context, "open_libraries", lambda: libraries)
    cls = gemm_cupy.GemmFp64Cupy
    kernel = cls()
    with pytest.raises(OutOfDeviceMemory, match="the largest n = m = k that fits is") as caught:
        run(kernel, problem(cls, 2048, 2048, 2048))
    assert "\n" not in str(caught.value)
    kernel.close()
    assert libraries.arena.used == 0
    n = int(str(caught.value).split()[-1])
    assert n == 768
    what = problem(cls, n, n, n)
    assert verify.check(what, run(cls(), what)).verdict == "PASSED"


def test_a_refused_call_is_one_line_with_call_shape_and_status(libraries):
    kernel = gemm_cupy.GemmFp64Cupy()
    kernel.setup(problem(kernel), SelfComm(), None)
    kernel.reset()
    libraries.cublas.refuse = invalid_value()
    with pytest.raises(CudaFault) as caught:
        kernel.run()
    text = str(caught.value)
    assert "\n" not in text
    for part in ("cublasGemmEx NN m=64 n=48 k=80", "CUBLAS_STATUS_INVALID_VALUE", "status 7"):
        assert part in text


def test_fp64_is_refused_while_cublas_emulates_it(libraries, monkeypatch):
    kernel = gemm_cupy.GemmFp64Cupy()
    libraries.cublas.math_mode = 8
    with pytest.raises(NotPossible, match="no 64-bit arithmetic"):
        kernel.setup(problem(kernel), SelfComm(), None)
    libraries.cublas.math_mode = 0
    monkeypatch.setenv("CUBLAS_EMULATE_DOUBLE_PRECISION", "1")
    with pytest.raises(NotPossible, match="CUBLAS_EMULATE_DOUBLE_PRECISION=1"):
        kernel.setup(problem(kernel), SelfComm(), None)


def test_a_gpu_without_the_precision_is_refused(stand_in, monkeypatch):
    monkeypatch.setattr(context, "open_libraries", lambda: stand_in(capability=(7, 5)))
    with pytest.raises(BadInput, match=r"needs compute capability 8\.0, the GPU has 7\.5"):
        run(gemm_cupy.GemmTf32Cupy(), problem(gemm_cupy.GemmTf32Cupy))


def test_close_gives_everything_back_and_may_come_early_and_twice(kernel_class, libraries):
    kernel = kernel_class()
    kernel.close()
    run(kernel, problem(kernel_class))
    kernel.close()
    kernel.close()
    assert libraries.arena.used == 0
    assert kernel.describe()["call"].startswith("cublasGemmEx")


def test_the_record_says_call_layout_and_device(kernel_class, libraries):
    kernel = kernel_class()
    run(kernel, problem(kernel_class))
    said = kernel.describe()
    assert kernel.recipe.compute_name in said["call"]
    assert "compute capability 9.0" in said["device"]
    assert kernel.device_seconds() == 1.0  # the stand-in counts operations: just the product lies between the two marks
