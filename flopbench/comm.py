"""The ranks of a run: alone, or under an MPI launcher. mpi4py is imported only when a launcher is seen."""

from __future__ import annotations

import atexit
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from flopbench.errors import NotPossible
from flopbench.kernel_api import Comm
from flopbench.launcher import launched_ranks


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


def world() -> Comm:
    """All ranks of this job, or SelfComm. Raises NotPossible when mpi4py is missing, or uses another MPI than the launcher."""
    ranks = launched_ranks()
    if ranks == 1:
        return SelfComm()
    try:
        import mpi4py

        mpi4py.rc.initialize = False  # MPI_Init of the wrong library may end the process: look first
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        raise NotPossible(
            f"started as one of {ranks} MPI ranks, but mpi4py cannot be used ({_one_line(error)}); "
            "install it: pip install 'flopbench[mpi]' (the site's MPI) or 'flopbench[mpi-wheel]' (MPICH from PyPI)"
        ) from error
    library = MPI.Get_library_version().strip("\0 \n").splitlines()[0].split(",")[0]
    complaint = wrong_library(os.environ, library)
    if complaint:
        raise NotPossible(complaint)
    if not MPI.Is_initialized():
        MPI.Init_thread(MPI.THREAD_FUNNELED)
        atexit.register(_finalize)
    if MPI.COMM_WORLD.Get_size() == 1:
        raise NotPossible(_mismatch(f"this process is one of {ranks} ranks", library))
    return MpiComm(MPI.COMM_WORLD)


def wrong_library(environ: Mapping[str, str], library: str) -> str | None:
    """What is wrong if the launcher that set `environ` belongs to another MPI than `library` (its version line); None if it fits."""
    is_open = "open mpi" in library.lower()
    if "OMPI_COMM_WORLD_SIZE" in environ and not is_open:
        return _mismatch("started by Open MPI's mpirun", library)
    if is_open and "PMI_SIZE" in environ and "OMPI_COMM_WORLD_SIZE" not in environ and "PMIX_RANK" not in environ:
        return _mismatch("started by a launcher that speaks MPICH's PMI", library)
    return None


def _mismatch(how: str, library: str) -> str:
    return (
        f"{how}, but mpi4py uses {library}, so every rank would run alone; start it with that MPI's own mpiexec, or name the "
        "launcher's library: MPI4PY_LIBMPI=/path/to/libmpi.so"
    )


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())


def _finalize() -> None:
    """MPI_Finalize at the end of the process, unless somebody else did it or the job is being torn down."""
    from mpi4py import MPI

    if not MPI.Is_finalized():
        MPI.Finalize()
