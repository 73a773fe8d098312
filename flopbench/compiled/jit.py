"""One way to compile: without the GIL, kept in Numba's cache where there is a place to keep it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba


def compiled(signature: str | None = None, **options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Decorator: compile without the GIL, cached on disk if a folder for the cache can be written, else in memory only."""

    def decorate(function: Callable[..., Any]) -> Any:
        arguments = [signature] if signature else []
        try:
            return numba.njit(*arguments, nogil=True, cache=True, **options)(function)
        except (RuntimeError, OSError):  # Numba found no cache folder that it can write, or lost it meanwhile
            return numba.njit(*arguments, nogil=True, cache=False, **options)(function)

    return decorate
