"""cupy_backends.cuda.api.runtime over host memory, as far as flopbench calls it."""

from __future__ import annotations

from flopbench.gpu_selftest.stand_in.memory import Region, matrix
from flopbench.gpu_selftest.stand_in.schedule import Schedule

_KINDS = {1: ("pinned", "device"), 2: ("device", "pinned"), 3: ("device", "device")}  # cudaMemcpyKind: source, target


class RuntimeError_(RuntimeError):  # noqa: N801 - stands beside the builtin of that name
    """As CUDARuntimeError."""

    def __init__(self, status: int, name: str) -> None:
        self.status = status
        super().__init__(name)


class Runtime:
    """Copies and sets. Asynchronous copies must touch pinned host memory only: from pageable memory CUDA would silently wait."""

    def __init__(self, schedule: Schedule, devices: int) -> None:
        self._schedule = schedule
        self._devices = devices

    def getDeviceCount(self):  # noqa: N802 - CuPy's name
        return self._devices

    def memcpy2DAsync(self, dst, dpitch, src, spitch, width, height, kind, stream):  # noqa: N802 - CuPy's name
        if width > min(dpitch, spitch):
            raise RuntimeError_(12, "cudaErrorInvalidPitchValue: width exceeds a pitch")
        source, target = Region(src, width, spitch, height), Region(dst, width, dpitch, height)
        for region, memory in zip((source, target), _KINDS[kind], strict=True):
            self._schedule.arena.check(region, memory, "memcpy2DAsync")

        def action() -> None:
            matrix(dst, width, height, dpitch, "uint8")[...] = matrix(src, width, height, spitch, "uint8")

        name = {1: "copy_in", 2: "copy_out", 3: "copy"}[kind]
        self._schedule.submit(self._schedule.streams[stream], name, [source], [target], action)

    def memsetAsync(self, ptr, value, size, stream):  # noqa: N802 - CuPy's name
        region = Region(ptr, size, size, 1)
        self._schedule.arena.check(region, "device", "memsetAsync")

        def action() -> None:
            matrix(ptr, size, 1, size, "uint8")[...] = value

        self._schedule.submit(self._schedule.streams[stream], "memset", [], [region], action)
