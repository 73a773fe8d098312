"""Which GPU a rank takes: by its place among the ranks of its host; and no GPU twice, unless that was asked for."""

from __future__ import annotations

import socket
from typing import Any, Protocol

from flopbench.errors import BadInput, NotPossible


class Ranks(Protocol):
    """What is needed of flopbench.kernel_api.Comm."""

    rank: int
    size: int

    def gather(self, value: Any) -> list[Any] | None: ...
    def bcast(self, value: Any) -> Any: ...


def local_rank(comm: Ranks, hostname: str | None = None) -> int:
    """How many ranks of lower number run on this rank's host. Collective."""
    hosts = everyones(comm, hostname or socket.gethostname())
    return hosts[: comm.rank].count(hosts[comm.rank])


def choose(local: int, devices: int, wanted: int | None = None) -> int:
    """The index of the GPU for a rank: `wanted`, or its local rank, round robin. Raises BadInput, NotPossible.

    With one visible GPU per rank, as some launchers arrange it, that is 0 for all: `require_distinct` finds out if they are one GPU.
    """
    if devices < 1:
        raise NotPossible("no device: CUDA sees no GPU")
    if wanted is not None:
        if not 0 <= wanted < devices:
            raise BadInput(f"GPU {wanted}: this host has {devices}, numbered from 0; choose 0 .. {devices - 1}")
        return wanted
    return local % devices


def require_distinct(comm: Ranks, pci_bus_id: str, oversubscribe: bool, hostname: str | None = None) -> None:
    """Raises NotPossible, on every rank, if two ranks of a host hold the same GPU and nobody asked for that. Collective."""
    places = everyones(comm, (hostname or socket.gethostname(), pci_bus_id.lower()))
    shared = sorted({place for place in places if places.count(place) > 1})
    if shared and not oversubscribe:
        host, gpu = shared[0]
        ranks = [rank for rank, place in enumerate(places) if place == shared[0]]
        raise NotPossible(
            f"ranks {', '.join(map(str, ranks))} on {host} share GPU {gpu}; start one rank per GPU, "
            "or ask for it with --option oversubscribe=1"
        )


def everyones(comm: Ranks, value: Any) -> list[Any]:
    """`value` of every rank, on every rank. Collective."""
    return list(comm.bcast(comm.gather(value)))
