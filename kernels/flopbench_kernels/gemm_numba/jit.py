"""Numba compilation that survives its cache: a folder that cannot be written, and files that cannot be read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
from numba.core.caching import NullCache

_made: list[Any] = []


def jit(function: Callable[..., None]) -> Any:
    """Compile `function` for threads without the GIL; cached on disk where Numba finds a place that it can write to."""
    try:
        made = numba.njit(nogil=True, cache=True)(function)
    except (RuntimeError, OSError):  # no place for a cache; anything else that is wrong shows again on the next line
        made = numba.njit(nogil=True)(function)
    _made.append(made)
    return made


def prepare(dispatcher: Any, *examples: Any) -> str:
    """Have `dispatcher` ready for arguments of the types of `examples`. Returns where its machine code comes from.

    A cache file that is cut off raises whatever its reader stumbles over, and a full disk raises on writing. Either way the second
    attempt does without the cache, and an error in the code itself is raised from there.
    """
    types = tuple(numba.typeof(example) for example in examples)
    try:
        dispatcher.compile(types)
    except Exception as error:
        for made in _made:
            made._cache = NullCache()
        dispatcher.compile(types)
        return f"compiled; Numba's cache could not be used ({type(error).__name__}: {error})"
    return "from Numba's cache" if sum(dispatcher.stats.cache_hits.values()) else "compiled"
