"""Energy of a run: the meters of every node, once a node however many ranks it has, summed into the record."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec

from flopbench import timing
from flopbench.energy import bmc, levels, nvidia, perf_power, rapl, sensors
from flopbench.energy.meter import Found, Meter
from flopbench.energy.sampling import Sampler, Use
from flopbench.kernel_api import Comm
from flopbench.machine.model import Machine
from flopbench.machine.source import Source
from flopbench.results import Energy

IDLE_S = 5.0
#: Shorter runs say little: counters tick, and processors heat up.
SHORTEST_S = 10.0


def meters_of(machine: Machine, device: str, source: Source, ask_redfish: bool = True) -> list[Found]:
    """Every kind of meter on this node, with what it offers or why it offers nothing. perf is asked only where RAPL fails."""
    counters = rapl.find(source)
    perf = perf_power.find(source) if not counters.meters else Found(perf_power.KIND, why_not="RAPL is there already")
    return [
        sensors.find_cray(source),
        sensors.find_hwmon(source),
        bmc.find_ipmi(source),
        bmc.find_redfish(source, ask=ask_redfish),
        counters,
        perf,
        nvidia.find(machine.gpus, device),
    ]


@dataclass
class NodeUse:
    """What one node's meters saw: as plain data, since it travels between ranks."""

    host: str
    meters: list[dict[str, Any]]
    lacking: str | None = None  # what computes here and no component's meter sees, with the reason


@dataclass
class EnergyMeters:
    """The meters that this rank reads: those of its node if it is the node's first rank, else none. Made by `open_meters`."""

    comm: Comm
    host: str
    found: list[Found]
    device: str = "cpu"
    now: timing.Clock = timing.clock
    make: Callable[..., Sampler] = Sampler
    idle_w: dict[str, float] = field(default_factory=dict)  # by the meter's name
    _sampler: Sampler | None = None

    @property
    def present(self) -> bool:
        """Whether this rank reads any meter."""
        return bool(self.meters)

    @property
    def meters(self) -> list[Meter]:
        return [meter for found in self.found for meter in found.meters]

    def measure_idle(self, seconds: float = IDLE_S) -> None:
        """Power of each meter while this process does nothing. Collective: all ranks wait. Nothing to do where no node has a meter."""
        if self.comm.max(float(len(self.meters))) == 0:
            return
        sampler = self.make(self.meters, self.now)
        sampler.start()
        self.comm.barrier()
        sampler.idle(seconds)
        self.comm.barrier()
        sampler.stop()
        self.idle_w = {use.meter.name: use.joules / seconds for use in sampler.uses() if use.joules is not None}

    @contextmanager
    def running(self) -> Iterator[None]:
        """Around the repeats of a run; `region` marks what is timed."""
        self._sampler = self.make(self.meters, self.now)
        self._sampler.start()
        try:
            yield
        finally:
            self._sampler.stop()

    def region(self) -> AbstractContextManager[None]:
        """Around exactly what is timed."""
        assert self._sampler is not None
        return self._sampler.region()

    def over_ranks(self, flops: float | None, seconds: float) -> tuple[Energy | None, str | None]:
        """Energy of the run on all nodes, or the reason why there is none; on rank 0, (None, None) elsewhere. Collective.

        flops: of all timed repeats together, None if they failed; seconds: their time.
        """
        uses = self._sampler.uses() if self._sampler is not None else []
        mine = NodeUse(self.host, [self._as_data(use, seconds) for use in uses], self._lacking())
        told = self.comm.gather((mine if self.found else None, self._why_nots()))
        if told is None:
            return None, None
        return combine([node for node, _ in told if node is not None], told[0][1], flops, seconds)

    def _as_data(self, use: Use, seconds: float) -> dict[str, Any]:
        return {
            "name": use.meter.name,
            "host": self.host,
            "cover": use.meter.cover,
            "quantity": use.meter.quantity,
            "joules": use.joules,
            "mean_power_w": use.joules / seconds if use.joules is not None and seconds > 0 else None,
            "idle_power_w": self.idle_w.get(use.meter.name),
            "readings": use.readings,
            "reason": use.reason,
        }

    def _lacking(self) -> str | None:
        """A run on GPUs whose GPUs have no meter: the processor's energy would be passed off as the run's."""
        if self.device != "cuda" or any(meter.cover == "gpu" for meter in self.meters):
            return None
        reason = next((found.why_not for found in self.found if found.kind == nvidia.KIND), "no NVML")
        return f"the run is on GPUs, and their energy is not metered: {reason}"

    def _why_nots(self) -> str:
        return "; ".join(f"{found.kind}: {found.why_not}" for found in self.found if found.why_not)


def open_meters(comm: Comm, machine: Machine, device: str, source: Source | None = None) -> EnergyMeters:
    """Find the meters of this rank's node if it is the first rank there. Collective."""
    hosts = comm.bcast(comm.gather(machine.hostname))
    first = hosts.index(machine.hostname) == comm.rank
    found = meters_of(machine, device, source or Source.here()) if first else []
    return EnergyMeters(comm, machine.hostname, found, device)


def combine(
    nodes: Sequence[NodeUse], why_nots: str, flops: float | None, seconds: float
) -> tuple[Energy | None, str | None]:
    """The record's energy: on every node the node's own sensor if it saw the runs, else its components; never both, never a part."""
    chosen: list[dict[str, Any]] = []
    for node in nodes:
        counted = _counted(node)
        if isinstance(counted, str):
            where = f"{node.host}: " if len(nodes) > 1 else ""
            return None, where + (counted or f"no meter: {why_nots}")
        chosen += counted
    covers = {frozenset(meter["cover"] for meter in chosen if meter["host"] == node.host) for node in nodes}
    if len(covers) > 1:
        seen = " and ".join(sorted("+".join(sorted(cover)) for cover in covers))
        return None, f"the nodes' meters see different parts ({seen}), which do not add up"
    joules = sum(meter["joules"] for meter in chosen)
    if joules <= 0 or seconds <= 0:
        return None, "the meters saw no energy; runs are too short for them"
    cover = sorted({meter["cover"] for meter in chosen})
    level, missing = levels.node_energy(cover) if cover == ["node"] else levels.component_energy(cover)
    idle = [meter["idle_power_w"] for meter in chosen]
    names = {(meter["host"], meter["name"]) for meter in chosen}
    return (
        Energy(
            joules=joules,
            mean_power_w=joules / seconds,
            idle_power_w=sum(idle) if all(watts is not None for watts in idle) else None,
            flops_per_watt=flops / joules if flops else None,
            cover=cover,
            level=level,
            missing=missing,
            meters=[
                meter | {"counted": (node.host, meter["name"]) in names} for node in nodes for meter in node.meters
            ],
        ),
        None,
    )


def told(
    meters: EnergyMeters | None,
    times_s: Sequence[float],
    passed: bool,
    interrupted: bool,
    flop_count: float,
    green500: bool,
) -> dict[str, Any]:
    """The fields of the record that tell of energy. Collective, unless the run was interrupted; empty if nobody asked for energy.

    times_s: of the timed repeats, `flop_count` operations each. green500: whether its rules are of interest (HPL).
    """
    if meters is None:
        return {}
    if interrupted or not times_s:
        return {"energy_reason": "the run was interrupted"}
    energy, reason = meters.over_ranks(flop_count * len(times_s) if passed else None, sum(times_s))
    if energy is not None:
        energy = msgspec.structs.replace(energy, warnings=_warnings(times_s, green500))
    return {"energy": energy, "energy_reason": reason}


def _warnings(times_s: Sequence[float], green500: bool) -> list[str]:
    """What is too short about the timed repeats."""
    found = []
    if sum(times_s) < SHORTEST_S:
        found.append(
            f"energy over {sum(times_s):.1f} s: counters need {SHORTEST_S:.0f} s or more; take a larger --n or more --time"
        )
    shortest = levels.SHORTEST_CORE_PHASE_S
    if green500 and min(times_s) < shortest:
        found.append(
            f"core phase of {min(times_s):.1f} s: the Green500 wants {shortest:.0f} s or more; take a larger --n"
        )
    return found


def _counted(node: NodeUse) -> list[dict[str, Any]] | str:
    """The meters of one node whose joules are added up, or the reason why nothing can be said ("" if there is no meter)."""
    meters = node.meters
    if not meters:
        return ""
    whole = [meter for meter in meters if meter["cover"] == "node" and meter["joules"] is not None]
    if whole:
        return whole[:1]
    if node.lacking:
        return node.lacking
    parts = [meter for meter in meters if meter["cover"] != "node"]
    lost = [meter["reason"] for meter in (parts or meters) if meter["joules"] is None]
    return lost[0] if lost else parts
