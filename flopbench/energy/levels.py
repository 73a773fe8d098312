"""Levels of the power measurement methodology of the Energy Efficient HPC Working Group (EE HPC WG), as data and pure functions.

Source: EE HPC WG, "Energy Efficient High Performance Computing Power Measurement Methodology", version 2.0 and its public working copy
of 3.0; the Green500 asks for it. A level needs all of its aspects: (1) timespan and granularity, (2) fraction of the machine,
(3) subsystems, (4) point of measurement and accuracy of the meter. What nobody has shown counts as missing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

#: Covers that a meter may have, and whether it stands upstream of the AC/DC conversion (so it sees the losses of the supply).
COVERS = {
    "package": False,
    "dram": False,
    "gpu": False,
    "board": False,
    "node": False,  # a BMC's reading: its place and its accuracy are known to the vendor only
    "wall": True,
}
NONE_COMPONENT = "none: component energy"
NONE_NODE = "none: node sensor"
SHORTEST_CORE_PHASE_S = 60.0  # level 1: the average is over the entire core phase, which lasts at least a minute
LONGEST_SAMPLE_S = 1.0  # level 1, power samples: at least one a second
LONGEST_ENERGY_SHARE = 0.1  # a reading interval is at most a tenth of the core phase
READINGS_IN_CORE_PHASE = 10  # levels 2 and 3
LONGEST_UNCOVERED_S = 10.0  # level 3: at most 5 s at each end without readings
LEAST_WATTS_LEVEL_1 = 40e3  # a part of the machine that draws this much is enough for level 1
#: The part of the machine that is measured, unless it is the whole: the largest of a share, a power in watts and a number of nodes.
PARTS = {1: (1 / 10, 2e3, 15), 2: (1 / 8, 10e3, 15)}
LEAST_NODES = 15
LARGEST_ERROR_OF_SEVERAL = (
    0.03  # each of several meters; their common error is that over the square root of their number
)
#: Largest error of the meter, as a fraction of the reading.
ACCURACY = {1: 0.05, 2: 0.02, 3: 0.01}


@dataclass(frozen=True)
class Site:
    """What no meter's file can tell; whoever measured says it. None means unknown, which counts as missing.

    `fraction`: share of the machine that the meters see, 0 to 1. `nodes`: how many compute nodes they see.
    `subsystems`: "compute" (compute nodes alone), "estimated" (all that take part, some of them estimated) or "all" (all measured).
    `accuracy`: largest error of one meter, fraction of the reading; `meters`: how many.
    """

    fraction: float | None = None
    subsystems: str | None = None
    accuracy: float | None = None
    nodes: int | None = None
    meters: int = 1


@dataclass(frozen=True)
class Readings:
    """What the meters' files show of one core phase.

    `core_s`: length of the core phase; `interval_s`: the longest usual distance of two readings; `readings`: how many of the scarcest meter
    lie in the phase; `uncovered_s`: the part of the phase outside first and last reading; `integrated`: the meter counts energy itself;
    `full_run`: readings of the whole run, before and after the core phase, are there; `idle`: the idle power is known;
    `longest_gap_s`: longest distance between two readings in the phase.
    """

    core_s: float
    interval_s: float
    readings: int
    uncovered_s: float
    integrated: bool
    full_run: bool
    idle: bool
    longest_gap_s: float
    mean_power_w: float


def component_energy(cover: Iterable[str]) -> tuple[str, list[str]]:
    """The level that components' own counters (RAPL, NVML) reach, which is none, and what is missing for levels 1, 2 and 3."""
    seen = ", ".join(cover) or "nothing"
    return NONE_COMPONENT, _without_wall(f"the meters see {seen}")


def node_energy(cover: Iterable[str]) -> tuple[str, list[str]]:
    """The level of a node's own sensor (IPMI, Redfish, hwmon, Cray): none, since neither its place nor its accuracy is shown."""
    seen = ", ".join(cover) or "nothing"
    return NONE_NODE, _without_wall(f"the meters see {seen} through the node's own sensor")


def assess(cover: Iterable[str], readings: Readings, site: Site) -> tuple[str, list[str]]:
    """The highest level that is reached in all aspects, "level 1" to "level 3" or "none: why", and what is missing for each level above.

    A cover other than the wall reaches none. Not found by this function: whether meters are synchronised, and whether the part that was
    measured was chosen at random; the method asks for both.
    """
    covers = list(cover)
    if not covers or not all(COVERS.get(name, False) for name in covers):
        inside = [name for name in covers if not COVERS.get(name, False)]
        return node_energy(covers) if inside == ["node"] else component_energy(covers)
    lacking = {1: _level_1(readings, site), 2: _level_2(readings, site), 3: _level_3(readings, site)}
    reached = 0
    for level in (1, 2, 3):
        if lacking[level]:
            break
        reached = level
    missing = [f"level {level}: {what}" for level in range(reached + 1, 4) for what in lacking[level]]
    return (f"level {reached}" if reached else "none: wall energy, level 1 is not shown"), missing


def _without_wall(seen: str) -> list[str]:
    return [
        f"level 1: a meter upstream of the AC/DC conversion, error at most {ACCURACY[1]:.0%} ({seen}); at least one reading a second over "
        f"a core phase of at least {SHORTEST_CORE_PHASE_S:.0f} s; the whole machine, {LEAST_WATTS_LEVEL_1 / 1e3:.0f} kW of it, or the "
        f"largest of 2 kW, a tenth and {LEAST_NODES} nodes",
        f"level 2: that with an error of at most {ACCURACY[2]:.0%}; the average of the full run, {READINGS_IN_CORE_PHASE} equally "
        f"spaced averages in the core phase and idle power; "
        f"an eighth of the machine, 10 kW or {LEAST_NODES} nodes; all subsystems measured or estimated",
        f"level 3: continuously integrated energy with an error of at most {ACCURACY[3]:.0%} (revenue grade), {READINGS_IN_CORE_PHASE} "
        f"readings in the core phase and at most {LONGEST_UNCOVERED_S:.0f} s uncovered; the whole machine; all subsystems measured",
    ]


def _level_1(seen: Readings, site: Site) -> list[str]:
    lacking = []
    if seen.core_s < SHORTEST_CORE_PHASE_S:
        lacking.append(f"a core phase of at least {SHORTEST_CORE_PHASE_S:.0f} s (it lasted {seen.core_s:.1f} s)")
    if not seen.integrated and seen.interval_s > LONGEST_SAMPLE_S:
        lacking.append(f"at least one power sample a second (one every {seen.interval_s:.3g} s)")
    if seen.longest_gap_s > LONGEST_ENERGY_SHARE * seen.core_s:
        lacking.append(
            f"readings at most a tenth of the core phase apart (longest gap {seen.longest_gap_s:.3g} s of {seen.core_s:.3g} s)"
        )
    if seen.mean_power_w < LEAST_WATTS_LEVEL_1:
        lacking += _part(1, seen, site)
    if site.subsystems is None:
        lacking.append("which subsystems were measured (not given)")
    return lacking + _accuracy(1, site)


def _level_2(seen: Readings, site: Site) -> list[str]:
    lacking = []
    if not seen.full_run:
        lacking.append("readings of the full run, from before the core phase to after it")
    if seen.readings < READINGS_IN_CORE_PHASE:
        lacking.append(f"{READINGS_IN_CORE_PHASE} equally spaced averages in the core phase ({seen.readings} readings)")
    if not seen.idle:
        lacking.append("idle power")
    lacking += _part(2, seen, site)
    if site.subsystems == "compute":
        lacking.append("all subsystems that take part, measured or estimated (compute nodes alone were)")
    return lacking + _accuracy(2, site)


def _level_3(seen: Readings, site: Site) -> list[str]:
    lacking = []
    if not seen.integrated:
        lacking.append("continuously integrated energy (these are power samples)")
    if seen.uncovered_s > LONGEST_UNCOVERED_S:
        lacking.append(
            f"at most {LONGEST_UNCOVERED_S:.0f} s of the core phase uncovered ({seen.uncovered_s:.3g} s are)"
        )
    if site.fraction is None or site.fraction < 1.0:
        measured = "not given" if site.fraction is None else f"{site.fraction:.1%}"
        lacking.append(f"the whole machine (share that was measured: {measured})")
    if site.subsystems == "estimated":
        lacking.append("all subsystems measured (some were estimated)")
    return lacking + _accuracy(3, site)


def _part(level: int, seen: Readings, site: Site) -> list[str]:
    """What the part that was measured lacks: the whole machine, or the largest of a share, a power and a number of nodes."""
    share, watts, nodes = PARTS[level]
    if site.fraction is not None and site.fraction >= 1.0:
        return []
    found = "not given" if site.fraction is None else f"{site.fraction:.1%}"
    counted = "not given" if site.nodes is None else str(site.nodes)
    if (site.fraction or 0.0) >= share and seen.mean_power_w >= watts and (site.nodes or 0) >= nodes:
        return []
    return [
        f"the whole machine or the largest of {share:.3g} of it, {watts / 1e3:.0f} kW and {nodes} nodes "
        f"(share: {found}, power: {seen.mean_power_w / 1e3:.3g} kW, nodes: {counted})"
    ]


def _accuracy(level: int, site: Site) -> list[str]:
    """The error of one meter; of several, each at most 3 %, the error over the square root of their number."""
    wanted = f"a meter with an error of at most {ACCURACY[level]:.0%}"
    if site.accuracy is None:
        return [f"{wanted} (its accuracy was not given)"]
    several = site.meters > 1 and site.accuracy <= LARGEST_ERROR_OF_SEVERAL
    error = site.accuracy / math.sqrt(site.meters) if several else site.accuracy
    if error > ACCURACY[level]:
        return [f"{wanted} (it is {error:.2%} over {site.meters} meter{'s' if site.meters > 1 else ''})"]
    return []
