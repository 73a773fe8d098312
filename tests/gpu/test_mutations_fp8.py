"""Bugs planted into FP8 products, each of which a named test must catch."""

from contextlib import ExitStack
from functools import cache

import pytest
from flopbench_kernels.cuda import lt

from flopbench.errors import FlopbenchError

from . import test_gemm_fp8 as tests
from .test_mutations import Scene, mutated, once_each

LT, KERNEL, RULES = "flopbench_kernels.cuda.lt", "flopbench_kernels.gemm_nvmath", "flopbench_kernels.cuda.rules"


@cache
def right(shape=(96, 64, 144), beta=0):
    return lambda s: tests.test_the_product_passes_the_check_in_whatever_order_cuda_runs_it(*shape, beta, s.libraries())


def to_the_last_bits(s):
    tests.test_the_numbers_are_those_of_the_operands_to_the_last_bits_of_fp32(s.libraries())


def attributes(s):
    tests.test_scales_are_one_on_the_gpu_and_fast_accumulation_is_off(s.libraries())


def widened(s):
    tests.test_gpu_and_host_widen_every_fp8_number_alike(s.libraries())


def filled(s):
    tests.test_operands_fill_the_significand_and_the_sign(s.libraries())


def closed(s):
    tests.test_close_gives_everything_back_and_may_come_early_and_twice(s.libraries())


def refused(s):
    tests.test_what_tensor_cores_do_not_take_is_refused_with_the_rule(
        (64, 50, 64), "TN", "takes n in multiples of 16", s.libraries()
    )


MUTATIONS = {
    "A not transposed": (
        LT,
        "(const.LT_DESC_TRANSA, np.int32(call.trans_a))",
        "(const.LT_DESC_TRANSA, np.int32(0))",
        right(),
    ),
    "a transposition of 8 bytes": (LT, "np.int32(call.trans_b)", "np.int64(call.trans_b)", right()),
    "the leading dimension of A": (
        LT,
        "(call.a_type, call.k, call.m, call.lda)",
        "(call.a_type, call.k, call.m, call.k)",
        right(),
    ),
    "rows and columns of B exchanged": (
        LT, "(call.b_type, call.k, call.n, call.ldb)", "(call.b_type, call.n, call.k, call.ldb)", right()
    ),
    "A and B exchanged": (
        LT,
        "call.a, self._a, call.b, self._b,",
        "call.b, self._a, call.a, self._b,",
        right((64, 64, 80)),
    ),
    "alpha and beta exchanged": (LT, "call.alpha.ctypes.data, call.a,", "call.beta.ctypes.data, call.a,", right()),
    "a C that is not added": (
        LT,
        "call.beta.ctypes.data,\n            call.c, self._c, call.c,",
        "call.beta.ctypes.data,\n            call.c, self._c, call.a,",
        right(beta=1),
    ),
    "a scale that was never sent": (
        LT,
        "int(self._scale.ptr), 1, const.HOST_TO_DEVICE, 4",
        "int(self._workspace.ptr), 1, const.HOST_TO_DEVICE, 4",
        right(),
    ),
    "a scale of two": (LT, "one[0] = 1.0", "one[0] = 2.0", to_the_last_bits),
    "fast accumulation": (LT, "np.int8(0)", "np.int8(1)", attributes),
    "a scale in host memory": (
        LT,
        "(const.LT_DESC_A_SCALE_POINTER, np.uint64(self._scale.ptr))",
        "(const.LT_DESC_A_SCALE_POINTER, np.uint64(np.float32([1]).ctypes.data))",
        right(),
    ),
    "an algorithm that nobody chose": (
        LT,
        "self._found.ctypes.data, int",
        "np.zeros(12, 'u8').ctypes.data, int",
        right(),
    ),
    "a workspace larger than its memory": (
        LT,
        "int(self._workspace.ptr), WORKSPACE_BYTES,",
        "int(self._workspace.ptr), 2 * WORKSPACE_BYTES,",
        right(),
    ),
    "a product on another stream": (
        LT,
        "            self._lane.stream.ptr,\n        )  # fmt: skip\n\n    def close",
        "            self._gpu.lane().stream.ptr,\n        )  # fmt: skip\n\n    def close",
        right(),
    ),
    "descriptors that are not given back": (LT, "while self._undo:", "while False:", closed),
    "the other FP8 format": (
        "check.cu",
        "(exponent + 120U) << 23 | rest << 20",
        "(exponent + 112U) << 23 | rest << 21",
        right(),
    ),
    "subnormal FP8 numbers taken for zero": ("check.cu", "(float)(int)rest * 0.001953125f", "0.0f", widened),
    "an FP8 NaN taken for 480": ("check.cu", "if ((e & 0x7FU) == 0x7FU)", "if (false)", widened),
    "the sign lost on the way to FP8": (
        "operands.cu",
        "(unsigned char)(sign | (exponent - 120U) << 3",
        "(unsigned char)((exponent - 120U) << 3",
        filled,
    ),
    "a size that FP8 does not take": (
        RULES,
        '("n", call.n),\n        ("k", call.k),\n        ("lda"',
        '("k", call.k),\n        ("lda"',
        refused,
    ),
}  # fmt: skip


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr(lt, "WORKSPACE_BYTES", 1 << 12)


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_planted_bug_is_caught(name, monkeypatch):
    place, old, new, test = MUTATIONS[name]
    with ExitStack() as stack:
        stack.enter_context(mutated(place, old, new))
        monkeypatch.setattr(lt, "WORKSPACE_BYTES", 1 << 12)
        with pytest.raises((AssertionError, FlopbenchError, ValueError)):
            test(Scene(monkeypatch))


@pytest.mark.parametrize("name", once_each(MUTATIONS))
def test_the_same_test_passes_without_the_bug(name, monkeypatch):
    MUTATIONS[name][3](Scene(monkeypatch))
