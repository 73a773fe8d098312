"""Matrices that stay on the GPU while a product is checked: flopbench.kernel_api.HeldMatrix over our own kernels (sources/check.cu).

The check's sums are formed here, in FP64, twofold FP64 or integers modulo 2^64, by kernels that share nothing with the product's; what
comes to the host are the sums and single elements. Valid until the buffers are used again.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from flopbench_kernels.cuda import constants as const
from flopbench_kernels.cuda.context import Gpu, Lane, grid_over
from flopbench_kernels.cuda.matrix import Matrix

LANES, GROUPS = 32, 4  # as in check.cu
_LEAST = 1024


def check_bytes(longest: int) -> int:
    """Device memory that a check of matrices with at most `longest` rows or columns takes: weights, partial sums, sums."""
    return (2 + LANES) * GROUPS * max(longest, _LEAST) * 8


class CheckSpace:
    """The memory and the kernels of a check; made before the runs, so that none is allocated between them."""

    def __init__(self, gpu: Gpu, lane: Lane, longest: int) -> None:
        self.length = max(longest, _LEAST)
        self._gpu, self._lane = gpu, lane
        self._kernels = gpu.kernels("check")
        self._memory = gpu.allocate(check_bytes(longest), "the check of the product")
        self._pinned = gpu.pinned(GROUPS * self.length * 8)
        part = GROUPS * self.length * 8
        self.inputs = int(self._memory.ptr)
        self.sums = self.inputs + part
        self.partial = self.sums + part

    def put(self, values: np.ndarray, place: int) -> int:
        """Copy 8-byte `values` to `place` on the GPU; waits. Gives `place`."""
        flat = np.ascontiguousarray(values).reshape(-1)
        self._pinned[: flat.nbytes] = flat.view(np.uint8)
        self._gpu.copy(
            self._lane, flat.size, 1, self._pinned.ctypes.data, flat.size, place, flat.size, const.HOST_TO_DEVICE
        )
        self._gpu.wait(self._lane.stream, "sending what the check needs")
        return place

    def get(self, place: int, count: int, dtype: Any) -> np.ndarray:
        """`count` values from `place` on the GPU; waits."""
        item = np.dtype(dtype).itemsize
        self._gpu.copy(self._lane, count, 1, place, count, self._pinned.ctypes.data, count, const.DEVICE_TO_HOST, item)
        self._gpu.wait(self._lane.stream, "fetching what the check found")
        return self._pinned[: count * item].view(dtype).copy()

    def launch(self, name: str, threads: int, *args: Any) -> None:
        """Queue a kernel of check.cu over `threads` threads; integers are 64 bits wide, addresses unsigned."""
        self._gpu.launch(self._lane, self._kernels[name], name, grid_over(threads, 1), args)

    def download(self, matrix: Matrix) -> np.ndarray:
        """All of `matrix`, as stored."""
        dtype = const.DATA_TYPE_NUMPY[matrix.kind]
        return self._gpu.download(self._lane, matrix.address, matrix.rows, matrix.cols, matrix.ld, dtype)


class DeviceMatrix:
    """A matrix on the GPU as a check sees it: the transpose of what is stored, if `transposed`."""

    def __init__(self, space: CheckSpace, stored: Matrix, transposed: bool = False) -> None:
        self._space, self._stored, self._transposed = space, stored, transposed
        self.dtype = np.dtype(const.DATA_TYPE_NUMPY[stored.kind])
        rows, columns = stored.rows, stored.cols
        self.shape = (columns, rows) if transposed else (rows, columns)
        self.size = rows * columns
        self._steps = (stored.ld, 1) if transposed else (1, stored.ld)

    @property
    def T(self) -> DeviceMatrix:  # noqa: N802  as NumPy calls it
        return DeviceMatrix(self._space, self._stored, not self._transposed)

    def times(self, x: np.ndarray, squared: bool = False) -> np.ndarray:
        """x @ M, or x @ M^2 elementwise, in float64; x is float64, shape (groups, rows)."""
        columns = self.shape[1]
        found = np.empty((x.shape[0], columns))
        for first in range(0, x.shape[0], GROUPS):
            part = x[first : first + GROUPS]
            padded = np.zeros((GROUPS, self.shape[0]))
            padded[: len(part)] = part
            self._launch(
                f"weigh_{const.KERNEL_TYPES[self._stored.kind]}",
                padded,
                np.int64(squared),
                np.uint64(self._space.partial),
            )
            self._add("add_lanes_float64", GROUPS * columns)
            sums = self._space.get(self._space.sums, GROUPS * columns, np.float64).reshape(GROUPS, columns)
            found[first : first + GROUPS] = sums[: len(part)]
        return found

    def times_twofold(self, hi: np.ndarray, lo: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(hi + lo) @ M for FP64 as an unevaluated sum of two float64 vectors, not normalised; hi and lo have shape (rows,)."""
        space, columns = self._space, self.shape[1]
        far = space.partial + LANES * columns * 8
        self._launch(
            "twofold_float64", np.stack([hi, lo]), np.uint64(space.inputs + 8 * self.shape[0]), np.uint64(space.partial), np.uint64(far)
        )  # fmt: skip
        low = space.sums + columns * 8
        space.launch(
            "add_lanes_twofold", columns,
            np.uint64(space.partial), np.uint64(far), np.int64(columns), np.uint64(space.sums), np.uint64(low),
        )  # fmt: skip
        both = space.get(space.sums, 2 * columns, np.float64)
        return both[:columns], both[columns:]

    def times_modulo(self, x: np.ndarray) -> np.ndarray:
        """x @ M modulo 2^64 for integers, uint64, shape (1, columns); x is uint64, shape (1, rows)."""
        self._launch(f"count_{const.KERNEL_TYPES[self._stored.kind]}", x, np.uint64(self._space.partial))
        self._add("add_lanes_uint64", self.shape[1])
        return self._space.get(self._space.sums, self.shape[1], np.uint64).reshape(1, -1)

    def __getitem__(self, key: tuple[Any, Any]) -> np.ndarray:
        """Elements on the host, by NumPy's rules for a pair of integers, slices, or two index arrays of one shape."""
        index = [
            np.arange(*part.indices(length)) if isinstance(part, slice) else np.asarray(part, np.int64)
            for part, length in zip(key, self.shape, strict=True)
        ]
        if any(isinstance(part, slice) for part in key):
            index[0] = index[0].reshape(index[0].shape + (1,) * index[1].ndim)
        rows, columns = np.broadcast_arrays(*index)
        flat = rows.reshape(-1), columns.reshape(-1)
        pieces = [
            self._pick(flat[0][first : first + self._space.length], flat[1][first : first + self._space.length])
            for first in range(0, rows.size, self._space.length)
        ]
        return np.concatenate([np.empty(0, self.dtype), *pieces]).reshape(rows.shape)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """All of it on the host: for a look, not for a check."""
        stored = self._space.download(self._stored)
        return np.asarray(stored.T if self._transposed else stored, dtype=dtype)

    def _pick(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        space, count = self._space, rows.size
        self._launch(
            f"pick_{self.dtype.itemsize}", np.stack([rows, columns]).astype(np.int64),
            np.uint64(space.inputs + 8 * count), np.int64(count), np.uint64(space.sums), threads=count,
        )  # fmt: skip
        return space.get(space.sums, count, self.dtype)

    def _launch(self, name: str, weights: np.ndarray, *rest: Any, threads: int | None = None) -> None:
        """A kernel that takes this matrix and `weights`, sent before."""
        rows, columns = self.shape
        place = self._space.put(weights, self._space.inputs)
        steps = map(np.int64, (*self._steps, rows, columns))
        count = LANES * columns if threads is None else threads
        self._space.launch(name, count, np.uint64(self._stored.address), *steps, np.uint64(place), *rest)

    def _add(self, name: str, sums: int) -> None:
        self._space.launch(name, sums, np.uint64(self._space.partial), np.int64(sums), np.uint64(self._space.sums))
