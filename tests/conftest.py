"""Fixtures for every test: kernels that are registered for one test only."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from flopbench import registry
from flopbench.kernel_api import Kernel


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
