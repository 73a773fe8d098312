"""Ranks and their launcher, without MPI: who speaks, what is refused before MPI starts, where ranks sit, where time goes, which grid."""

from types import SimpleNamespace

import pytest

from flopbench import grid_choice, job, phases, placement, screen
from flopbench.comm import SelfComm, agree, wrong_library
from flopbench.errors import BadInput
from flopbench.launcher import launched_rank, launched_ranks
from flopbench.placement import Placed

MPICH = "MPICH Version:      5.0.2"
OPEN_MPI = "Open MPI v4.1.4"


@pytest.mark.parametrize(
    ("environ", "ranks", "rank"),
    [
        ({}, 1, 0),
        ({"OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_RANK": "3"}, 4, 3),
        ({"PMI_SIZE": "2", "PMI_RANK": "1"}, 2, 1),
        ({"SLURM_STEP_NUM_TASKS": "8", "SLURM_PROCID": "5"}, 8, 5),
        ({"SLURM_STEP_NUM_TASKS": "8"}, 1, 0),
        ({"PMI_SIZE": "many"}, 1, 0),
    ],
)
def test_launchers_are_known_by_their_variables(environ, ranks, rank):
    assert (launched_ranks(environ), launched_rank(environ)) == (ranks, rank)


@pytest.mark.parametrize(
    ("environ", "library", "refused"),
    [
        ({"OMPI_COMM_WORLD_SIZE": "2"}, MPICH, True),
        ({"OMPI_COMM_WORLD_SIZE": "2"}, OPEN_MPI, False),
        ({"PMI_SIZE": "2"}, OPEN_MPI, True),
        ({"PMI_SIZE": "2"}, MPICH, False),
        ({"PMI_SIZE": "2"}, "Intel(R) MPI Library 2021.13", False),
        ({"PMI_SIZE": "2", "PMIX_RANK": "0"}, OPEN_MPI, False),
        ({"SLURM_STEP_NUM_TASKS": "2", "SLURM_PROCID": "0", "PMIX_RANK": "0"}, OPEN_MPI, False),
        ({"SLURM_STEP_NUM_TASKS": "2", "SLURM_PROCID": "0"}, OPEN_MPI, True),
        ({"SLURM_STEP_NUM_TASKS": "2", "SLURM_PROCID": "0", "PMIX_RANK": "0"}, MPICH, True),
        ({"PMIX_RANK": "0"}, MPICH + "\nMPICH configure: --with-pmix=/usr", False),
    ],
)
def test_the_launcher_of_another_mpi_is_refused_and_its_own_is_not(environ, library, refused):
    complaint = wrong_library(environ, library)
    assert bool(complaint) == refused
    if complaint:
        assert " ".join(library.split()) in complaint and "MPI4PY_LIBMPI" in complaint and "\n" not in complaint
        flag = "--mpi=pmix" if library == OPEN_MPI else "--mpi=pmi2"
        assert (flag in complaint) == ("SLURM_PROCID" in environ)


def test_ranks_that_an_srun_without_mpi_leaves_alone_speak_once(monkeypatch):
    class Alone:
        COMM_WORLD = SimpleNamespace(Get_size=lambda: 1, Get_rank=lambda: 0)

    monkeypatch.setattr(job, "mpi_in_use", lambda: Alone)
    said = []
    for rank in ("0", "1"):
        monkeypatch.setenv("SLURM_PROCID", rank)
        job.report("every rank would run alone", 4, said.append)
    assert said == ["every rank would run alone"]


class TwoRanks:
    """The collective calls of rank `rank` of two, the other having told `other`."""

    def __init__(self, rank, other):
        self.rank, self.size, self.other = rank, 2, other

    def gather(self, value):
        return [value, self.other] if self.rank == 0 else None

    def bcast(self, value):
        return value if self.rank == 0 else "rank 1 on b was given ..."


def test_ranks_with_other_options_are_named_with_their_host():
    same = {"n": (300,), "repeat": 1}
    agree(TwoRanks(0, (same, "b")), same)
    with pytest.raises(BadInput, match=r"rank 1 on b was given --repeat 3 instead of 1; start all ranks"):
        agree(TwoRanks(0, ({"n": (300,), "repeat": 3}, "b")), same)
    with pytest.raises(BadInput, match="rank 1 on b"):
        agree(TwoRanks(1, None), same)


def test_alone_a_fault_is_said_at_once_and_the_process_leaves_in_order(monkeypatch):
    monkeypatch.setattr(job, "mpi_in_use", lambda: None)
    said = []
    job.report("no space", 2, said.append)
    assert said == ["no space"]


class FakeWorld:
    """MPI with one failing rank; `others_fail` says whether the rest of the job fails, too."""

    def __init__(self, rank, others_fail):
        self.COMM_WORLD, self.rank, self.others_fail, self.aborted = self, rank, others_fail, None

    def Get_rank(self):
        return self.rank

    def Get_size(self):
        return 2

    def Ibarrier(self):
        return self

    def Test(self):
        return self.others_fail


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("others_fail", [True, False])
def test_when_all_ranks_fail_rank_0_speaks_and_one_that_fails_alone_ends_the_job(monkeypatch, rank, others_fail):
    world, said, aborted = FakeWorld(rank, others_fail), [], []
    monkeypatch.setattr(job, "mpi_in_use", lambda: world)
    monkeypatch.setattr(job, "faults_communicator", lambda mpi: mpi)
    monkeypatch.setattr(job, "GRACE_S", 0.0)
    monkeypatch.setattr(job, "abort", aborted.append)
    job.report("no space", 2, said.append)
    if others_fail:
        assert (said, aborted) == (["no space"] if rank == 0 else [], [])
    else:
        assert aborted == [2]
        assert len(said) == 1 and said[0].startswith(f"rank {rank} on ") and "no space" in said[0]


def on(*cpus, host="a"):
    return Placed(host, frozenset(cpus))


@pytest.mark.parametrize(
    ("placed", "threads", "said"),
    [
        ([on(0), on(1)], 1, None),
        ([on(0, 1), on(0, 1)], 1, None),
        ([on(0, 1), on(2, 3)], 2, None),
        ([on(0), on(0, host="b")], 1, None),
        ([on(0), on(1)], 2, "rank 0 on a is bound to 1 core(s) but runs 2 threads (and 1 other ranks likewise)"),
        ([on(0), on(0)], 1, "2 ranks of 1 thread(s) on a share 1 core(s)"),
        ([on(0, 1), on(0, 1)], 2, "2 ranks of 2 thread(s) on a share 2 core(s)"),
    ],
)
def test_ranks_that_must_take_turns_are_warned_about_with_how_to_bind_them(placed, threads, said):
    found = placement.warnings(placed, threads)
    assert len(found) == (said is not None)
    if said:
        assert found[0].startswith(said) and f"slot:PE={threads}" in found[0]


def test_a_rank_shares_its_cores_only_with_ranks_of_its_host_whose_masks_overlap():
    placed = [on(0, 1), on(1, 2), on(3), on(0, host="b")]
    assert [placement.sharing(placed, rank) for rank in range(4)] == [2, 2, 1, 1]
    assert placement.sharing([Placed("a", frozenset())], 0) == 1


def test_the_phase_clock_gives_every_second_to_the_phase_that_was_entered_last():
    readings = iter([1.0, 3.0, 4.0, 9.0, 20.0])
    told = []
    clock = phases.PhaseClock(lambda: next(readings))
    clock.begin(told.append)
    clock.enter("panel")
    clock.enter("update")
    clock.enter("panel")
    clock.progress(0.5)
    assert clock.end() == {"panel": 2.0 + 5.0, "update": 1.0}
    clock.progress(0.9)
    assert told == [0.5]


class Told(SelfComm):
    """A comm whose gather also brings what other ranks said."""

    def __init__(self, *others):
        self.others = list(others)

    def gather(self, value):
        return [value, *self.others]


def test_phases_over_ranks_name_the_slowest_rank_and_its_host():
    comm = Told(({"panel": 4.0, "wait": 1.0}, "slow"))
    panel, wait = phases.over_ranks({"panel": 2.0}, comm, "fast")
    assert (panel.name, panel.max_s, panel.mean_s, panel.slowest_rank, panel.slowest_host) == ("panel", 4, 3, 1, "slow")
    assert (wait.name, wait.max_s, wait.mean_s) == ("wait", 1.0, 0.5)


@pytest.mark.parametrize("ranks", [1, 2, 3, 4, 6, 12, 16, 64, 97, 4096])
def test_the_chosen_grid_uses_all_ranks_and_is_flat(ranks):
    p, q = grid_choice.choose(ranks, 10000, 192, 2e-6, 2e-9)
    assert p * q == ranks and p <= q


def test_latency_pulls_towards_fewer_rows_and_bandwidth_towards_three_columns_a_row():
    assert grid_choice.choose(12, 10000, 192, 0.0, 1e-9) == (2, 6)
    assert grid_choice.choose(12, 10000, 192, 1.0, 0.0) == (1, 12)


def test_alone_there_is_no_grid_to_choose_and_nothing_is_said():
    assert grid_choice.chosen(SelfComm(), 1000, 64) == ((1, 1), None)


def test_a_node_more_than_a_tenth_below_the_median_is_suspect_and_one_just_within_is_not():
    nodes = [
        screen.Node(f"n{i}", 1, 1000, flops, "PASSED") for i, flops in enumerate([89.0, 91.0, 100.0, 100.0, 103.0])
    ]
    assert [node.host for node in screen.suspects(nodes)] == ["n0"]
    wrong = screen.Node("w", 1, 1000, 100.0, "FAILED")
    assert screen.suspects([*nodes[2:], wrong]) == [wrong]
