"""Host memory that plays device memory and pinned memory: every block has bounds, and an access outside of them is an error."""

from __future__ import annotations

import bisect
import ctypes
import weakref
from dataclasses import dataclass

import numpy as np

ALIGNMENT = 256  # CUDA C++ Programming Guide: addresses of allocations are aligned to at least 256 bytes


class BadAccess(AssertionError):
    """An operation touched memory that it may not touch."""


@dataclass(frozen=True)
class Region:
    """Bytes of one block: `count` pieces of `width` bytes, `pitch` bytes apart, from `address` on."""

    address: int
    width: int
    pitch: int
    count: int

    @property
    def end(self) -> int:
        return self.address + self.pitch * (self.count - 1) + self.width

    def empty(self) -> bool:
        return self.width <= 0 or self.count <= 0

    def overlaps(self, other: Region) -> bool:
        """Whether the two have a byte in common: exact, also for different pitches."""
        if self.empty() or other.empty() or self.address >= other.end or other.address >= self.end:
            return False
        starts = other.address + other.pitch * np.arange(other.count)
        mine = self.address + self.pitch * np.arange(self.count)
        at = (
            np.searchsorted(starts, mine + self.width) - 1
        )  # the last piece of other that starts before the end of mine
        return bool(np.any((at >= 0) & (starts[np.maximum(at, 0)] + other.width > mine)))


@dataclass
class Block:
    """One allocation. `kind` is "device" or "pinned"."""

    start: int
    size: int
    kind: str
    alive: bool = True


class Owner:
    """Whoever holds this holds a block."""


class Arena:
    """All blocks of a run. Memory comes up filled with 0xFF, which is NaN in every floating-point type.

    A freed block is marked, and its bytes are kept: an operation that still uses it is then an error and not luck.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.used = 0
        self._starts: list[int] = []
        self._blocks: list[Block] = []
        self._bytes: list[np.ndarray] = []

    def new(self, size: int, kind: str) -> tuple[int, Owner]:
        """Address and owner of `size` bytes; the block ends when the owner is garbage. MemoryError beyond the capacity (device only)."""
        if kind == "device" and self.used + size > self.capacity:
            raise MemoryError(f"{size} bytes asked, {self.capacity - self.used} free")
        memory = np.full(size + ALIGNMENT, 0xFF, np.uint8)
        start = -(-memory.ctypes.data // ALIGNMENT) * ALIGNMENT
        block = Block(start, size, kind)
        at = bisect.bisect(self._starts, start)
        self._starts.insert(at, start)
        self._blocks.insert(at, block)
        self._bytes.append(memory)
        self.used += size if kind == "device" else 0
        owner = Owner()
        weakref.finalize(owner, self._free, block)
        return start, owner

    def _free(self, block: Block) -> None:
        block.alive = False
        self.used -= block.size if block.kind == "device" else 0

    def block(self, address: int) -> Block:
        """The live block that `address` lies in. Raises BadAccess."""
        at = bisect.bisect(self._starts, address) - 1
        if at < 0 or not (self._blocks[at].start <= address <= self._blocks[at].start + self._blocks[at].size):
            raise BadAccess(f"address {address:#x} lies in no block")
        if not self._blocks[at].alive:
            raise BadAccess(f"address {address:#x} lies in a block that was freed")
        return self._blocks[at]

    def check(self, region: Region, kind: str, what: str) -> None:
        """Raises BadAccess unless `region` lies in one live block of this kind."""
        if region.empty():
            return
        block = self.block(region.address)
        if block.kind != kind:
            raise BadAccess(f"{what}: {kind} memory expected, {region.address:#x} is {block.kind} memory")
        if region.end > block.start + block.size:
            raise BadAccess(f"{what}: {region.end - block.start - block.size} bytes beyond the end of its block")

    def blocks(self, kind: str) -> list[Block]:
        """The live blocks of one kind."""
        return [block for block in self._blocks if block.alive and block.kind == kind]


def matrix(address: int, rows: int, cols: int, ld: int, dtype: str) -> np.ndarray:
    """Column-major memory at `address` as a NumPy array of shape (rows, cols), without a copy."""
    item = np.dtype(dtype).itemsize
    if rows <= 0 or cols <= 0:
        return np.empty((max(rows, 0), max(cols, 0)), dtype, order="F")
    raw = (ctypes.c_char * ((ld * (cols - 1) + rows) * item)).from_address(address)
    return np.ndarray((rows, cols), dtype, buffer=raw, strides=(item, ld * item))


def column_major(address: int, rows: int, cols: int, ld: int, dtype: str) -> Region:
    """The bytes of such a matrix."""
    item = np.dtype(dtype).itemsize
    return Region(address, rows * item, ld * item, cols)
