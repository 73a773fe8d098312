"""What a device offers beyond the contract when panels are factored, or messages sent, where the matrix lies: on the GPU.

`DeviceBuffer` is device memory as MPI libraries that understand it take it, by the CUDA array interface (version 3, numba.readthedocs.io,
"CUDA Array Interface"); mpi4py reads it from any object. It says of no stream, so whoever sends has waited for the device before.
"""

from __future__ import annotations

from typing import Any, Protocol

from flopbench_kernels.device.contract import Memory, Stream


class DeviceBuffer:
    """`size` float64 of device memory from `address` on. `owner` keeps the memory alive. Slices are buffers too."""

    def __init__(self, address: int, size: int, owner: Any) -> None:
        self.address, self.size, self.owner = address, size, owner

    @classmethod
    def of(cls, memory: Memory) -> DeviceBuffer:
        """All of an allocation."""
        return cls(memory.address, memory.count, memory)

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {
            "shape": (self.size,), "typestr": "<f8", "data": (self.address, False), "version": 3, "strides": None,
            "stream": None,
        }  # fmt: skip

    def __getitem__(self, part: slice) -> DeviceBuffer:
        start, stop, step = part.indices(self.size)
        if step != 1:
            raise ValueError(f"a part of device memory must be contiguous, got step {step}")
        return DeviceBuffer(self.address + 8 * start, max(0, stop - start), self.owner)


class PanelKernels(Protocol):
    """The steps of a panel's columns on a device; see sources/panel_alone.cu and sources/panel.cu for what each does."""

    message: int  # device address of HEADER + 2 x width float64: the candidate of this rank, then the winner
    mine: int  # device address of 3 float64, the last of which says whether a pivot was zero
    most_alone: int  # columns that `alone` takes at once

    def begin(
        self, w: int, ld: int, width: int, height: int, has_top: bool, row0: int, nb: int, my_row: int, p: int, below: int, pivots: int
    ) -> None:  # fmt: skip
        """The panel that the next calls work on: `height` rows at w, its `width` pivots to the address `pivots`."""

    def alone(self, start: int, stop: int) -> None:
        """Columns start .. stop-1 where one rank has all rows."""

    def search(self, column: int) -> None:
        """Candidates among the rows from `column` on of that column."""

    def pack(self, j: int) -> None:
        """This rank's best candidate for pivot j becomes its message to the others."""

    def take(self, j: int) -> None:
        """The message becomes row j."""

    def eliminate(self, j: int, high: int) -> None:
        """Column j becomes L, columns j + 1 .. high - 1 are brought up to date; candidates for pivot j + 1 if that is below `high`."""

    def free(self) -> None: ...


class ResidentDevice(Protocol):
    """A device that can factor panels in its own memory."""

    def copy_within(self, stream: Stream, m: int, n: int, a: int, lda: int, b: int, ldb: int) -> None:
        """Device block B (m x n) becomes device block A; they must not overlap."""

    def panel_kernels(self, width: int, stream: Stream) -> PanelKernels:
        """For panels of up to `width` columns, queued on `stream`. Raises MemoryError."""
