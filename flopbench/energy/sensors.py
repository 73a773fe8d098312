"""Sensors in sysfs that are not RAPL: Cray's pm_counters, and hwmon's power meters. Units as the kernel has them: J, µW.

Sources: HPE Cray EX, "Power Management", pm_counters (energy in J, renewed ten times a second); Linux, Documentation/hwmon/
acpi_power_meter.rst (power1_average in µW).
"""

from __future__ import annotations

from flopbench.energy.meter import EnergyFile, Found, PowerFile, denied
from flopbench.machine.source import Source

CRAY, HWMON = "Cray pm_counters", "hwmon"
CRAY_FILE = "/sys/cray/pm_counters/energy"
HWMON_FOLDER = "/sys/class/hwmon"
#: Names of hwmon devices that see the node's input; others (cards, boards, drives) see a part that nobody names.
NODE_METERS = ("power_meter",)
_MICROWATT = 1e-6


def find_cray(source: Source) -> Found:
    """The node's energy counter on HPE Cray EX."""
    if not source.exists(CRAY_FILE):
        return Found(CRAY, why_not=f"no {CRAY_FILE}, so this is no Cray node")
    reason = denied(source, CRAY_FILE, "ask the site to make it readable")
    return Found(CRAY, () if reason else (EnergyFile(source, CRAY_FILE, CRAY, "node", 1.0),), reason)


def find_hwmon(source: Source) -> Found:
    """The ACPI power meter of the node, if it has exactly one."""
    meters, others = [], []
    for device in source.names(HWMON_FOLDER):
        folder = f"{HWMON_FOLDER}/{device}"
        name = source.read(f"{folder}/name") or device
        if name not in NODE_METERS:
            others.append(name)
            continue
        path = next(
            (f"{folder}/{file}" for file in ("power1_average", "power1_input") if source.exists(f"{folder}/{file}")),
            None,
        )
        if path is None:
            others.append(name)
            continue
        reason = denied(source, path, f"allow it until the next boot: sudo chmod a+r {path}")
        if reason:
            return Found(HWMON, why_not=reason)
        meters.append(PowerFile(source, path, f"{HWMON} {name}", "node", _MICROWATT))
    if len(meters) > 1:
        return Found(HWMON, why_not=f"{len(meters)} power meters, and nothing says whether they see the same")
    if not meters:
        seen = f"only {', '.join(sorted(set(others)))}" if others else "nothing"
        return Found(HWMON, why_not=f"no power meter of the node under {HWMON_FOLDER} ({seen})")
    return Found(HWMON, tuple(meters))
