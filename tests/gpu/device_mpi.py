"""A CUDA-aware MPI between stand-ins: ranks as threads, buffers that show the CUDA array interface, and what MPI does to the memory noted.

MPI knows nothing of streams: it may touch a buffer at any time from the call on until the request is complete. Both ends of that time are
told to the schedule of the GPU that has the memory, which so finds operations that are not ordered with it.
"""

import numpy as np

from flopbench.gpu_selftest.stand_in.memory import BadAccess, column_major, matrix
from tests.lu import fake_mpi


class Touching:
    """A request whose buffer is device memory."""

    def __init__(self, request, touch):
        self.request, self.touch = request, touch

    def Test(self):
        done = self.request.Test()
        if done and self.touch:
            self.touch()
            self.touch = None
        return done

    def Wait(self):
        self.request.Wait()
        self.Test()


class CudaAwareMpi(fake_mpi.FakeMpi):
    """A communicator that takes host arrays and objects with the CUDA array interface."""

    def __init__(self, world, rank, members, name, cards):
        super().__init__(world, rank, members, name)
        self.cards = cards

    def Split(self, color, key):
        made = super().Split(color, key)
        return CudaAwareMpi(made.world, made.rank, made.members, made.name, self.cards)

    def Ibcast(self, array, root=0):
        view, touch = self._view(array, writes=self.rank != root)
        return Touching(super().Ibcast(view, root), touch)

    def _post(self, array, key, mine, theirs, receiving):
        view, touch = self._view(array, writes=receiving)
        return Touching(super()._post(view, key, mine, theirs, receiving), touch)

    def _view(self, array, writes):
        """A host array over the buffer, and what notes an access to it (None for host arrays)."""
        if isinstance(array, np.ndarray):
            return array, None
        shown = array.__cuda_array_interface__
        assert (shown["typestr"], shown["version"], shown["strides"]) == ("<f8", 3, None)
        (count,), address = shown["shape"], shown["data"][0]
        card = next(card for card in list(self.cards.opened) if has(card, address))
        region = column_major(address, count, 1, max(count, 1), "float64")
        card.arena.check(region, "device", "MPI")

        def touch():
            (card.schedule.host_writes if writes else card.schedule.host_reads)("MPI", region)

        touch()
        return matrix(address, count, 1, max(count, 1), "float64")[:, 0], touch


def has(card, address):
    """Whether an address lies in a card's memory."""
    try:
        card.arena.block(address)
    except BadAccess:
        return False
    return True


def run_ranks(size, body, cards):
    """As fake_mpi.run_ranks, over a CUDA-aware MPI."""

    def cuda_aware(comm):
        mpi = comm.mpi
        return body(fake_mpi.FakeComm(CudaAwareMpi(mpi.world, mpi.rank, mpi.members, mpi.name, cards)))

    return fake_mpi.run_ranks(size, cuda_aware)
