"""For every test: Hypothesis without a clock, and kernels that are registered for one test only."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, settings

from flopbench import registry
from flopbench.kernel_api import Kernel

# Hypothesis would fail an example that takes over 200 ms: on a busy machine, any.
settings.register_profile("flopbench", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("flopbench")


@dataclass(frozen=True)
class _Registered:
    """Stands for an entry point of a package that is not installed."""

    name: str
    cls: type[Kernel]
    package: str = "a test"

    def load(self) -> type[Kernel]:
        return self.cls


@pytest.fixture
def register(monkeypatch):
    """register(cls): for this test, `cls` is an installed kernel."""
    real = registry.installed

    def add(*classes: type[Kernel]) -> None:
        extra = {cls.name: _Registered(cls.name, cls) for cls in classes}
        monkeypatch.setattr(registry, "installed", lambda points=None: {**real(), **extra})

    return add
