"""A panel in one launch: blocks that fit together, the flag of the launch, sizes that agree; and the tuning that goes with it."""

import re
from types import SimpleNamespace

import numpy as np
import pytest
from flopbench_kernels.cuda import libraries
from flopbench_kernels.device import cuda_panel
from flopbench_kernels.lu_cupy import NBMIN, LuFp64Cupy
from threadpoolctl import threadpool_info

from flopbench.comm import SelfComm
from flopbench.gpu_selftest.stand_in import footprints
from flopbench.gpu_selftest.stand_in.libraries import StandIn
from flopbench.kernel_api import LuTuning, Settings

from .test_lu import assert_solved, gpus, problem, solve

__all__ = ["gpus"]


def test_a_panel_taller_than_all_blocks_has_no_more_of_them_than_the_gpu_holds_together(gpus, monkeypatch):
    """Three blocks of 64 rows are wanted; the stand-in has two multiprocessors and, like CUDA, refuses what does not fit."""
    monkeypatch.setattr(cuda_panel, "ALONE_THREADS", 64)
    gpus()
    what = problem(140)
    assert_solved(what, solve(what, SelfComm(), panel="device"))


def test_the_stand_in_refuses_a_cooperative_launch_that_does_not_fit():
    address, number = np.uint64(0), np.int64(0)
    arguments = (address, *[number] * 6, address, number, address, address, address, number)
    launch = StandIn().kernels("panel_alone")["panel_alone"]
    with pytest.raises(RuntimeError, match="cudaErrorCooperativeLaunchTooLarge: 3 blocks, 2 fit"):
        launch((3, 1), (64,), arguments)


def test_every_source_in_which_blocks_wait_for_each_other_is_launched_cooperatively():
    waiting = {name for name in libraries.source_names() if "atomicAdd" in libraries.source_text(name)}
    assert waiting == libraries.COOPERATIVE


@pytest.mark.parametrize(("cooperative", "flags"), [(True, {"enable_cooperative_groups": True}), (False, {})])
def test_the_flag_of_a_cooperative_launch_reaches_cupy(cooperative, flags):
    seen = []

    class Function:
        def __call__(self, *args, **more):
            seen.append((args, more))

        kernel = property(lambda self: self)

    module = SimpleNamespace(get_function=lambda name: Function())
    libraries._Functions(module, cooperative)["any"]((1,), (32,), ())
    assert seen == [(((1,), (32,), ()), flags)]


def test_the_sizes_in_the_source_are_those_in_python():
    source = libraries.source_text("panel_alone")
    most = {name: int(value) for name, value in re.findall(r"#define (MOST_\w+) (\d+)", source)}
    assert most["MOST_COLUMNS"] == cuda_panel.MOST_COLUMNS <= cuda_panel.ALONE_THREADS <= most["MOST_THREADS"]
    assert footprints.SLOT == cuda_panel._SLOT == 2 + most["MOST_COLUMNS"]


def test_nbmin_is_the_kernels_own_for_panels_on_the_gpu_unless_the_user_names_one():
    on_gpu, on_host = LuFp64Cupy(Settings()), LuFp64Cupy(Settings(extra={"panel": "host"}))
    assert on_gpu.tuned(LuTuning()).nbmin == NBMIN != LuTuning().nbmin
    assert on_gpu.tuned(LuTuning(nbmin=4, explicit=frozenset({"nbmin"}))).nbmin == 4
    assert on_host.tuned(LuTuning()) == LuTuning()


def test_a_panel_on_the_host_has_all_threads_of_the_rank_for_blas(gpus):
    gpus()
    kernel = LuFp64Cupy(Settings(threads=2, extra={"panel": "host"}))
    kernel.setup(problem(40), SelfComm(), None)
    found = {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}
    kernel.close()
    assert found == {2}
