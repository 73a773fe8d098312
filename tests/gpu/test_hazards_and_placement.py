"""Environments that change what a precision means, and which rank takes which GPU."""

import threading

import pytest

from flopbench.errors import BadInput, NotPossible
from flopbench.gpu import hazards, placement


@pytest.mark.parametrize(
    ("precision", "variable", "value"),
    [
        ("fp64", "CUBLAS_EMULATE_DOUBLE_PRECISION", "1"),
        ("fp32", "CUBLAS_EMULATE_SINGLE_PRECISION", "1"),
        ("fp32", "NVIDIA_TF32_OVERRIDE", "1"),
        ("tf32", "NVIDIA_TF32_OVERRIDE", "0"),
    ],
)
def test_a_variable_that_changes_the_arithmetic_is_a_hazard_for_its_precision_only(precision, variable, value):
    (found,) = hazards.hazards(precision, {variable: value})
    assert f"{variable}={value}" in str(found)
    for other in {"fp64", "fp32", "tf32", "bf16", "fp16", "int8"} - {"fp32", "tf32", precision}:
        assert hazards.hazards(other, {variable: value}) == []


def test_variables_that_are_off_or_unset_are_no_hazard():
    for precision in ("fp64", "fp32", "tf32"):
        assert hazards.hazards(precision, {}) == []
    assert hazards.hazards("fp64", {"CUBLAS_EMULATE_DOUBLE_PRECISION": "0"}) == []
    assert hazards.hazards("fp32", {"NVIDIA_TF32_OVERRIDE": "0"}) == []


@pytest.mark.parametrize(
    ("precision", "mode", "bad"),
    [
        ("fp64", 0, False), ("fp64", 8, True), ("fp64", 8 | 16, True), ("fp64", 4, False), ("fp64", 3, False),
        ("fp32", 0, False), ("fp32", 3, True), ("fp32", 4, True), ("fp32", 2, False), ("fp32", 16, False), ("tf32", 3, False),
    ],
)  # fmt: skip
def test_a_math_mode_of_the_handle_is_read_bit_by_bit(precision, mode, bad):
    assert (hazards.math_mode_hazard(precision, mode) is not None) == bad


def test_only_variables_that_matter_and_are_set_go_into_the_record():
    assert hazards.recorded({"HOME": "/", "CUPY_TF32": "1"}) == {"CUPY_TF32": "1"}


class Rank:
    """One of several ranks that run as threads."""

    def __init__(self, rank, size, shared):
        self.rank, self.size, self._shared = rank, size, shared

    def gather(self, value):
        self._shared["values"][self.rank] = value
        self._shared["barrier"].wait()
        values = list(self._shared["values"])
        self._shared["barrier"].wait()
        return values if self.rank == 0 else None

    def bcast(self, value):
        if self.rank == 0:
            self._shared["value"] = value
        self._shared["barrier"].wait()
        value = self._shared["value"]
        self._shared["barrier"].wait()
        return value


def on_ranks(size, work):
    """work(rank's comm) on every rank: results or the exception of each."""
    shared = {"values": [None] * size, "barrier": threading.Barrier(size)}
    results = [None] * size

    def run(rank):
        try:
            results[rank] = work(Rank(rank, size, shared))
        except Exception as error:
            results[rank] = error

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


HOSTS = ["a", "b", "a", "b", "a"]


def test_the_local_rank_counts_the_ranks_of_ones_own_host():
    assert on_ranks(5, lambda comm: placement.local_rank(comm, HOSTS[comm.rank])) == [0, 0, 1, 1, 2]


def test_a_rank_takes_the_gpu_of_its_local_rank_or_the_one_that_is_asked_for():
    assert [placement.choose(local, 4) for local in range(4)] == [0, 1, 2, 3]
    assert placement.choose(3, 1) == 0  # the launcher shows each rank one GPU
    assert placement.choose(0, 4, wanted=2) == 2
    with pytest.raises(BadInput, match=r"GPU 4: this host has 4"):
        placement.choose(0, 4, wanted=4)
    with pytest.raises(NotPossible, match="no device"):
        placement.choose(0, 0)


def test_two_ranks_on_one_gpu_are_an_error_on_every_rank_unless_asked_for():
    def check(oversubscribe):
        return lambda comm: placement.require_distinct(
            comm, ["0000:01:00.0", "0000:01:00.0", "0000:02:00.0"][comm.rank], oversubscribe, "a"
        )

    for error in on_ranks(3, check(False)):
        assert isinstance(error, NotPossible)
        assert "ranks 0, 1 on a share GPU 0000:01:00.0" in str(error)
    assert on_ranks(3, check(True)) == [None] * 3


def test_equal_gpu_addresses_on_different_hosts_are_different_gpus():
    assert on_ranks(2, lambda comm: placement.require_distinct(comm, "0000:01:00.0", False, "ab"[comm.rank])) == [
        None,
        None,
    ]
