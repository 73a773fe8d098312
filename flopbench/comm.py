"""The ranks of a run: alone, or under an MPI launcher. mpi4py is imported only when a launcher is seen."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from flopbench.errors import NotPossible
from flopbench.kernel_api import Comm

#: Environment variables by which launchers tell a process how many ranks there are.
_SIZE_VARIABLES = (
    "OMPI_COMM_WORLD_SIZE",  # Open MPI
    "PMI_SIZE",  # MPICH, Intel MPI, srun --mpi=pmi2
    "PMIX_SIZE",
    "MV2_COMM_WORLD_SIZE",  # MVAPICH2
    "MPI_LOCALNRANKS",  # MPICH's hydra
)


class SelfComm:
    """One rank, no MPI."""

    rank = 0
    size = 1
    mpi = None

    def barrier(self) -> None:
        """Nothing to wait for."""

    def max(self, value: float) -> float:
        return value

    def sum_array(self, values: np.ndarray) -> np.ndarray:
        return values

    def max_array(self, values: np.ndarray) -> np.ndarray:
        return values

    def gather(self, value: Any) -> list[Any] | None:
        return [value]

    def bcast(self, value: Any) -> Any:
        return value


class MpiComm:
    """The ranks of an mpi4py communicator."""

    def __init__(self, mpi: Any) -> None:
        self.mpi = mpi
        self.rank: int = mpi.Get_rank()
        self.size: int = mpi.Get_size()

    def barrier(self) -> None:
        self.mpi.Barrier()

    def max(self, value: float) -> float:
        from mpi4py import MPI

        return float(self.mpi.allreduce(value, op=MPI.MAX))

    def sum_array(self, values: np.ndarray) -> np.ndarray:
        return self._allreduce(values, "SUM")

    def max_array(self, values: np.ndarray) -> np.ndarray:
        return self._allreduce(values, "MAX")

    def gather(self, value: Any) -> list[Any] | None:
        return self.mpi.gather(value, root=0)

    def bcast(self, value: Any) -> Any:
        return self.mpi.bcast(value, root=0)

    def _allreduce(self, values: np.ndarray, op: str) -> np.ndarray:
        from mpi4py import MPI

        result = np.empty_like(values)
        self.mpi.Allreduce(values, result, op=getattr(MPI, op))
        return result


def launched_ranks(environ: dict[str, str] | None = None) -> int:
    """How many ranks the launcher says there are; 1 if no launcher is seen."""
    env = os.environ if environ is None else environ
    sizes = [int(env[name]) for name in _SIZE_VARIABLES if env.get(name, "").isdigit()]
    if env.get("SLURM_STEP_NUM_TASKS", "").isdigit() and env.get("SLURM_PROCID", "").isdigit():
        sizes.append(int(env["SLURM_STEP_NUM_TASKS"]))
    return max(sizes, default=1)


def world() -> Comm:
    """All ranks of this job, or SelfComm. Raises NotPossible when a launcher is there but mpi4py is not."""
    if launched_ranks() == 1:
        return SelfComm()
    try:
        from mpi4py import MPI
    except ImportError as error:
        raise NotPossible(
            f"started as one of {launched_ranks()} MPI ranks, but mpi4py cannot be used ({error}); "
            "install it: pip install 'flopbench[mpi]' (the site's MPI) or 'flopbench[mpi-wheel]' (MPICH from PyPI)"
        ) from error
    return MpiComm(MPI.COMM_WORLD)
