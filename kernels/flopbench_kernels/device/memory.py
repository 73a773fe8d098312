"""Large host memory in pages as big as the system gives: a column of the matrix then costs one address translation, not many."""

from __future__ import annotations

import mmap

import numpy as np

HUGE_PAGE = 2 << 20


class HostMemory:
    """`count` float64, zero at first, starting on a huge-page boundary where huge pages pay off."""

    def __init__(self, count: int) -> None:
        """Raises MemoryError."""
        self.count = count
        size = max(8 * count, 8) + HUGE_PAGE
        try:
            self._map = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        except OSError as error:
            raise MemoryError(f"cannot allocate {8 * count} bytes: {error.strerror}") from error
        if hasattr(mmap, "MADV_HUGEPAGE") and 8 * count >= HUGE_PAGE:
            self._map.madvise(mmap.MADV_HUGEPAGE)
        raw = np.frombuffer(self._map, dtype=np.float64, count=size // 8)
        skip = -raw.ctypes.data % HUGE_PAGE // 8
        self.array: np.ndarray | None = raw[skip : skip + count]
        self.address: int = self.array.ctypes.data

    def free(self) -> None:
        """Give the pages back; may be called twice. Views that somebody still holds keep the memory alive."""
        self.array = None
        self.address = 0
        self._map = None
