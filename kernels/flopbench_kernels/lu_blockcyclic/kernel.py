"""The kernels on top of the block-cyclic LU: `lu_fp64_numba` on the processor; other devices derive from `BlockCyclicLu`."""

from __future__ import annotations

import os
import socket
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from flopbench.blas_threads import BlasThreads
from flopbench.errors import BadInput, RunFailed
from flopbench.kernel_api import Comm, Kernel, LuOutcome, LuProblem
from flopbench_kernels.device.blas import Blas, blas_by_path, scipy_blas
from flopbench_kernels.device.contract import Device
from flopbench_kernels.lu_blockcyclic import grid as grids
from flopbench_kernels.lu_blockcyclic.factorise import Factorisation
from flopbench_kernels.lu_blockcyclic.grid import Grid, owned_below
from flopbench_kernels.lu_blockcyclic.layout import LocalMatrix
from flopbench_kernels.lu_blockcyclic.panel_resident import Residence
from flopbench_kernels.lu_blockcyclic.solve import BackwardSubstitution, gather_solution


class BlockCyclicLu(Kernel):
    """LU with partial pivoting on a P x Q grid of ranks (or alone), on the device that `make_device` gives.

    One step of `run`: factor a panel on the host, send it along the process row, exchange rows in the process column, update. See
    docs/lu.md. L and U are kept in the forms that suit this kernel; HPL's L1, U and equilibration switches change nothing.
    """

    routine = "lu"
    precision = "fp64"
    distributed = True

    _device: Device | None = None
    _factorisation: Factorisation | None = None
    _substitution: BackwardSubstitution | None = None
    _matrix: LocalMatrix | None = None
    _grid: Grid | None = None
    _blas_threads: BlasThreads | None = None

    @abstractmethod
    def make_device(self, threads: int, comm: Comm) -> Device:
        """This rank's device. Raises NotPossible."""

    def memory_bytes(self, problem: LuProblem) -> int:
        """Of the rank that has most: its share of [A | b], the panels that are alive at once, and the exchange buffers."""
        nb = problem.nb
        rows = owned_below(problem.n, nb, 0, problem.p)
        columns = max(owned_below(problem.n + 1, nb, me, problem.q) for me in {0, problem.n // nb % problem.q})
        panels = problem.tuning.depth + (2 if problem.q > 1 else 1)
        count = (rows + 8) * columns + panels * (rows + nb + 16) * nb
        if problem.p > 1:
            count += 5 * nb * columns
        return 8 * count

    def setup(self, problem: LuProblem, comm: Comm, machine: Any) -> None:
        """Collective. Raises BadInput if ranks disagree, RunFailed on every rank if one cannot allocate."""
        self.close()
        agree_on(problem, comm)
        self._comm, self._machine = comm, machine
        self._grid = grids.build(comm, problem.p, problem.q, problem.tuning.pmap)
        self._problem = problem
        self._threads = self.settings.threads or default_threads(comm, machine)
        fault = None
        if self._grid is not None:
            try:
                self._allocate(problem, self._grid, comm)
            except MemoryError as error:
                fault = f"rank {comm.rank} on {socket.gethostname()}: not enough memory for its part of N = {problem.n}: {error}"
            except RunFailed as error:
                fault = f"rank {comm.rank} on {socket.gethostname()}: {error}"
        self._blas_threads = BlasThreads(self.blas_threads())
        excess = self._blas_threads.excess()
        if fault is None and excess:
            fault = f"rank {comm.rank} on {socket.gethostname()}: BLAS threads cannot be held at one each: {excess}"
        together(comm, fault)

    def _allocate(self, problem: LuProblem, grid: Grid, comm: Comm) -> None:
        self._device = self.make_device(self._threads, comm)
        self._matrix = LocalMatrix(problem.n, problem.nb, grid, problem.tuning.align)
        self._matrix.allocate(self._device)
        self._factorisation = Factorisation(
            self._device, self._threads, self.host_blas(), self._matrix, grid, problem.tuning, self.settings.observer,
            self.residence(self._device, grid),
        )  # fmt: skip
        self._substitution = BackwardSubstitution(self._device, self._matrix, grid)

    def residence(self, device: Device, grid: Grid) -> Residence | None:
        """What happens on the device beside the update; None: panels are factored, and messages sent, on the host."""
        return None

    def host_blas(self) -> Blas:
        """For the panel, which is factored on the host whatever the device."""
        return blas_by_path(self.settings.blas) if self.settings.blas else scipy_blas()

    def blas_threads(self) -> int:
        """Of each BLAS call on the host: one, since every thread of this rank makes calls of its own."""
        return 1

    def reset(self) -> None:
        """Generate [A | b] again."""
        if self._matrix is None or self._device is None or self._factorisation is None:
            return
        stream = self._factorisation.main
        self._matrix.fill(self._device, stream, self._problem.matrix)
        stream.record().synchronize()

    def run(self) -> None:
        if self._factorisation is None or self._substitution is None:
            return
        self._factorisation.run()
        if self.settings.observer is not None:
            self.settings.observer.enter("solve")
        self._factorisation.urgent.wait(self._factorisation.main.record())
        self._substitution.run(self._factorisation.urgent)

    def outcome(self) -> LuOutcome:
        x = None
        singular = 0.0
        if self._substitution is not None and self._grid is not None and self._factorisation is not None:
            x = gather_solution(self._grid, self._substitution.solution)
            singular = float(self._factorisation.singular)
        if self._comm.size > self._problem.p * self._problem.q:
            x = self._comm.bcast(x)
        assert x is not None
        return LuOutcome(x, singular=bool(self._comm.max(singular)))

    def pivots(self) -> np.ndarray:
        """Row that was swapped with row i in step i, global, shape (n,), int64: LAPACK's ipiv, counted from 0. Empty on idle ranks."""
        return self._factorisation.pivots.copy() if self._factorisation is not None else np.empty(0, np.int64)

    def close(self) -> None:
        for part in (self._substitution, self._factorisation, self._matrix):
            if part is not None:
                part.free()
        if self._device is not None:
            self._device.close()
        if self._blas_threads is not None:
            self._blas_threads.restore()
        self._substitution = self._factorisation = self._matrix = self._device = self._grid = self._blas_threads = None

    def describe(self) -> dict[str, str]:
        return dict(self._device.describe()) if self._device is not None else {}


class LuFp64Numba(BlockCyclicLu):
    """On the processor: panels in Numba, updates by our own product or in BLAS, which has one thread for every thread of the rank.

    Option update: our `own` product and triangular solve, `blas` for both, or `auto`: our own where they were measured to be no slower,
    but that a BLAS that was named multiplies itself.
    """

    name = "lu_fp64_numba"
    backend = "numba"
    summary = "block-cyclic LU over MPI or alone: panel in Numba, update by our own product or BLAS, look-ahead"
    options: ClassVar[Mapping[str, tuple[str, ...]]] = {"update": ("auto", "own", "blas")}
    user_order = 30

    def why_not(self, machine: Any) -> str | None:
        return None

    def memory_bytes(self, problem: LuProblem) -> int:
        """Besides, a packed panel, and for each thread the packed columns of U that it multiplies by and a panel of L1."""
        nb = problem.nb
        rows = owned_below(problem.n, nb, 0, problem.p)
        threads = self.settings.threads or len(os.sched_getaffinity(0))  # at most: ranks may share them
        return super().memory_bytes(problem) + 8 * (nb + 16) * (rows + 512 * (threads + 1))

    def make_device(self, threads: int, comm: Comm) -> Device:
        from flopbench_kernels.device.cpu import CpuDevice
        from flopbench_kernels.gemm_numba import blocking, isa, microkernels
        from flopbench_kernels.gemm_numba.subtract import Subtraction

        row = microkernels.choose("fp64", "float64", isa.supported(self._machine), None)
        asked = self.option("update")
        if row is None or asked == "blas" or (asked == "auto" and not _measured_no_slower(row.isa, self._machine)):
            return CpuDevice(threads, self.settings.blas)
        own = Subtraction(row, blocking.caches_of(self._machine), self._problem.nb, threads)
        multiplies = asked == "own" or not self.settings.blas  # a library that was named is meant
        return CpuDevice(threads, self.settings.blas, own, multiplies)


def _measured_no_slower(instruction_set: str, machine: Any) -> bool:
    """Whether our own product was no slower than BLAS in the LU: docs/lu.md. On Intel's AVX-512 nobody has timed it."""
    return instruction_set == "avx2" or (instruction_set == "avx512" and machine.cpu.vendor == "AuthenticAMD")


def agree_on(problem: LuProblem, comm: Comm) -> None:
    """Collective. Raises BadInput on every rank if they were not given the same problem."""
    mine = {name: getattr(problem, name) for name in ("n", "nb", "p", "q", "seed")}
    mine |= {name: value for name, value in vars(problem.tuning).items() if name != "explicit"}
    told = comm.gather((mine, socket.gethostname()))
    message = None
    for rank, (theirs, host) in enumerate(told or []):
        other = [f"{name} = {value} instead of {mine[name]}" for name, value in theirs.items() if value != mine[name]]
        if other:
            message = (
                f"rank {rank} on {host} was given another problem than rank 0: {', '.join(other)}; "
                "start all ranks with the same options"
            )
    message = comm.bcast(message)
    if message:
        raise BadInput(message)


def together(comm: Comm, fault: str | None) -> None:
    """Collective. Raises RunFailed on every rank, with the first fault, if any rank has one."""
    faults = comm.gather(fault)
    first = comm.bcast(next((text for text in faults if text), None) if faults is not None else None)
    if first:
        raise RunFailed(first)


def default_threads(comm: Comm, machine: Any) -> int:
    """Cores that this rank may take for itself: all usable ones when alone, its share of the node's when ranks share them."""
    if comm.mpi is None:
        return int(machine.limits.usable_cores)
    from mpi4py import MPI

    node = comm.mpi.Split_type(MPI.COMM_TYPE_SHARED)
    masks = node.allgather(frozenset(os.sched_getaffinity(0)))
    node.Free()
    mine = frozenset(os.sched_getaffinity(0))
    sharing = sum(1 for mask in masks if mask & mine)
    return max(1, min(int(machine.limits.usable_cores), len(mine)) // sharing)
