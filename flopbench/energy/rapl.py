"""RAPL through Linux's powercap: energy counters of processor packages and their memory, Intel's and AMD's (named intel-rapl too).

Zones: intel-rapl:N are packages (or psys, which contains them), intel-rapl:N:M lie inside one (core, uncore, dram), intel-rapl-mmio:N
are the same packages once more. Packages and dram are counted, each once; nothing that another zone contains. Sources: Linux,
Documentation/power/powercap/powercap.rst; permission 0400 since CVE-2020-8694 (Linux 5.10).
"""

from __future__ import annotations

import re

from flopbench.energy.meter import EnergyFile, Found, denied
from flopbench.machine.source import Source

KIND = "RAPL"
FOLDER = "/sys/class/powercap"
_PACKAGE = re.compile(r"intel-rapl:(\d+)")
_MICROJOULE = 1e-6
ALLOW = "allow it until the next boot: sudo chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj"


def find(source: Source) -> Found:
    """The packages and their dram; or why there are none."""
    zones = [name for name in source.names(FOLDER) if name.startswith("intel-rapl:")]
    if not zones:
        where = "the hypervisor passes none on" if not source.exists(FOLDER) else "no zone in it"
        return Found(KIND, why_not=f"no counters under {FOLDER} ({where})")
    meters: dict[str, EnergyFile] = {}
    refused: list[str] = []
    for zone in zones:
        kind, name = _kind(source, zone)
        if kind is None or name in meters:
            continue
        path = f"{FOLDER}/{zone}/energy_uj"
        reason = denied(source, path, ALLOW)
        if reason:
            refused.append(reason)
            continue
        limit = source.number(f"{FOLDER}/{zone}/max_energy_range_uj")
        wrap = limit * _MICROJOULE if limit else None
        meters[name] = EnergyFile(source, path, f"{KIND} {name}", kind, _MICROJOULE, wrap)
    if refused:  # a part of the packages would be passed off as all
        return Found(KIND, why_not=refused[0])
    if not meters:
        return Found(KIND, why_not=f"no package among the zones {', '.join(zones)}")
    return Found(KIND, tuple(meters.values()))


def _kind(source: Source, zone: str) -> tuple[str | None, str]:
    """("package" or "dram", a name that is unique on the host) of a zone that is counted; (None, "") of any other."""
    name = source.read(f"{FOLDER}/{zone}/name") or ""
    if _PACKAGE.fullmatch(zone):
        return ("package", name) if name.startswith("package") else (None, "")
    parent = zone.rpartition(":")[0]
    if name == "dram" and _PACKAGE.fullmatch(parent):
        owner = source.read(f"{FOLDER}/{parent}/name") or ""
        if owner.startswith("package"):
            return "dram", f"{owner} dram"
    return None, ""
