"""Which flopbench made a record: version and, where it runs from a git checkout, the commit."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

import flopbench as package
from flopbench.results import Flopbench


@cache
def flopbench() -> Flopbench:
    """Version, commit and whether the checkout has uncommitted changes; None where there is no git checkout."""
    root = Path(__file__).parents[1]
    if not (root / ".git").exists():
        return Flopbench(version=package.__version__, commit=None, dirty=None)
    commit = _git(root, "rev-parse", "HEAD")
    status = _git(root, "status", "--porcelain", "--untracked-files=no")
    return Flopbench(version=package.__version__, commit=commit, dirty=None if status is None else bool(status))


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
