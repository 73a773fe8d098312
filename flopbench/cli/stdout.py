"""stdout for our document alone: what libraries print from C in the meantime goes to stderr."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import UnsupportedOperation


@contextmanager
def for_document(wanted: bool = True) -> Iterator[None]:
    """File descriptor 1 leads to stderr inside, and `sys.stdout`, through which Python prints, still to where stdout led.

    cuBLAS, for one, complains of a wrong argument on descriptor 1, which would stand before the JSON. Nothing happens unless `wanted`.
    """
    if not wanted:
        yield
        return
    before = sys.stdout
    _flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    ours = os.fdopen(os.dup(kept), "w", encoding=before.encoding, errors=before.errors) if _is_stdout(before) else None
    sys.stdout = ours or before
    try:
        yield
    finally:
        ctypes.CDLL(None).fflush(None)
        sys.stdout = before
        os.dup2(kept, 1)
        os.close(kept)
        if ours is not None:
            ours.close()


def _is_stdout(stream: object) -> bool:
    """Whether a Python stream writes to descriptor 1; a test's or a notebook's does not."""
    try:
        return stream.fileno() == 1  # type: ignore[attr-defined]
    except (AttributeError, UnsupportedOperation):
        return False


def _flush() -> None:
    """What Python and C hold back goes where it was meant to go when it was printed."""
    sys.stdout.flush()
    ctypes.CDLL(None).fflush(None)
