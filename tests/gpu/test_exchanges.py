"""Item 15 of the self-test: which exchange is tried where, and what becomes of the answers; test_lu_resident.py has the exchanges."""

import json
import subprocess
import sys

import pytest

from flopbench.gpu_selftest import exchanges
from flopbench.gpu_selftest.bench import Bench

PASSED = json.dumps({"results": [{"verification": {"verdict": "PASSED", "reason": "fine"}}]})
WRONG = json.dumps({"results": [{"verification": {"verdict": "FAILED", "reason": "residual 27"}}]})


class Ranks:
    """Answers by exchange, and what was asked."""

    def __init__(self, **answers):
        self.answers, self.jobs = answers, []

    def __call__(self, job):
        self.jobs.append(job)
        exchange = next(word for word in job if word.startswith("exchange=")).removeprefix("exchange=")
        return self.answers.get(exchange.replace("-", "_"), (0, PASSED, ""))


def found(ranks, gpus=2, why_no_nccl=None):
    return exchanges.over_two_ranks("mpiexec", gpus, why_no_nccl, ranks)


def test_every_exchange_runs_with_panels_along_a_row_and_rows_along_a_column():
    ranks = Ranks()
    names = found(ranks)
    assert list(names) == [
        f"exchange={exchange} panel={panel} {grid}"
        for exchange in ("staged", "cuda-aware", "nccl")
        for grid, panel in (("1x2", "host"), ("2x1", "device"))
    ]
    assert set(names.values()) == {("PASSED", "")}
    assert all("oversubscribe=1" not in job for job in ranks.jobs)
    program = ranks.jobs[0][ranks.jobs[0].index("-c") + 1]
    asked = subprocess.run([sys.executable, "-c", program, "hpl", "--help"], capture_output=True, text=True)
    assert (asked.returncode, "flopbench hpl" in asked.stdout) == (0, True)
    finding = exchanges.judge(True, names, {"gpus": 2})
    assert finding.verdict == "PASSED"
    assert "exchange=nccl panel=device 2x1: PASSED" in finding.reason


def test_on_one_gpu_the_ranks_share_it_and_nccl_is_skipped_with_the_reason():
    ranks = Ranks()
    names = found(ranks, gpus=1)
    assert len(ranks.jobs) == 4
    assert all("oversubscribe=1" in job for job in ranks.jobs)
    finding = exchanges.judge(True, names, {})
    assert finding.verdict == "PASSED"
    assert "exchange=nccl panel=host 1x2: SKIPPED (NCCL takes one rank per GPU, and there is 1)" in finding.reason


def test_what_the_machine_has_not_is_skipped_with_its_own_words():
    ranks = Ranks(
        cuda_aware=(4, "", "flopbench: exchange=cuda-aware, rank 0: libmpi.so says\nthat it is not CUDA-aware")
    )
    finding = exchanges.judge(True, found(ranks, why_no_nccl="CuPy finds no NCCL library here"), {})
    assert finding.verdict == "PASSED"
    assert (
        "exchange=cuda-aware panel=host 1x2: SKIPPED (flopbench: exchange=cuda-aware, rank 0: libmpi.so says that"
        in finding.reason
    )
    assert "exchange=nccl panel=host 1x2: SKIPPED (CuPy finds no NCCL library here)" in finding.reason
    assert "\n" not in finding.reason


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [((1, "", "a rank died"), "exit code 1: a rank died"), ((0, WRONG, ""), "residual 27")],
)
def test_a_run_that_fails_or_is_wrong_fails_the_item(answer, complaint):
    finding = exchanges.judge(True, found(Ranks(nccl=answer)), {})
    assert finding.verdict == "FAILED"
    assert complaint in finding.reason


def test_two_gpus_at_one_address_fail_and_nothing_that_ran_is_no_pass():
    assert exchanges.judge(False, found(Ranks()), {}).verdict == "FAILED"
    nothing = (4, "", "mpi4py is not installed")
    names = found(Ranks(staged=nothing, cuda_aware=nothing, nccl=nothing))
    assert exchanges.judge(True, names, {}).verdict == "SKIPPED"


def test_over_the_stand_in_it_is_skipped_by_name(stand_in):
    finding = exchanges.several(Bench(stand_in, real=False))
    assert finding.verdict == "SKIPPED"
    for name in ("staged", "cuda-aware", "nccl"):
        assert name in finding.reason
