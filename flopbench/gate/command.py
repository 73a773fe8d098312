"""From the options of `flopbench gate` to its result: which sides, which rules, which noise floor."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from flopbench.compare.comparable import check_allowed, machine_key
from flopbench.compare.verdict import MetricVerdict, overall_exit_code
from flopbench.errors import EXIT_FAILED, EXIT_INCONCLUSIVE, EXIT_OK, BadInput
from flopbench.gate import noise
from flopbench.gate.config import GateConfig, Side, read_config
from flopbench.gate.control import Control
from flopbench.gate.environments import build
from flopbench.gate.run import Gate, Report

DEFAULT_CONFIG = Path(__file__).with_name("default.toml")


@dataclass(frozen=True)
class GateRequest:
    """The options of the command line; None where the user said nothing."""

    config: Path | None = None
    revision: str | None = None
    repository: Path = Path()
    base_python: str | None = None
    head_python: str | None = None
    base_kernel: str | None = None
    head_kernel: str | None = None
    threshold: float | None = None
    budget: float | None = None
    allow: tuple[str, ...] = ()
    seed: int | None = None
    output: Path | None = None
    self_check: bool = False
    noise_floor: Path | None = None


@dataclass(frozen=True)
class GateResult:
    """verdicts, and what else the JSON document holds; `floor` is set by a self-check."""

    verdicts: list[MetricVerdict]
    threshold: float
    more: dict[str, Any]
    floor: noise.NoiseFloor | None = None

    def refuse(self) -> None:
        """After a self-check: raises BadInput if the threshold lies below the noise floor of a metric."""
        if self.floor is not None:
            noise.refuse_below(self.floor, self.threshold)

    @property
    def exit_code(self) -> int:
        code = overall_exit_code(self.verdicts)
        if self.floor is None or code == EXIT_FAILED:
            return code
        return EXIT_OK if len(self.floor.floors) == len(self.verdicts) else EXIT_INCONCLUSIVE


def run_gate(request: GateRequest, say: Callable[[str], None]) -> GateResult:
    """Build the sides, run the gate and say what it found. Raises BadInput; see Gate.run."""
    config = configure(request)
    allowed = check_allowed(request.allow) | (frozenset({"kernel"}) if request.head_kernel else frozenset())
    known = noise.read_noise_floor(request.noise_floor) if request.noise_floor else None
    with ExitStack() as stack:
        if request.revision is not None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="flopbench-base-")))
            say(f"installing revision {request.revision} as base")
            python, commit = build(request.revision, request.repository, folder)
            say(f"base is commit {commit}")
            config = msgspec.structs.replace(config, base=msgspec.structs.replace(config.base, python=str(python)))
        control = stack.enter_context(Control())
        seed = {} if request.seed is None else {"seed": request.seed}
        gate = Gate(config, control, allowed, request.output, say, **seed)
        report = gate.run(before_pairs=lambda machine: _check_noise_floor(known, machine, config.threshold))
    return _result(request, config, report)


def configure(request: GateRequest) -> GateConfig:
    """The configuration file with the command line's words over it. Raises BadInput if there is no base, or more than one."""
    config = read_config(request.config or DEFAULT_CONFIG)
    changes: dict[str, Any] = {
        "base": _side(config.base, request.base_python, request.base_kernel),
        "head": _side(config.head, request.head_python, request.head_kernel),
    }
    if request.threshold is not None:
        changes["threshold"] = request.threshold
    if request.budget is not None:
        changes["budget_s"] = request.budget
    if request.self_check:
        changes |= {"base": changes["head"], "looks": config.looks[:1]}
    config.rules()
    config = msgspec.structs.replace(config, **changes)
    config.rules()
    if request.revision is not None and (config.base.python or request.self_check):
        raise BadInput(
            "--base REV together with another base (--base-python, --self-check or the configuration's); name one"
        )
    if not request.self_check and request.revision is None and config.base == config.head:
        raise BadInput(
            "base and head are the same; give --base REV, --base-python PATH or --base-kernel NAME, "
            "or --self-check to measure the noise"
        )
    return config


def _side(side: Side, python: str | None, kernel: str | None) -> Side:
    options = [*side.options, "--kernel", kernel] if kernel else side.options
    return msgspec.structs.replace(side, python=python or side.python, options=options)


def _check_noise_floor(floor: noise.NoiseFloor | None, machine: str, threshold: float) -> None:
    if floor is not None:
        noise.refuse_other_machine(floor, machine)
        noise.refuse_below(floor, threshold)


def _result(request: GateRequest, config: GateConfig, report: Report) -> GateResult:
    machine = machine_key(report.machine)
    more = {
        "seed": report.seed,
        "pairs": report.pairs,
        "seconds": report.seconds,
        "out_of_time": report.out_of_time,
        "differences": report.differences,
        "machine": machine,
    }
    floor = noise.from_self_check(machine, report.verdicts) if request.self_check else None
    if floor is not None:
        more["noise_floor"] = floor.floors
        if request.output is not None:
            noise.write_noise_floor(floor, request.output / "noise_floor.json")
    return GateResult(report.verdicts, config.threshold, more, floor)
