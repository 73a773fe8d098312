"""Taking turns with another process: `flopbench gate` lets base and head repeat one after the other, so that both meet the same machine.

The environment names two pipes, "IN,OUT". Whoever is about to repeat writes REPEAT to OUT and waits for a byte on IN. Without that variable
nothing happens.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from flopbench import timing

VARIABLE = "FLOPBENCH_TURNS"
REPEAT = b"r"

#: Taken out of the environment: the pipes are not open in programs that this one starts.
_pipes = os.environ.pop(VARIABLE, None)


def give_way(settle: Callable[[], None] = timing.settle, now: timing.Clock = timing.clock) -> float:
    """Before a repeat: let the other one compute until it gives way too. Seconds waited; 0 where there is no other one.

    Threads that spin after the last call would disturb the other one, so `settle` waits for their sleep first.
    """
    global _pipes
    if _pipes is None:
        return 0.0
    settle()
    start = now()
    taken, given = map(int, _pipes.split(","))
    try:
        os.write(given, REPEAT)
        os.read(taken, 1)
    except OSError:  # the gate has ended; there is nobody to wait for
        _pipes = None
    return now() - start
