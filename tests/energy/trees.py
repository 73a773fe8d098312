"""Recorded powercap trees, written out as sysfs has them."""

import os
from pathlib import Path

from flopbench.machine.source import Source

RAPL = "sys/class/powercap"
RANGE_UJ = 262_143_328_850

#: Zone, its name, microjoules: a server of two sockets, a laptop with psys and mmio duplicates, an AMD server.
TWO_PACKAGES = {
    "intel-rapl:0": ("package-0", 10_000_000),
    "intel-rapl:0:0": ("dram", 1_000_000),
    "intel-rapl:1": ("package-1", 20_000_000),
    "intel-rapl:1:0": ("dram", 2_000_000),
}
LAPTOP = {
    "intel-rapl": None,
    "intel-rapl-mmio": None,
    "intel-rapl-mmio:0": ("package-0", 30_000_000),
    "intel-rapl:0": ("package-0", 30_000_000),
    "intel-rapl:0:0": ("core", 10_000_000),
    "intel-rapl:0:1": ("uncore", 5_000_000),
    "intel-rapl:1": ("psys", 90_000_000),
}
AMD = {"intel-rapl:0": ("package-0", 7_000_000), "intel-rapl:0:0": ("core", 3_000_000)}


def write_zones(root: Path, zones: dict) -> Source:
    for zone, content in zones.items():
        folder = root / RAPL / zone
        folder.mkdir(parents=True)
        if content is not None:
            name, microjoules = content
            (folder / "name").write_text(f"{name}\n")
            (folder / "energy_uj").write_text(f"{microjoules}\n")
            (folder / "max_energy_range_uj").write_text(f"{RANGE_UJ}\n")
    return recorded(root)


def set_energy(root: Path, zone: str, microjoules: int) -> None:
    """The counter moves on. By a rename: a reader never sees half a number."""
    path = root / RAPL / zone / "energy_uj"
    path.with_suffix(".new").write_text(f"{microjoules}\n")
    os.replace(path.with_suffix(".new"), path)


def step_energy(root: Path, zone: str, joules: float) -> None:
    """The counter moves on by `joules`."""
    now = int((root / RAPL / zone / "energy_uj").read_text())
    set_energy(root, zone, now + round(joules * 1e6))


class Denied(Source):
    """A host on which the energy counters may be read by root only."""

    def text(self, path: str) -> str:
        if path.endswith(("energy_uj", "power1_average")):
            raise PermissionError(13, "Permission denied")
        return super().text(path)


def recorded(root: Path, kind: type[Source] = Source, answers: dict | None = None, **environ: str) -> Source:
    return kind(root=root, runner=lambda command: (answers or {}).get(" ".join(command)), environ=environ)
