"""The contract between the harness and a kernel. Both sides import this file and nothing of each other.

A kernel is one class in one file, registered under one entry point whose name is the kernel's name. The harness calls, in order:

    kernel = Class(settings)
    kernel.why_not(machine)      None, or the reason why it cannot run here
    kernel.memory_bytes(problem) what setup will hold, so that a plan never swaps
    kernel.setup(problem, comm, machine)     allocate, generate: not timed
    repeat:
        kernel.reset()           restore what run overwrites: not timed
        kernel.run()             the work, all of it; returns when it is done: timed by the harness
    kernel.outcome()             what the check needs: not timed
    kernel.close()               give everything back

A kernel never reads a clock, never prints and never judges its own result.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import numpy as np

from flopbench.errors import BadInput


class MatrixSource(Protocol):
    """A matrix that can be written block by block, at any time, always the same: so that a check needs no stored copy."""

    def fill(self, out: np.ndarray, row0: int, col0: int) -> None:
        """Write rows row0.. and columns col0.. into `out` (float64, column-major, any leading dimension; overwritten)."""


@dataclass(frozen=True)
class LuTuning:
    """How HPL is to go about it; the words, codes and defaults of HPL.dat (HPL 2.3, TUNING). Kernels ignore what they lack."""

    pmap: str = "row"  # row | column: order of the ranks in the P x Q grid
    depth: int = 1  # look-ahead
    bcast: str = "1ringM"  # 1ring 1ringM 2ring 2ringM long longM mpi
    rfact: str = "right"  # left | crout | right: recursive panel factorisation
    ndiv: int = 2
    pfact: str = "right"  # left | crout | right: panel of at most NBMIN columns
    nbmin: int = 4
    swap: str = "mix"  # binexch | long | mix
    swap_threshold: int = 64
    l1_transposed: bool = True
    u_transposed: bool = True
    equilibration: bool = True
    align: int = 8  # doubles
    explicit: frozenset[str] = frozenset()  # which of these the user chose, so that a kernel that lacks one can say so


@dataclass(frozen=True)
class LuProblem:
    """Solve A x = b in FP64. `matrix` is [A | b], n x (n+1), column n being b; ranks form a p x q grid."""

    n: int
    nb: int
    matrix: MatrixSource
    p: int = 1
    q: int = 1
    seed: int = 100
    tuning: LuTuning = field(default_factory=LuTuning)


@dataclass(frozen=True)
class GemmProblem:
    """C = A B (+ C if beta is 1) with A m x k and B k x n in one precision; operands are random, from `seed`."""

    m: int
    n: int
    k: int
    precision: str
    seed: int = 100
    beta: int = 0


class Observer(Protocol):
    """What a kernel may tell the harness while it runs: the harness owns the clock. Calls must cost next to nothing."""

    def enter(self, phase: str) -> None:
        """From now on, this rank's time belongs to `phase`: panel, broadcast, swap, update, wait, solve."""

    def progress(self, fraction: float) -> None:
        """This much of the work is done, 0 to 1."""


@dataclass(frozen=True)
class Settings:
    """How a kernel is to run, as far as the user or the plan has decided. None means: the kernel's own choice."""

    threads: int | None = None  # per rank
    blas: str | None = None  # path or name of a BLAS library
    isa: str | None = None  # instruction set to use at most, e.g. "avx2"
    device_index: int | None = None
    observer: Observer | None = None  # hears of phases and progress
    extra: Mapping[str, str] = field(default_factory=dict)  # --option NAME=VALUE, for kernels of others


@dataclass(frozen=True)
class LuOutcome:
    """x: float64, shape (n,), on every rank. singular: the kernel met a pivot that is exactly zero."""

    x: np.ndarray
    singular: bool = False


class HeldMatrix(Protocol):
    """A matrix that stays where the kernel has it, on a GPU: what the check asks of it is computed there and only the answers travel.

    `dtype`, `shape`, `size` and single elements, rows and columns by index, are as of a NumPy array. Not for the kernel's own arithmetic:
    what forms these sums must share nothing with what formed the product.
    """

    shape: tuple[int, int]
    dtype: np.dtype
    size: int

    def __getitem__(self, key: Any) -> np.ndarray: ...
    def times(self, x: np.ndarray, squared: bool = False) -> np.ndarray:
        """x @ M, or x @ M^2 elementwise, in float64; x is float64, shape (groups, rows)."""

    def times_twofold(self, hi: np.ndarray, lo: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(hi + lo) @ M for float64 as a pair of float64 vectors whose sum is right to about 106 bits; hi and lo have shape (rows,)."""

    def times_modulo(self, x: np.ndarray) -> np.ndarray:
        """x @ M modulo 2^64 for integers, uint64; x is uint64, shape (1, rows)."""

    @property
    def T(self) -> HeldMatrix: ...  # noqa: N802  as NumPy calls it


@dataclass(frozen=True)
class GemmOutcome:
    """The operands as the kernel multiplied them, and its product.

    a: (m, k), b: (k, n), c: (m, n); any strides. bfloat16 comes as uint16 bit patterns, FP8 (E4M3) as uint8. Matrices on a GPU may
    stay there (HeldMatrix), valid until the next reset. `c0` is C before the run if beta is 1.
    `accumulator` is the NumPy name of the type in which sums were kept, which sets the bound of the check. `rounding` is "nearest", or
    "toward_zero" where the sums are known to be cut off, as on some tensor units.
    """

    a: np.ndarray | HeldMatrix
    b: np.ndarray | HeldMatrix
    c: np.ndarray | HeldMatrix
    accumulator: str
    c0: np.ndarray | HeldMatrix | None = None
    rounding: str = "nearest"


class Comm(Protocol):
    """What kernels and harness use of the ranks of a run. SelfComm and MpiComm in flopbench.comm provide it."""

    rank: int
    size: int
    mpi: Any  # the mpi4py communicator, or None when alone

    def barrier(self) -> None: ...
    def max(self, value: float) -> float: ...
    def sum_array(self, values: np.ndarray) -> np.ndarray: ...
    def max_array(self, values: np.ndarray) -> np.ndarray: ...
    def gather(self, value: Any) -> list[Any] | None: ...
    def bcast(self, value: Any) -> Any: ...


class Kernel(ABC):
    """One routine in one precision on one backend. Subclasses set the class attributes and the methods, in this order."""

    name: ClassVar[str]  # <routine>_<precision>_<backend>, only a-z 0-9 _
    routine: ClassVar[str]  # lu | gemm
    precision: ClassVar[str]
    backend: ClassVar[str]
    device: ClassVar[str] = "cpu"  # cpu | cuda
    summary: ClassVar[str]  # one line for `flopbench kernels`
    accumulator: ClassVar[str] = ""  # where it differs from the precision's usual one
    distributed: ClassVar[bool] = False  # runs on more than one rank
    options: ClassVar[Mapping[str, tuple[str, ...]]] = {}  # --option NAME=VALUE: allowed values, the default first
    user_order: ClassVar[int] = 50  # the lowest that can run is the default of its routine

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()

    def option(self, name: str) -> str:
        """What the user chose for one of `options`, or its default."""
        return self.settings.extra.get(name, self.options[name][0])

    def require_options(self) -> None:
        """Raises BadInput if the user gave an option, or a value, that this kernel does not have."""
        for name, value in self.settings.extra.items():
            if name not in self.options:
                known = ", ".join(self.options) or "none"
                raise BadInput(f"--option {name}={value}: {self.name} has no option {name}; allowed: {known}")
            if value not in self.options[name]:
                raise BadInput(f"--option {name}={value}; allowed: {', '.join(self.options[name])}")

    def tuned(self, tuning: LuTuning) -> LuTuning:
        """`tuning` with this kernel's own choices where the user made none (see `LuTuning.explicit`)."""
        return tuning

    @abstractmethod
    def why_not(self, machine: Any) -> str | None:
        """None if this kernel can run on `machine`, else the reason in one line. Must not raise."""

    @abstractmethod
    def memory_bytes(self, problem: Any) -> int:
        """Bytes that one rank holds at most between setup and close, workspaces included."""

    @abstractmethod
    def setup(self, problem: Any, comm: Comm, machine: Any) -> None:
        """Allocate and generate. May be called again after close."""

    @abstractmethod
    def reset(self) -> None:
        """Bring back what run overwrites, bit for bit; poison what run must write."""

    @abstractmethod
    def run(self) -> None:
        """Do the work and return when it is done, on every rank."""

    @abstractmethod
    def outcome(self) -> Any:
        """LuOutcome or GemmOutcome of the last run. Collective under MPI."""

    @abstractmethod
    def close(self) -> None:
        """Release memory and handles. May be called twice, and before setup."""

    def memory_room(self, comm: Comm) -> tuple[int, str] | None:
        """Bytes that this rank's share may take, and whose, where that is not the host's memory: a GPU's. Collective. None: the host's."""
        return None

    def device_seconds(self) -> float | None:
        """Time of the last run by the device's own events, for holding against the harness's clock. None without such events."""
        return None

    def gpu_address(self) -> str | None:
        """PCI address of the GPU that this kernel runs on, between setup and close, for whoever reads its meters. None: no GPU."""
        return None

    def describe(self) -> dict[str, str]:
        """What this kernel chose that a reader of the record wants to know (instruction set, library, blocking)."""
        return {}


class CeilingLoop(ABC):
    """A loop that keeps its operands in registers and does nothing but one precision's arithmetic, on the calling thread.

    Found through the entry point group `flopbench.ceilings`, each entry a function that gives a list of them. The harness runs one
    on every thread at once and times that; a loop never reads a clock.
    """

    name: str  # by instruction set, e.g. avx512_vnni
    precision: str
    stand_in: str = ""  # why this is not the precision's own arithmetic: used only if none of that can run

    @abstractmethod
    def why_not(self, machine: Any) -> str | None:
        """None if the loop can run on `machine`, else the reason in one line. Must not raise."""

    @abstractmethod
    def prepare(self) -> None:
        """Compile, ask the system for what it must permit: not timed. Raises NotPossible."""

    @property
    @abstractmethod
    def operations(self) -> int:
        """Operations (FLOP or OP) of one iteration, after prepare."""

    @property
    @abstractmethod
    def method(self) -> str:
        """What is executed, in a few words, for the record."""

    @abstractmethod
    def run(self, iterations: int) -> float:
        """Do so many iterations without the interpreter's lock. The value depends on every one of them, and on nothing else."""
