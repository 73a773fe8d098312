"""Whether the MPI library takes device addresses, as far as it can be known without trying: a wrong try ends in a segmentation fault.

Sources: Open MPI documentation, "MPIX_Query_cuda_support"; MPICH's mpi.h has the same function; Cray MPICH is told by the environment
variable MPICH_GPU_SUPPORT_ENABLED (its manual page, intro_mpi).
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from flopbench.errors import NotPossible
from flopbench.kernel_api import Comm

_HOW = "leave out --option exchange, or set exchange=staged, to send through pinned host memory"


def why_not(libraries: list[Path], environ: Mapping[str, str], query: Callable[[Path], int | None]) -> str | None:
    """Why no device address may be handed to MPI, or None. `query` asks one library: 1, 0, or None where it has no such function."""
    answers = {path.name: query(path) for path in libraries}
    if any(answer == 1 for answer in answers.values()):
        return None
    if environ.get("MPICH_GPU_SUPPORT_ENABLED") == "1":
        return None
    told = next((name for name, answer in answers.items() if answer == 0), None)
    if told:
        return f"{told} says that it is not CUDA-aware (MPIX_Query_cuda_support gives 0); {_HOW}"
    names = ", ".join(sorted(answers)) or "no MPI library is loaded"
    return f"it cannot be known whether MPI is CUDA-aware (no MPIX_Query_cuda_support: {names}); {_HOW}"


def loaded_libraries(maps: Path = Path("/proc/self/maps")) -> list[Path]:
    """The MPI libraries in this process."""
    try:
        lines = maps.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    found = {Path(line.split(maxsplit=5)[5]) for line in lines if len(line.split(maxsplit=5)) == 6}
    return sorted(path for path in found if path.name.startswith("libmpi") and ".so" in path.name)


def ask(path: Path) -> int | None:
    """What MPIX_Query_cuda_support of a loaded library says; None if it has none."""
    try:
        function = ctypes.CDLL(str(path)).MPIX_Query_cuda_support
    except (OSError, AttributeError):
        return None
    function.argtypes, function.restype = [], ctypes.c_int
    return int(function())


def require(comm: Comm) -> None:
    """Raises NotPossible, on every rank, if MPI may not be given device addresses on one. Collective."""
    told = comm.bcast(comm.gather(why_not(loaded_libraries(), os.environ, ask)))
    for rank, reason in enumerate(told):
        if reason:
            raise NotPossible(f"exchange=cuda-aware, rank {rank}: {reason}")
