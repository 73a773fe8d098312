"""What a gate measures: metrics, sides, rules. From a TOML file (configs/ci.toml is one), strict at every level."""

from __future__ import annotations

from pathlib import Path

import msgspec

from flopbench.compare.verdict import check_threshold
from flopbench.errors import BadInput
from flopbench.gate.pairs import Limits
from flopbench.gate.protocol import Rules


class _Strict(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    pass


class Metric(_Strict):
    """One number to guard: `run` is a flopbench command line that gives one record, e.g. ["hpl", "--n", "2000"]."""

    name: str
    run: list[str]


class Side(_Strict):
    """One side: an interpreter with flopbench installed; options added to every metric; environment variables set."""

    python: str | None = None  # None: the gate's own
    options: list[str] = []
    environment: dict[str, str] = {}


class LimitsConfig(_Strict):
    """As flopbench.gate.pairs.Limits, as fractions."""

    drift: float = Limits.drift
    steal: float = Limits.steal
    neighbour: float = Limits.neighbour


class GateConfig(_Strict):
    """threshold: the slow-down that counts, as a fraction. budget_s: no pair is begun that would end later."""

    metric: list[Metric]
    threshold: float = Rules.threshold
    looks: tuple[int, ...] = (10, 20)
    budget_s: float = 300.0
    limits: LimitsConfig = LimitsConfig()
    base: Side = Side()
    head: Side = Side()

    def rules(self) -> Rules:
        """The protocol's rules. Raises BadInput where they make no sense."""
        check_threshold(self.threshold)
        if sorted(set(self.looks)) != list(self.looks) or not self.looks or self.looks[0] < 7:
            raise BadInput(
                f"looks {list(self.looks)}: rising numbers of pairs, 7 at least (fewer give no interval), e.g. [10, 20]"
            )
        limits = Limits(self.limits.drift, self.limits.steal, self.limits.neighbour)
        if min(limits.drift, limits.steal, limits.neighbour) <= 0:
            raise BadInput(f"limits {limits}: fractions above 0, e.g. drift = 0.05")
        if not self.budget_s > 0:
            raise BadInput(f"budget_s {self.budget_s}: seconds above 0, e.g. 300")
        return Rules(threshold=self.threshold, looks=self.looks, limits=limits)


def read_config(path: Path) -> GateConfig:
    """The configuration in the TOML file at `path`. Raises BadInput."""
    try:
        config = msgspec.toml.decode(path.read_bytes(), type=GateConfig)
    except OSError as error:
        raise BadInput(f"cannot read the gate's configuration {path}: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise BadInput(f"{path}: {error}; docs/gate.md lists what a gate's configuration may hold") from error
    names = [metric.name for metric in config.metric]
    if not names or len(set(names)) != len(names) or not all(metric.run for metric in config.metric):
        raise BadInput(f"{path}: metrics {names}: at least one, each with a name of its own and a command under `run`")
    return config
