"""A kernel with a planted delay: LAPACK's LU, then idle arithmetic for a given fraction of the time that it took.

For the experiments on the gate only. The fraction comes from the environment, PLANTED_A for lu_fp64_planteda and so on, so that base and
head can run "the same" kernel at two speeds. Here, and nowhere else, a kernel reads a clock.
"""

from __future__ import annotations

import os
from time import perf_counter

from flopbench_kernels.lu_lapack import LuLapack


class _Planted(LuLapack):
    summary = "LAPACK's LU with a planted delay"
    variable: str

    def run(self) -> None:
        start = perf_counter()
        super().run()
        end = perf_counter()
        end += float(os.environ.get(self.variable, "0")) * (end - start)
        while perf_counter() < end:
            pass


class PlantedA(_Planted):
    name = "lu_fp64_planteda"
    variable = "PLANTED_A"


class PlantedB(_Planted):
    name = "lu_fp64_plantedb"
    variable = "PLANTED_B"
