"""flopbench: how much computing power a machine really has, measured and proven right."""

from __future__ import annotations


def __getattr__(name: str) -> str:
    if name == "__version__":
        from importlib.metadata import version

        return version("flopbench")
    raise AttributeError(f"module 'flopbench' has no attribute {name!r}")
