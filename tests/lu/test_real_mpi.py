"""The block-cyclic LU and the command on the ranks of a real MPI: MPICH from PyPI, and Open MPI where it is installed."""

import ctypes.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.mpi]
WORKER = Path(__file__).with_name("mpi_worker.py")
BIN = Path(sys.executable).parent
LIMIT_S = 120


def launcher(name):
    """Command and environment that start ranks under one MPI; skips where it is not installed."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("OMPI_", "PMI", "MPI"))}
    environment |= {"OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    if name == "mpich":
        if not (BIN / "mpiexec").exists():
            pytest.skip("the extra mpi-wheel is not installed: no mpiexec beside this Python")
        return [str(BIN / "mpiexec")], environment
    mpirun, library = shutil.which("mpirun.openmpi"), ctypes.util.find_library("mpi")
    if mpirun is None or library is None:
        pytest.skip("Open MPI is not installed here")
    environment |= {"MPI4PY_LIBMPI": library, "OMPI_MCA_rmaps_base_oversubscribe": "1"}
    return [mpirun, "--allow-run-as-root", "--oversubscribe", "--bind-to", "none"], environment


def start(name, ranks, *command, **more):
    run, environment = launcher(name)
    return subprocess.Popen(
        [*run, "-n", str(ranks), sys.executable, *command],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **more,
    )


def finish(process, seconds=LIMIT_S):
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        pytest.fail(f"still running after {seconds} s: {out[-2000:]} {err[-2000:]}")
    return process.returncode, out, err


def flopbench(name, ranks, *arguments, **more):
    return finish(start(name, ranks, str(BIN / "flopbench"), *arguments, **more))


@pytest.mark.parametrize("mpi", ["mpich", "openmpi"])
@pytest.mark.parametrize(("ranks", "cases"), [(2, 30), (3, 12)])
def test_sampled_cases_are_right(mpi, ranks, cases):
    code, out, err = finish(start(mpi, ranks, str(WORKER), "0", str(cases), "0"))
    assert (code, f"{cases} cases, 0 wrong" in out) == (0, True), out + err


@pytest.mark.slow
@pytest.mark.parametrize("mpi", ["mpich", "openmpi"])
@pytest.mark.parametrize("ranks", [4, 6])
def test_sampled_cases_are_right_on_more_ranks_than_cores(mpi, ranks):
    code, out, err = finish(start(mpi, ranks, str(WORKER), "100", "6", "0"))
    assert (code, "6 cases, 0 wrong" in out) == (0, True), out + err


@pytest.mark.slow
@pytest.mark.parametrize("mpi", ["mpich", "openmpi"])
def test_twenty_seeds_of_random_delays_do_not_stop_it(mpi):
    code, out, err = finish(start(mpi, 3, str(WORKER), "200", "20", "1"))
    assert (code, "20 cases, 0 wrong" in out) == (0, True), out + err


@pytest.mark.parametrize("mpi", ["mpich", "openmpi"])
def test_an_hpl_dat_runs_as_under_xhpl_and_only_rank_0_prints(mpi, tmp_path):
    from flopbench.hpl_dat import HplDat, write

    dat = HplDat(
        ns=(120, 150), nbs=(16,), grids=((1, 2), (2, 1)), bcasts=("1ring", "long"), depths=(0, 1), pmap="column"
    )
    write(dat, tmp_path / "HPL.dat")
    code, out, err = flopbench(mpi, 2, "hpl", "--dat", str(tmp_path / "HPL.dat"), "--output", str(tmp_path / "records"))
    rows = [line for line in out.splitlines() if line.startswith("WC")]
    expected = [
        (f"WC{depth}{bcast}R2R4", str(n), "16", p, q)
        for p, q in (("1", "2"), ("2", "1"))
        for n in (120, 150)
        for depth in (0, 1)
        for bcast in (0, 4)
    ]
    assert code == 0, err
    assert [tuple(row.split()[:5]) for row in rows] == expected
    assert out.count("PASSED") == 16 and out.count("HPLinpack 2.3") == 1
    records = [json.loads(path.read_text()) for path in (tmp_path / "records").glob("*.json")]
    assert len(records) == 16 and all(record["ranks"] == 2 for record in records)
    assert {phase["name"] for phase in records[0]["phases"]} >= {"panel", "update", "solve"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--grid", "2x2"), "--grid 2x2 needs 4 ranks, there are 2"),
        (("--dat", "absent.dat"), "cannot read absent.dat"),
        (("--n", "x"), "--n is 'x'"),
    ],
)
def test_bad_input_is_one_line_from_one_rank_and_exit_2(arguments, said, tmp_path):
    code, out, err = flopbench("mpich", 2, "hpl", *arguments, cwd=tmp_path)
    assert code == 2, out + err
    ours = [line for line in err.splitlines() if line.startswith("flopbench:") and "share 1 core(s)" not in line]
    assert [said in line for line in ours] == [True]


@pytest.mark.parametrize(("mpi", "said"), [("openmpi", "started by Open MPI's mpirun"), ("mpich", "MPICH's PMI")])
def test_the_launcher_of_another_mpi_is_named_in_one_line(mpi, said, tmp_path):
    run, environment = launcher(mpi)
    environment.pop("MPI4PY_LIBMPI", None)
    if mpi == "mpich":
        library = ctypes.util.find_library("mpi")
        if library is None or shutil.which("mpirun.openmpi") is None:
            pytest.skip("Open MPI is not installed here")
        environment["MPI4PY_LIBMPI"] = library
    command = [*run, "-n", "2", sys.executable, str(BIN / "flopbench"), "hpl", "--n", "100"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=LIMIT_S, cwd=tmp_path)
    lines = [line for line in done.stderr.splitlines() if line.startswith("flopbench:")]
    assert done.returncode == 4, done.stdout + done.stderr
    assert len(lines) == 1 and said in lines[0] and "MPI4PY_LIBMPI" in lines[0]


FAULTS = """
import os, signal, sys
from flopbench.cli import main
from flopbench_kernels.lu_blockcyclic import factorise, kernel
from flopbench.launcher import launched_rank
what = sys.argv.pop(1)
def broken(self, *arguments):
    if launched_rank() == 1:
        if what == "dies": os.kill(os.getpid(), signal.SIGKILL)
        if what == "raises": raise ZeroDivisionError("planted")
        if what == "allocates": raise MemoryError("planted")
    return whole(self, *arguments)
if what == "allocates":
    whole = kernel.BlockCyclicLu._allocate
    kernel.BlockCyclicLu._allocate = broken
elif what == "disagrees":
    if launched_rank() == 1: sys.argv[sys.argv.index("--n") + 1] = "333"
elif what == "is refused":  # before this rank has started MPI, where the other one waits
    if launched_rank() == 1: sys.argv[sys.argv.index("--nb") + 1] = "0"
else:
    whole = factorise.Factorisation._step
    factorise.Factorisation._step = broken
main()
"""


@pytest.mark.parametrize("mpi", ["mpich", "openmpi"])
@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("dies", None),  # the launcher speaks
        ("raises", "rank 1 on"),
        ("allocates", "rank 1 on"),
        ("disagrees", "rank 1 on"),
        ("is refused", "rank 1 on"),
    ],
)
def test_a_fault_on_one_rank_ends_the_job_within_30_seconds(mpi, what, said, tmp_path):
    script = tmp_path / "faulty.py"
    script.write_text(FAULTS)
    process = start(mpi, 2, str(script), what, "hpl", "--n", "300", "--nb", "32", "--repeat", "1", cwd=tmp_path)
    code, _, err = finish(process, 60)
    assert code != 0
    if said is not None:
        assert sum(line.startswith("flopbench:") and said in line for line in err.splitlines()) == 1, err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_sweep_keeps_its_finished_runs(number, tmp_path):
    process = start(
        "mpich", 2, str(BIN / "flopbench"), "hpl", "--n", "200,9000", "--nb", "64", "--repeat", "1", cwd=tmp_path
    )
    deadline = time.monotonic() + LIMIT_S
    while not list(tmp_path.glob("results/*.json")) and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(number)
    code, _, _ = finish(process, 30)
    (record,) = [json.loads(path.read_text()) for path in tmp_path.glob("results/*.json")]
    assert code != 0
    assert (record["problem"]["n"], record["verification"]["verdict"]) == (200, "PASSED")


def test_screening_lists_every_node(tmp_path):
    code, out, err = flopbench("mpich", 2, "hpl", "--screen", "--n", "600", "--nb", "64", cwd=tmp_path)
    assert code == 0, err
    assert "1 node(s) at once" in out and "100.0 %" in out and "PASSED" in out
