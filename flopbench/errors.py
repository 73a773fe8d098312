"""Every error that flopbench raises on purpose, and the exit code that each one becomes.

    FlopbenchError                 exit 2   the base; never raised itself
    ├── BadInput (ValueError)      exit 2   an option, a file or a record that cannot be used as it is
    │   └── UnknownName            exit 2   a name that is not known; lists the near ones
    ├── CannotWrite (OSError)      exit 2   a measured result that could not be kept where it was wanted
    ├── NotPossible (RuntimeError) exit 4   this machine cannot do it, and why
    │   └── Unreachable            exit 4   an inventory that cannot be reached now; what was to be filed waits in a queue
    └── RunFailed (RuntimeError)   exit 1   a run that started and did not come to an end

A message is one line: what, got, allowed, what to do.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_BAD_INPUT = 2
EXIT_INCONCLUSIVE = 3
EXIT_NOT_POSSIBLE = 4


class FlopbenchError(Exception):
    """Base of all errors that become one line on stderr and an exit code."""

    exit_code = EXIT_BAD_INPUT


class BadInput(FlopbenchError, ValueError):
    """Input that cannot be used: an option, a configuration, HPL.dat, a record."""


class UnknownName(BadInput):
    """A name that is not in a list of known names; the message lists the nearest, best first, or all."""

    def __init__(
        self, what: str, got: str, known: Iterable[str], hint: str = "", near: Sequence[str] | None = None
    ) -> None:
        """`near`, if given, replaces the search for near names; give it where the list is too long to print."""
        names = sorted(known)
        if near is None:
            by_lower = {name.lower(): name for name in names}
            close = [by_lower[name] for name in get_close_matches(got.lower(), list(by_lower), n=4, cutoff=0.5)]
            rest = f"known: {', '.join(names) or 'none'}"
        else:
            close, rest = list(near), "nothing in the list is like it"
        offer = f"did you mean {', '.join(close)}?" if close else rest
        super().__init__(f"unknown {what} {got!r}; {offer}" + (f" ({hint})" if hint else ""))


class CannotWrite(FlopbenchError, OSError):
    """A file that could not be written: no space, no permission, read-only."""


class NotPossible(FlopbenchError, RuntimeError):
    """This machine cannot do what was asked; the message says why."""

    exit_code = EXIT_NOT_POSSIBLE


class Unreachable(NotPossible):
    """An inventory that does not answer: no file, no server, no permission, locked too long."""


class RunFailed(FlopbenchError, RuntimeError):
    """A run that started and did not finish."""

    exit_code = EXIT_FAILED
