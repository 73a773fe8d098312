"""The block-cyclic LU against HPL in Debian's hpcc, in alternating runs on the same cores. Not a test: it takes minutes.

    python tests/experiments/lu/against_hpcc.py --n 8000,16000 --nb 200 --grids 1x2,2x1 --pairs 5 --cores 0,1

hpcc is what `apt-get install hpcc libopenblas0-pthread openmpi-bin` brings, or the same files elsewhere (--hpcc, --mpirun).
Each run, of either side, is a fresh job that solves a small problem first and then the one that counts. Order AB BA. With as many
cores as ranks each rank has a core of its own; otherwise the ranks share the cores given.

hpcc has other benchmarks before HPL, sized by the largest N of its input: minutes at N = 16000. HPL reads that input again when
its turn comes. So the input names a tiny N at first, and is replaced once hpcc has begun. The program is unchanged.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

PREAMBLE_N, WARM_UP_N = 200, 2000
HPCC_INPUT = """HPLinpack benchmark input file
against_hpcc.py
HPL.out
8
{count}
{ns}
1
{nb}
0
1
{p}
{q}
16.0
1
2
1
4
1
2
1
1
1
1
1
1
2
64
0
0
1
8
##### This line (no. 32) is ignored
0
40
0
40
"""
RESULT = re.compile(r"^W[RC]\d\S+\s+(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s+[\d.]+\s+(\S+)", re.MULTILINE)
CORE_TYPE = re.compile(r"^Core: (\S+)", re.MULTILINE)


@dataclass(frozen=True)
class Programs:
    """The two launchers and programs."""

    mpirun: str  # Open MPI's, for hpcc
    hpcc: str
    mpiexec: str  # of the MPI that mpi4py uses
    flopbench: str


@dataclass(frozen=True)
class Case:
    """One problem, and the processors (numbers as in taskset) that both sides run on; none: wherever the launcher puts them."""

    n: int
    nb: int
    p: int
    q: int
    cores: tuple[int, ...]

    def launched(self, launcher: list[str], program: list[str]) -> list[str]:
        """The command of a job of p x q ranks on the cores."""
        ranks = self.p * self.q
        if len(self.cores) != ranks:
            job = [*launcher, "-n", str(ranks), *program]
            return ["taskset", "-c", ",".join(map(str, self.cores)), *job] if self.cores else job
        parts = [["-n", "1", "taskset", "-c", str(core), *program] for core in self.cores]
        return launcher + parts[0] + [word for part in parts[1:] for word in (":", *part)]

    @property
    def goal(self) -> float:
        """The ratio that is asked for: 1.10 on two ranks at N = 16000 and above, else 1."""
        return 1.10 if self.n >= 16000 and self.p * self.q == 2 else 1.0


def theirs(case: Case, programs: Programs, limit: float) -> tuple[float, str]:
    """GFLOPS of one run of HPL in hpcc, and the name of the BLAS kernels. Raises RuntimeError if it fails or takes over `limit` seconds."""
    launcher = [programs.mpirun, "--allow-run-as-root", "--oversubscribe"]
    if case.cores:
        launcher += ["--bind-to", "none"]
    if len(case.cores) < case.p * case.q:  # Open MPI counts the machine's cores, not those given
        launcher += ["--mca", "mpi_yield_when_idle", "1"]
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_VERBOSE": "2"}
    with tempfile.TemporaryDirectory() as name, open(f"{name}/messages", "w+") as messages:
        folder, command = Path(name), case.launched(launcher, [programs.hpcc])
        write_input(folder, case, [PREAMBLE_N])
        process = subprocess.Popen(command, cwd=name, env=environment, stdout=messages, stderr=messages)
        try:
            end, output = time.monotonic() + limit, folder / "hpccoutf.txt"
            while process.poll() is None and not (output.exists() and "Begin of" in output.read_text()):
                time.sleep(0.02)
                if time.monotonic() > end:
                    break
            write_input(folder, case, [WARM_UP_N, case.n])
            process.wait(max(0.0, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"{' '.join(command)}: no end after {limit:.0f} s") from None
        finally:
            process.terminate()  # mpirun ends its ranks
            process.wait()
        messages.seek(0)
        said, text = messages.read(), output.read_text() if output.exists() else ""
    hpl = text[text.find("Begin of HPL") :]
    wanted = tuple(map(str, (case.n, case.nb, case.p, case.q)))
    rates = [float(found[4]) for found in RESULT.findall(hpl) if found[:4] == wanted]
    if process.returncode or len(rates) != 1 or hpl.count("... PASSED") != 2:
        raise RuntimeError(
            f"{' '.join(command)}: code {process.returncode}, results {RESULT.findall(hpl)}: {said[-500:]}"
        )
    return rates[0], ", ".join(sorted(set(CORE_TYPE.findall(said))))


def write_input(folder: Path, case: Case, ns: list[int]) -> None:
    """Put hpccinf.txt into the folder, at once and whole."""
    values = {"count": len(ns), "ns": " ".join(map(str, ns)), "nb": case.nb, "p": case.p, "q": case.q}
    (folder / "next").write_text(HPCC_INPUT.format(**values))
    (folder / "next").rename(folder / "hpccinf.txt")


def ours(case: Case, programs: Programs, limit: float) -> tuple[float, float]:
    """GFLOPS of one run of `flopbench hpl`, and of the ceiling beside it. Raises RuntimeError like `theirs`."""
    options = ["--grid", f"{case.p}x{case.q}", "--n", str(case.n), "--nb", str(case.nb), "--threads", "1"]
    with tempfile.TemporaryDirectory() as name:
        program = [programs.flopbench, "hpl", *options, "--repeat", "1", "--json", "--output", name]
        command = case.launched([programs.mpiexec], program)
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=limit)
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"{' '.join(command)}: no end after {limit:.0f} s") from None
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: code {done.returncode}: {done.stderr[-500:]}")
    record = json.loads(done.stdout)["results"][0]
    if record["verification"]["verdict"] != "PASSED":
        raise RuntimeError(f"{' '.join(command)}: {record['verification']}")
    return record["rmax_flops"] / 1e9, record["ceiling"]["flops"] / 1e9


def compare(case: Case, programs: Programs, pairs: int, limit: float) -> None:
    """Print each pair, and what they amount to."""
    name = f"{case.p}x{case.q} N = {case.n} NB = {case.nb} cores {','.join(map(str, case.cores)) or 'any'}"
    found = []
    for pair in range(pairs):
        begun = time.monotonic()
        if pair % 2 == 0:
            hpcc, mine = theirs(case, programs, limit), ours(case, programs, limit)
        else:
            mine, hpcc = ours(case, programs, limit), theirs(case, programs, limit)
        found.append((hpcc[0], mine[0]))
        seconds = time.monotonic() - begun
        print(
            f"  {name}: hpcc {hpcc[0]:.1f} ({hpcc[1]}), ours {mine[0]:.1f} GFLOPS (ceiling beside it {mine[1]:.1f}): "
            f"{mine[0] / hpcc[0]:.3f}, {seconds:.0f} s",
            flush=True,
        )
    print(f"{name}: {report(found, case.goal)}", flush=True)


def report(found: list[tuple[float, float]], goal: float) -> str:
    """Medians of both sides, the ratios of the pairs, and whether their median reaches the goal."""
    theirs, mine = (statistics.median(side) for side in zip(*found, strict=True))
    ratios = [mine / theirs for theirs, mine in found]
    middle = statistics.median(ratios)
    return (
        f"median of {len(found)}: hpcc {theirs:.1f}, ours {mine:.1f} GFLOPS, ratio median {middle:.3f} "
        f"min {min(ratios):.3f} max {max(ratios):.3f}, >= {goal:.2f} {'holds' if middle >= goal else 'BELOW'}"
    )


def beside_python(name: str) -> str:
    """A program of this environment, or of that name on PATH."""
    beside = Path(sys.executable).with_name(name)
    return str(beside) if beside.exists() else name


def numbers(text: str) -> tuple[int, ...]:
    """`0,1` as (0, 1)."""
    return tuple(int(word) for word in text.split(",") if word)


def main() -> None:
    """See the text at the top of this file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=numbers, default=(16000,))
    parser.add_argument("--nb", type=int, default=200)
    parser.add_argument("--grids", default="1x2,2x1")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--cores", type=numbers, default=(), help="processors that both sides run on, such as 0,1")
    parser.add_argument("--hpcc", default="hpcc")
    parser.add_argument("--mpirun", default="mpirun.openmpi", help="Open MPI's launcher, for hpcc")
    parser.add_argument("--mpiexec", default=beside_python("mpiexec"), help="launcher of the MPI of mpi4py")
    parser.add_argument("--flopbench", default=beside_python("flopbench"))
    parser.add_argument("--limit", type=float, default=300.0, help="seconds that one run may take")
    given = parser.parse_args()
    programs = Programs(given.mpirun, given.hpcc, given.mpiexec, given.flopbench)
    for program in (*vars(programs).values(), "taskset"):
        if not shutil.which(program):
            parser.error(f"{program}: no such program; name it with --hpcc, --mpirun, --mpiexec or --flopbench")
    failed = False
    for n in given.n:
        for p, q in (map(int, grid.split("x")) for grid in given.grids.split(",")):
            try:
                compare(Case(n, given.nb, p, q, given.cores), programs, given.pairs, given.limit)
            except RuntimeError as error:
                print(f"{p}x{q} N = {n}: {error}", file=sys.stderr, flush=True)
                failed = True
    raise SystemExit(int(failed))


if __name__ == "__main__":
    main()
