"""Bugs planted into the GPU code, each of which a named test must catch: the proof that those tests have teeth.

A mutation replaces a piece of source that occurs just once. Python modules are executed again with the change, in place, and whoever holds
one of their classes or functions gets the changed one; CUDA sources are compiled again.
"""

import sys
from contextlib import ExitStack, contextmanager
from functools import cache
from importlib import import_module
from pathlib import Path
from unittest import mock

import pytest
from flopbench_kernels import gemm_cupy
from flopbench_kernels.cuda import context, libraries
from flopbench_kernels.device import cuda

from flopbench.errors import FlopbenchError

from . import test_device, test_gemm, test_gemm_check, test_hazards_and_placement, test_kernels, test_lu
from .conftest import installed_cupy

DEVICE, CONTEXT, RULES = (
    "flopbench_kernels.device.cuda",
    "flopbench_kernels.cuda.context",
    "flopbench_kernels.cuda.rules",
)
LU = "flopbench_kernels.lu_blockcyclic"


@contextmanager
def mutated(place, old, new):
    """`place` is a module, or a CUDA source."""
    if place.endswith(".cu"):
        honest = libraries.source_text
        assert honest(place[:-3]).count(old) == 1, f"{old!r} must occur once in {place}"

        def changed(name):
            return honest(name).replace(old, new) if f"{name}.cu" == place else honest(name)

        with mock.patch.object(libraries, "source_text", changed):
            yield
        return
    module = import_module(place)
    before = dict(vars(module))
    source = Path(module.__file__).read_text(encoding="utf-8")
    assert source.count(old) == 1, f"{old!r} must occur once in {place}"
    exec(compile(source.replace(old, new), module.__file__, "exec"), vars(module))
    swapped = {id(value): vars(module)[name] for name, value in before.items() if vars(module).get(name) is not value}
    users = [
        m
        for n, m in list(sys.modules.items())
        if m is not None and m is not module and (n.startswith("flopbench") or "test_" in n)
    ]
    undo = []
    for user in users:
        for name, value in list(vars(user).items()):
            if id(value) in swapped and isinstance(value, type | type(mutated)) and value.__module__ == place:
                undo.append((user, name, value))
                setattr(user, name, swapped[id(value)])
    try:
        yield
    finally:
        vars(module).clear()
        vars(module).update(before)
        for user, name, value in undo:
            setattr(user, name, value)


class Scene:
    """What the tests below take from fixtures."""

    def __init__(self, monkeypatch):
        self.monkeypatch = monkeypatch
        monkeypatch.setattr(gemm_cupy, "BEYOND_L2_BYTES", 1)

    def device(self, policy="lazy"):
        from flopbench.gpu_selftest.stand_in.libraries import StandIn

        return cuda.CudaDevice(context.Gpu(libraries=StandIn(policy=policy, cupy=installed_cupy())), scratch=128)

    def gpus(self, **options):
        self.monkeypatch.setattr(cuda, "SCRATCH", 1 << 11)
        self.monkeypatch.setattr(cuda, "INDEX_CAPACITY", 256)
        made = test_lu.Gpus(**options)
        self.monkeypatch.setattr(context, "open_libraries", made)
        return made

    def libraries(self):
        from flopbench.gpu_selftest.stand_in.libraries import StandIn

        made = StandIn(policy="lazy", cupy=installed_cupy())
        self.monkeypatch.setattr(context, "open_libraries", lambda: made)
        return made


@cache
def one_gpu(policy, depth=1, n=90):
    return lambda s: test_lu.test_one_gpu_solves_hpls_problem_in_whatever_order_cuda_runs_it(
        n, depth, policy, 0, s.gpus
    )


@cache
def grid(p, q, policy="eager"):
    return lambda s: test_lu.test_a_grid_of_gpus_solves_hpls_problem_in_whatever_order_cuda_runs_it(
        p, q, policy, 0, s.gpus
    )


@cache
def gemm(name, layout="TN"):
    cls = next(cls for cls in test_gemm.KERNELS if cls.name == name)
    return lambda s: test_gemm.test_every_precision_passes_the_check_in_every_layout_that_it_takes(
        getattr(gemm_cupy, cls.__name__), layout, s.libraries()
    )


def on_device(test, *args):
    return lambda s: test(s.device(), *args)


updates = on_device(test_device.test_gemm_subtracts_the_product_in_place, 33, 7, 12)
triangle = on_device(test_device.test_trsm_solves_with_the_unit_lower_triangle, 12, 5)
permuted = on_device(test_device.test_permute_rows_moves_all_rows_at_once_also_in_several_pieces, 50)
gathered = on_device(test_device.test_gathered_rows_scattered_elsewhere_arrive)
copied = on_device(test_device.test_a_block_goes_to_the_host_and_back)
exchanges = on_device(test_device.test_more_row_exchanges_than_slots_keep_their_own_row_numbers)
tall = on_device(test_device.test_a_tall_block_is_generated_in_strides_bit_for_bit)
far = on_device(test_device.test_entries_far_down_the_stream_of_a_large_matrix_are_right)


def twofold(s):
    test_gemm_check.test_twofold_sums_keep_what_fp64_loses("TN", s.libraries())


def weighed(s):
    test_gemm_check.test_sums_on_the_gpu_are_those_of_the_host("TN", s.libraries())


def exact(s):
    test_gemm_check.test_integer_sums_are_exact_modulo_2_to_the_64(s.libraries())


placement = "flopbench.gpu.placement"

MUTATIONS = {
    "the sign of alpha": (DEVICE, "m, n, k, _MINUS_ONE, a,", "m, n, k, _ONE, a,", updates),
    "the type of alpha and beta": (DEVICE, "np.array(-1.0), np.array(1.0)", "np.float32([-1])[0:1].reshape(()), np.array(1.0)", updates),
    "the leading dimension of B": (DEVICE, "b, const.R_64F, ldb,", "b, const.R_64F, lda,", updates),
    "the leading dimension of C": (DEVICE, "_ONE, c, const.R_64F, ldc,", "_ONE, c, const.R_64F, m,", updates),
    "a transposed operand": (DEVICE, "const.OP_N, const.OP_N, m,", "const.OP_N, const.OP_T, m,", updates),
    "A and B exchanged": (DEVICE, "_MINUS_ONE, a, const.R_64F, lda, b,", "_MINUS_ONE, b, const.R_64F, lda, a,", updates),
    "a diagonal that is read": (CONTEXT, "c.OP_N, c.DIAG_UNIT, k, n", "c.OP_N, c.DIAG_NON_UNIT, k, n", triangle),
    "the other triangle": (CONTEXT, "c.SIDE_LEFT, c.FILL_LOWER", "c.SIDE_LEFT, c.FILL_UPPER", triangle),
    "the triangle transposed": (CONTEXT, "c.FILL_LOWER, c.OP_N, c.DIAG", "c.FILL_LOWER, c.OP_T, c.DIAG", triangle),
    "source and target pitch exchanged": (CONTEXT, "ldt * size, source, lds * size", "lds * size, source, ldt * size", copied),
    "rows taken from where they go": (DEVICE, "here, lda, origin_there, count", "here, lda, to_there, count", permuted),
    "columns of a later piece": (DEVICE, "here = a + 8 * first * lda", "here = a + 8 * first", permuted),
    "the leading dimension of packed rows": ("rows.cu", "= packed[r + j * ldp];", "= packed[r + j * count];", gathered),
    "pivots counted from 0": ("rows.cu", "(i64)pivots[i] - 1", "(i64)pivots[i]", lambda s: test_kernels.test_swaps_are_lapacks()),
    "entry numbers of 32 bits": ("hpl_matrix.cu", "(u64)(col0 + j) * (u64)n", "(u64)((unsigned)(col0 + j) * (unsigned)n)", far),
    "a stride that jumps wrongly": ("hpl_matrix.cu", "x = stride_mul * x + stride_add", "x = stride_mul * x + 1ULL", tall),
    "row numbers overwritten while a copy of them waits": (DEVICE, "if last is not None and not last.done():", "if False:", exchanges),
    "a dropped wait between streams": (DEVICE, "self._gpu.order(self.lane, event.handle)", "pass", one_gpu("eager")),
    "a host that does not wait": (DEVICE, 'self._gpu.wait(self.handle, "waiting for the GPU")', "pass", one_gpu("lazy")),
    "a panel that overtakes the update": (
        f"{LU}.factorise", 'self._enter("wait")\n        self.urgent.wait(self.main.record())', 'self._enter("wait")', one_gpu("eager")
    ),
    "an update that overtakes the panel": (f"{LU}.factorise", "self.main.wait(self.urgent.record())", "pass", one_gpu("eager")),
    "a buffer for U taken again too early": (
        f"{LU}.update", "self.copied.synchronize()", "pass",
        lambda s: test_lu.test_every_row_exchange_and_depth_is_in_order_on_two_process_rows("binexch", 2, s.gpus),
    ),
    "rows sent before they arrived from the GPU": (
        f"{LU}.row_exchange",
        "out.ctypes.data, count)\n        stream.record().synchronize()", "out.ctypes.data, count)", grid(2, 1, "lazy"),
    ),
    "a local rank over all hosts": (
        placement, "hosts[: comm.rank].count", "hosts.count",
        lambda s: test_hazards_and_placement.test_the_local_rank_counts_the_ranks_of_ones_own_host(),
    ),
    "a local rank that every rank shares": (
        placement, "return local % devices", "return 0", lambda s: test_lu.test_each_rank_takes_the_gpu_of_its_local_rank(s.gpus),
    ),
    "two ranks on one GPU unnoticed": (
        placement, "places.count(place) > 1", "places.count(place) > 2",
        lambda s: test_hazards_and_placement.test_two_ranks_on_one_gpu_are_an_error_on_every_rank_unless_asked_for(),
    ),
    "TF32 under the name of FP32": (
        "flopbench_kernels.gemm_cupy",
        'const.COMPUTE_32F, "NN",', 'const.COMPUTE_32F_FAST_TF32, "NN",', gemm("gemm_fp32_cupy"),
    ),
    "a float as INT8's alpha": (
        RULES, '(c.COMPUTE_32I, c.R_8I, c.R_32I): ("int32"', '(c.COMPUTE_32I, c.R_8I, c.R_32I): ("float32"', gemm("gemm_int8_cupy")
    ),
    "an operand handed over as the transpose of itself": (
        "flopbench_kernels.gemm_cupy", "used.a, used.call.trans_a == const.OP_T", "used.a, False",
        lambda s: test_gemm.test_odd_sizes_are_multiplied_too(gemm_cupy.GemmBf16Cupy, 100, 7, 36, s.libraries()),
    ),
    "a check that loses the error of a product": (
        "check.cu", "sum_error + (product_error + x_lo[i] * b)", "sum_error + x_lo[i] * b", twofold
    ),
    "a check that loses the low half of its weights": ("check.cu", "product_error + x_lo[i] * b", "product_error", twofold),
    "a check that adds 31 of 32 lanes": (
        "check.cu", "for (int lane = 0; lane < LANES; ++lane) sum +=", "for (int lane = 0; lane < LANES - 1; ++lane) sum +=", weighed
    ),
    "a check that counts in 32 bits": ("check.cu", "sum += x[i] * (u64)(i64)", "sum += (unsigned)x[i] * (u64)(i64)", exact),
    "a check that takes NaN for a number": (
        "check.cu", "exponent == 31U ? 255U : exponent + 112U", "exponent + 112U",
        lambda s: test_gemm_check.test_sixteen_bit_numbers_are_widened_exactly(s.libraries()),
    ),
    "a check without the look for NaN": (
        "flopbench.verify.preconditions", "np.flatnonzero(~np.isfinite(squared_norms(matrix, 0)))", "()",
        lambda s: test_gemm_check.test_a_nan_is_named_with_its_place(s.libraries()),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_planted_bug_is_caught(name, monkeypatch):
    place, old, new, test = MUTATIONS[name]
    with ExitStack() as stack:
        stack.enter_context(mutated(place, old, new))
        with pytest.raises((AssertionError, FlopbenchError, ValueError)):
            test(Scene(monkeypatch))


def once_each(mutations):
    """The first mutation of each test among them."""
    return {test: name for name, (*_, test) in reversed(mutations.items())}.values()


@pytest.mark.parametrize("name", once_each(MUTATIONS))
def test_the_same_test_passes_without_the_bug(name, monkeypatch):
    MUTATIONS[name][3](Scene(monkeypatch))
