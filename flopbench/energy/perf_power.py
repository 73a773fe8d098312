"""perf's power events, the way to RAPL's counters where powercap is absent: energy of each package and its memory.

Source: Linux, arch/x86/events/rapl.c and perf_event_open(2). The events count system-wide on one CPU of each package (cpumask), in
units of 2^-32 J (energy-pkg.scale), 64 bits wide, so they never wrap. They need CAP_PERFMON or perf_event_paranoid <= 0.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from collections.abc import Callable

from flopbench.energy.meter import Found, Meter, MeterLost
from flopbench.machine.source import Source, parse_cpu_list

KIND = "perf"
FOLDER = "/sys/bus/event_source/devices/power"
EVENTS = {"energy-pkg": "package", "energy-ram": "dram"}
ALLOW = "allow it: sudo sysctl kernel.perf_event_paranoid=0"
#: Number of the system call perf_event_open, by machine (Linux, unistd.h).
_SYSCALL = {"x86_64": 298}
_ATTRIBUTE_BYTES = 64  # PERF_ATTR_SIZE_VER0

#: Opens (type, config, cpu) system-wide and gives a function that reads the count. Raises OSError.
Opener = Callable[[int, int, int], Callable[[], int]]


class PerfMeter(Meter):
    """One event on one CPU."""

    quantity = "energy"

    def __init__(self, name: str, cover: str, count: Callable[[], int], scale_j: float) -> None:
        super().__init__(name, cover)
        self._count, self._scale = count, scale_j

    def read(self) -> float:
        try:
            return self._count() * self._scale
        except OSError as error:
            raise MeterLost(f"{self.name}: {error.strerror or error}") from error


def find(source: Source, opener: Opener | None = None) -> Found:
    """A meter for each event and package, or why there is none."""
    kind = source.number(f"{FOLDER}/type")
    if kind is None:
        return Found(KIND, why_not=f"the kernel has no power events ({FOLDER})")
    cpus = parse_cpu_list(source.read(f"{FOLDER}/cpumask") or "0")
    meters = []
    for event, cover in EVENTS.items():
        code, scale = source.read(f"{FOLDER}/events/{event}"), source.read(f"{FOLDER}/events/{event}.scale")
        if code is None or scale is None:
            continue
        for number, cpu in enumerate(cpus):
            try:
                count = (opener or open_event)(kind, int(code.partition("=")[2], 16), cpu)
            except OSError as error:
                return Found(KIND, why_not=f"{event} cannot be opened: {error.strerror or error}; {ALLOW}")
            meters.append(PerfMeter(f"{KIND} {event} {number}", cover, count, float(scale)))
    return Found(KIND, tuple(meters), None if meters else f"no {' or '.join(EVENTS)} among the power events")


def open_event(kind: int, config: int, cpu: int) -> Callable[[], int]:
    """perf_event_open(2) for all processes on `cpu`. Raises OSError."""
    number = _SYSCALL.get(platform.machine())
    if number is None:
        raise OSError(f"perf_event_open's number on {platform.machine()} is not known here")
    attribute = struct.pack("=IIQ", kind, _ATTRIBUTE_BYTES, config).ljust(_ATTRIBUTE_BYTES, b"\0")
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.syscall(number, ctypes.c_char_p(attribute), -1, cpu, -1, 0)
    if descriptor < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return lambda: int(struct.unpack("=Q", os.read(descriptor, 8))[0])
