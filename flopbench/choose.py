"""Which kernel runs: by name, or the first of its routine that can, in the order that the kernels state."""

from __future__ import annotations

from collections.abc import Iterable

from flopbench import registry
from flopbench.errors import BadInput, NotPossible, UnknownName
from flopbench.kernel_api import Kernel, Settings
from flopbench.machine.model import Machine


def kernel(
    routine: str,
    machine: Machine,
    settings: Settings,
    name: str | None = None,
    backend: str | None = None,
    device: str = "cpu",
    ranks: int = 1,
) -> tuple[Kernel, str]:
    """A kernel that can run here, and why it was taken. Raises UnknownName, BadInput, or NotPossible with every reason."""
    if name is not None:
        chosen = registry.load(name)(settings)
        if chosen.routine != routine:
            raise BadInput(
                f"kernel {name!r} is a {chosen.routine} kernel; `flopbench kernels` lists those for {routine}"
            )
        reason = _why_not(chosen, machine, ranks)
        if reason:
            raise NotPossible(f"{name} is not possible here: {reason}")
        chosen.require_options()
        return chosen, "as asked"
    candidates = _candidates(routine, settings, device)
    if backend is not None:
        known = {candidate.backend for candidate in candidates}
        if backend not in known:
            raise UnknownName(f"backend for {routine} on {device}", backend, known)
        candidates = [candidate for candidate in candidates if candidate.backend == backend]
    reasons = []
    for candidate in candidates:
        reason = _why_not(candidate, machine, ranks)
        if reason is None:
            passed_over = f"; not {grouped(reasons)}" if reasons else ""
            candidate.require_options()
            return candidate, f"the first that can run here{passed_over}"
        reasons.append((candidate.name, reason))
    raise NotPossible(f"no {routine} kernel can run on {device} here: {grouped(reasons) or 'none is installed'}")


def grouped(reasons: Iterable[tuple[str, str]]) -> str:
    """(name, reason) pairs in one line, each reason once: "a, b: no driver; c: needs AVX-512"."""
    names: dict[str, list[str]] = {}
    for name, reason in reasons:
        names.setdefault(reason, []).append(name)
    return "; ".join(f"{', '.join(who)}: {reason}" for reason, who in names.items())


def _candidates(routine: str, settings: Settings, device: str) -> list[Kernel]:
    fitting = [cls for cls in registry.of_routine(routine) if cls.device == device]
    return [cls(settings) for cls in sorted(fitting, key=lambda cls: (cls.user_order, cls.name))]


def _why_not(kernel: Kernel, machine: Machine, ranks: int) -> str | None:
    if ranks > 1 and not kernel.distributed:
        return f"runs on one rank, and there are {ranks}"
    return kernel.why_not(machine)
