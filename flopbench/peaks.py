"""What a rate is held against: Rpeak from the hardware table, and the ceiling measured on the same threads, minutes before."""

from __future__ import annotations

import numpy as np

from flopbench import ceiling, timing
from flopbench.kernel_api import Comm, Kernel
from flopbench.machine.model import Machine
from flopbench.results import Ceiling, Rpeak
from flopbench.specs.rpeak import machine_rpeak


class Peaks:
    """Rpeak and ceiling of all ranks together, for any kernel; each is found out once per precision."""

    def __init__(self, machine: Machine, comm: Comm, threads: int) -> None:
        self._machine = machine
        self._comm = comm
        self._threads = threads
        self._hosts = len(set(comm.bcast(comm.gather(machine.hostname))))
        self._ceilings: dict[str, Ceiling | str] = {}

    def prepare(self, kernel: Kernel) -> None:
        """Measure what `kernel` will be held against. Collective: every rank calls it, before the runs."""
        if kernel.device == "cpu" and kernel.precision not in self._ceilings:
            self._ceilings[kernel.precision] = self._measure(kernel.precision)

    def rpeak(self, kernel: Kernel) -> tuple[Rpeak | None, str | None]:
        """Rpeak of the machines in precision and on device of `kernel`, or None and the reason. TOP500's conventions."""
        found = machine_rpeak(self._machine, kernel.precision, device=kernel.device, nodes=self._hosts)
        return (None, found) if isinstance(found, str) else (found, None)

    def ceiling(self, kernel: Kernel) -> tuple[Ceiling | None, str | None]:
        """The ceiling that `prepare` measured for `kernel`, or None and the reason."""
        if kernel.device != "cpu":
            return None, "ceilings are measured on processors only"
        found = self._ceilings[kernel.precision]
        return (None, found) if isinstance(found, str) else (found, None)

    def _measure(self, precision: str) -> Ceiling | str:
        timing.settle()
        self._comm.barrier()
        here = ceiling.measure(precision, self._threads, self._machine)
        flops = 0.0 if isinstance(here, str) else here.flops
        ranks = int(self._comm.sum_array(np.array([float(flops > 0)]))[0])
        total = float(self._comm.sum_array(np.array([flops]))[0])
        if isinstance(here, str):
            return here
        if ranks < self._comm.size:
            return f"measured on {ranks} of {self._comm.size} ranks only"
        method = here.method if self._comm.size == 1 else f"{here.method}; sum of {ranks} ranks at once"
        return Ceiling(flops=total, method=method)
