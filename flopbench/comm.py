"""The ranks of a run: alone, or under an MPI launcher. mpi4py is imported only when a launcher is seen."""

from __future__ import annotations

import atexit
import os
import socket
from collections.abc import Mapping
from typing import Any

import numpy as np

from flopbench.errors import BadInput, NotPossible
from flopbench.kernel_api import Comm
from flopbench.launcher import launched_by_srun, launched_ranks


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
    version = MPI.Get_library_version().strip("\0 \n")
    complaint = wrong_library(os.environ, version)
    if complaint:
        raise NotPossible(complaint)
    if not MPI.Is_initialized():
        MPI.Init_thread(MPI.THREAD_FUNNELED)
        atexit.register(_finalize)
    if MPI.COMM_WORLD.Get_size() == 1:
        raise NotPossible(_mismatch(f"this process is one of {ranks} ranks", version, os.environ))
    return MpiComm(MPI.COMM_WORLD)


def agree(comm: Comm, mine: Mapping[str, object]) -> None:
    """Collective. Raises BadInput on every rank if a rank was given other options than rank 0, naming it and its host."""
    told = comm.gather((dict(mine), socket.gethostname()))
    message = None
    for rank, (theirs, host) in enumerate(told or []):
        other = [name for name, value in theirs.items() if value != mine[name]]
        if other and message is None:
            given = ", ".join(f"--{name.replace('_', '-')} {theirs[name]} instead of {mine[name]}" for name in other)
            message = f"rank {rank} on {host} was given {given}; start all ranks with the same options"
    message = comm.bcast(message)
    if message:
        raise BadInput(message)


def wrong_library(environ: Mapping[str, str], version: str) -> str | None:
    """What is wrong if the launcher that set `environ` cannot start ranks of the MPI with this `version` text; None if it can."""
    is_open = "open mpi" in version.lower()
    by_mpirun, by_pmix, by_pmi = ("OMPI_COMM_WORLD_SIZE" in environ, "PMIX_RANK" in environ, "PMI_SIZE" in environ)
    if by_mpirun and not is_open:
        return _mismatch("started by Open MPI's mpirun", version, environ)
    if is_open and by_pmi and not by_mpirun and not by_pmix:
        return _mismatch("started by a launcher that speaks MPICH's PMI", version, environ)
    if is_open and launched_by_srun(environ) and not (by_mpirun or by_pmix or by_pmi):
        return _mismatch("started by srun without PMIx", version, environ)
    # only a build --with-pmix speaks it; others abort in MPI_Init (MPICH's own version text lists how it was configured)
    if version.startswith("MPICH") and by_pmix and not (by_mpirun or by_pmi) and "pmix" not in version.lower():
        return _mismatch("started by a launcher that speaks PMIx", version, environ)
    return None


def _mismatch(how: str, version: str, environ: Mapping[str, str]) -> str:
    library = version.splitlines()[0].split(",")[0]
    if launched_by_srun(environ):
        flag = "pmix" if "open mpi" in version.lower() else "pmi2"
        way_out = f"start it with srun --mpi={flag}, or with that MPI's own mpiexec"
    else:
        way_out = "start it with that MPI's own mpiexec"
    return (
        f"{how}, but mpi4py uses {' '.join(library.split())}, so every rank would run alone; {way_out}, or name the "
        "launcher's library: MPI4PY_LIBMPI=/path/to/libmpi.so"
    )


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())


def _finalize() -> None:
    """MPI_Finalize at the end of the process, unless somebody else did it or the job is being torn down."""
    from mpi4py import MPI

    if not MPI.Is_finalized():
        MPI.Finalize()
