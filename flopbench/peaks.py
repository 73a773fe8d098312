"""What a rate is held against: Rpeak from the hardware table, and the ceiling measured on the same threads, minutes before."""

from __future__ import annotations

from flopbench.kernel_api import Comm, Kernel
from flopbench.machine.model import Machine
from flopbench.results import Ceiling, Rpeak


class Peaks:
    """Rpeak and ceiling of all ranks together, for any kernel; each is found out once per precision."""

    def __init__(self, machine: Machine, comm: Comm, threads: int) -> None:
        self._machine = machine
        self._comm = comm
        self._threads = threads

    def rpeak(self, kernel: Kernel) -> tuple[Rpeak | None, str | None]:
        """Rpeak of what `kernel` uses, or None and the reason."""
        return None, "this version of flopbench has no hardware table"

    def ceiling(self, kernel: Kernel) -> tuple[Ceiling | None, str | None]:
        """The measured ceiling of what `kernel` uses, or None and the reason."""
        return None, "this version of flopbench cannot measure a ceiling"
