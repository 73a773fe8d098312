"""FP8 products over the stand-in for cublasLt: right, in one call, with every attribute as it must be, and honest where they cannot be."""

import subprocess
import sys

import numpy as np
import pytest
from flopbench_kernels import gemm_cupy, gemm_nvmath
from flopbench_kernels.cuda import context, lt
from flopbench_kernels.cuda.faults import CudaFault, OutOfDeviceMemory
from flopbench_kernels.gemm_nvmath import GemmFp8Nvmath

from flopbench.comm import SelfComm
from flopbench.errors import BadInput, NotPossible
from flopbench.gpu_selftest.stand_in.blas_lt import CublasLtError
from flopbench.gpu_selftest.stand_in.memory import matrix
from flopbench.kernel_api import GemmProblem, Settings
from flopbench.verify import gemm as verify
from flopbench.verify import operands

from .test_gemm_check import PLANTED, product_of


@pytest.fixture(autouse=True)
def small_buffers(monkeypatch):
    monkeypatch.setattr(gemm_cupy, "BEYOND_L2_BYTES", 1)
    monkeypatch.setattr(lt, "WORKSPACE_BYTES", 1 << 12)


@pytest.fixture
def libraries(stand_in, monkeypatch):
    made = stand_in(policy="lazy")
    monkeypatch.setattr(context, "open_libraries", lambda: made)
    return made


def problem(m=64, n=48, k=80, **changes):
    return GemmProblem(m=m, n=n, k=k, precision="fp8", seed=7, **changes)


def run(what, kernel=None, times=1):
    kernel = kernel or gemm_nvmath.GemmFp8Nvmath()
    kernel.setup(what, SelfComm(), None)
    for _ in range(times):
        kernel.reset()
        kernel.run()
    return kernel


@pytest.mark.parametrize(("m", "n", "k"), [(64, 48, 80), (16, 16, 16), (96, 64, 144), (32, 112, 272)])
@pytest.mark.parametrize("beta", [0, 1])
def test_the_product_passes_the_check_in_whatever_order_cuda_runs_it(m, n, k, beta, libraries):
    what = problem(m, n, k, beta=beta)
    outcome = run(what, times=2).outcome()
    assert (outcome.accumulator, outcome.a.dtype, outcome.c.dtype) == ("float32", np.uint8, np.float32)
    verdict = verify.check(what, outcome)
    assert verdict.verdict == "PASSED", verdict.reason
    assert libraries.races == []


def test_the_numbers_are_those_of_the_operands_to_the_last_bits_of_fp32(libraries):
    outcome = run(problem()).outcome()
    a, b, c = (operands.widen(np.asarray(held)) for held in (outcome.a, outcome.b, outcome.c))
    np.testing.assert_allclose(c, a @ b, rtol=0, atol=80 * 2.0**-24)


def test_a_run_is_one_product_two_marks_and_one_wait(libraries):
    kernel = run(problem())
    kernel.reset()
    before = len(libraries.calls)
    kernel.run()
    assert libraries.calls[before:] == ["event.record", "cublasLtMatmul", "event.record", "event.synchronize"]


def test_scales_are_one_on_the_gpu_and_fast_accumulation_is_off(libraries):
    kernel = run(problem())
    (operation,) = [entry for entry in libraries.lt.made.values() if entry["what"] == "operation"]
    assert operation["scale_a"] == operation["scale_b"]
    assert libraries.arena.block(operation["scale_a"]).kind == "device"
    assert matrix(operation["scale_a"], 1, 1, 1, "float32")[0, 0] == 1.0
    assert (operation["fast"], libraries.lt.fast) == (0, False)
    kernel.close()


def test_operands_fill_the_significand_and_the_sign(libraries):
    values = operands.widen(np.asarray(run(problem(64, 64, 64)).outcome().a))
    assert len(np.unique(values)) > 80
    assert (values.min(), values.max()) == (-0.46875, 0.46875)
    assert abs(values.mean()) < 0.03


@pytest.mark.parametrize("fault", PLANTED, ids=lambda fault: fault.__name__)
def test_a_spoiled_product_fails_the_check_on_the_gpu(fault, libraries):
    what = problem(96, 64, 144)
    kernel = run(what)
    assert verify.check(what, kernel.outcome(), seed=1).verdict == "PASSED"
    fault(product_of(kernel))
    assert verify.check(what, kernel.outcome(), seed=1).verdict == "FAILED"


def test_reset_spoils_c_so_that_a_run_that_writes_nothing_fails(libraries, monkeypatch):
    what = problem()
    kernel = run(what)
    kernel.reset()
    monkeypatch.setattr(libraries.lt, "matmul", lambda *_: None)
    kernel.run()
    assert verify.check(what, kernel.outcome()).verdict == "FAILED"


def test_gpu_and_host_widen_every_fp8_number_alike(libraries):
    kernel = run(problem(256, 16, 256))
    stored = kernel._buffers[kernel._turn].a
    patterns = np.arange(256, dtype=np.uint8).repeat(256).reshape(256, 256)
    matrix(stored.address, 256, 256, stored.ld, "uint8")[:] = patterns
    held = kernel.outcome().a  # of the transpose of what is stored
    values = operands.widen(patterns.T)
    clean = np.isfinite(values[0])
    for i in range(0, 256, 37):
        only = np.zeros((1, 256))
        only[0, i] = 1.0
        found = held.times(only)[0]
        np.testing.assert_array_equal(found[clean], values[i, clean])
        assert np.isnan(found[~clean]).all()
    np.testing.assert_array_equal(held[np.arange(256), np.arange(256)], patterns.T.diagonal())


@pytest.mark.parametrize(
    ("shape", "layout", "complaint"),
    [
        ((64, 48, 72), "TN", "takes k in multiples of 16, got 72"),
        ((40, 48, 64), "TN", "takes m in multiples of 16, got 40"),
        ((64, 50, 64), "TN", "takes n in multiples of 16, got 50"),
        ((64, 48, 80), "NN", "layout=NN; FP8 on tensor cores takes A transposed and B not: TN"),
        ((64, 48, 80), "XY", "layout=XY; allowed"),
    ],
)
def test_what_tensor_cores_do_not_take_is_refused_with_the_rule(shape, layout, complaint, libraries):
    with pytest.raises(BadInput, match=complaint):
        run(problem(*shape), gemm_nvmath.GemmFp8Nvmath(Settings(extra={"layout": layout})))


def test_an_older_gpu_is_refused_with_its_compute_capability(stand_in, monkeypatch):
    monkeypatch.setattr(context, "open_libraries", lambda: stand_in(capability=(8, 0)))
    with pytest.raises(BadInput, match=r"needs compute capability 8\.9, the GPU has 8\.0"):
        run(problem())


def test_a_cublaslt_without_an_algorithm_says_so_and_leaves_nothing_behind(libraries, monkeypatch):
    monkeypatch.setattr(libraries.lt, "_fits", lambda *_: False)
    kernel = gemm_nvmath.GemmFp8Nvmath()
    with pytest.raises(NotPossible, match="cublasLt has no algorithm on this GPU for cublasLtMatmul TN m=64"):
        run(problem(), kernel)
    kernel.close()
    assert libraries.lt.made == {}


def test_a_refused_call_is_one_line_with_call_shape_and_status(libraries):
    kernel = run(problem())
    kernel.reset()
    libraries.lt.refuse = CublasLtError(15, "CUBLAS_STATUS_NOT_SUPPORTED")
    with pytest.raises(CudaFault) as caught:
        kernel.run()
    for part in ("cublasLtMatmul TN m=64 n=48 k=80", "CUBLAS_STATUS_NOT_SUPPORTED"):
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_full_gpu_says_the_largest_n_that_fits(stand_in, monkeypatch):
    monkeypatch.setattr(gemm_cupy, "WORKSPACE_BYTES", 1 << 20)
    made = stand_in(capacity=8 << 20)
    monkeypatch.setattr(context, "open_libraries", lambda: made)
    kernel = gemm_nvmath.GemmFp8Nvmath()
    with pytest.raises(OutOfDeviceMemory, match="the largest n = m = k that fits is") as caught:
        run(problem(2048, 2048, 2048), kernel)
    n = int(str(caught.value).split()[-1])
    kernel.close()
    assert (made.arena.used, made.lt.made) == (0, {})
    what = problem(n, n, n)
    assert verify.check(what, run(what).outcome()).verdict == "PASSED"


def test_close_gives_everything_back_and_may_come_early_and_twice(libraries):
    kernel = gemm_nvmath.GemmFp8Nvmath()
    kernel.close()
    run(problem(), kernel)
    kernel.close()
    kernel.close()
    assert (libraries.arena.used, libraries.lt.made) == (0, {})
    said = kernel.describe()
    assert said["call"] == "cublasLtMatmul TN, CUBLAS_COMPUTE_32F"
    assert (said["fast_accumulation"], said["cublaslt"]) == ("off", "120905")


def test_without_nvmath_it_says_what_to_install(stand_in, monkeypatch):
    monkeypatch.setattr(lt, "find_spec", lambda name: None)
    monkeypatch.setattr(gemm_cupy, "why_not", lambda precision: None)
    assert "nvmath-python is not installed (pip install 'flopbench[fp8]')" in GemmFp8Nvmath().why_not(None)
    monkeypatch.setattr(context, "open_libraries", lambda: stand_in(lt=False))
    with pytest.raises(NotPossible, match=r"pip install 'flopbench\[fp8\]'"):
        run(problem())


def test_without_a_gpu_that_is_the_reason(monkeypatch):
    monkeypatch.setattr(gemm_cupy, "why_not", lambda precision: "no driver")
    assert GemmFp8Nvmath().why_not(None) == "no driver"


def test_looking_whether_it_can_run_imports_neither_nvmath_nor_cupy():
    code = (
        "import sys; from flopbench_kernels.gemm_nvmath import GemmFp8Nvmath as K; K().why_not(None);"
        "print([m for m in ('nvmath', 'cupy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
