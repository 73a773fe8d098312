"""Real data beside the checkout, for additional tests: skipped, with the reason, where the folder is not there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

VARIABLE = "FLOPBENCH_SHARED"


def shared(*parts: str) -> Path:
    """A path in the folder `shared`, named by $FLOPBENCH_SHARED or found beside the checkout; skips the test if it is not there."""
    named = os.environ.get(VARIABLE)
    bases = [Path(named)] if named else [parent / "shared" for parent in Path(__file__).resolve().parents[2:5]]
    for base in bases:
        path = base.joinpath(*parts)
        if path.exists():
            return path
    pytest.skip(f"no {'/'.join(parts)} beside the checkout (set {VARIABLE} to the folder that has it)")
