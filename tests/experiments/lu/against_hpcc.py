"""The block-cyclic LU against HPL in Debian's hpcc, in alternating runs on the same cores. Not a test: it takes minutes of a whole machine.

    python tests/experiments/lu/against_hpcc.py --n 16000 --nb 200 --grids 1x2,2x1 --pairs 5

hpcc (`apt-get install hpcc libopenblas0-pthread`) has other benchmarks before HPL, so one hpcc process gets the same N several
times, and is held by SIGSTOP from the moment it has printed one result until our run is over: what it then does, generating the
next matrix, is not timed. Order AB BA.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

HPCC_INPUT = """HPLinpack benchmark input file
against_hpcc.py
HPL.out
8
{count}
{ns}
1
{nb}
0
{grids}
{ps}
{qs}
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
RESULT = re.compile(r"^W[RC]\d\S+\s+\d+\s+\d+\s+\d+\s+\d+\s+[\d.]+\s+(\S+)", re.MULTILINE)


class Hpcc:
    """hpcc on grids of as many ranks, one after the other, held whenever nobody waits for its next result."""

    def __init__(self, n: int, nb: int, grids: list[tuple[int, int]], count: int, folder: Path) -> None:
        self._output, self._seen = folder / "hpccoutf.txt", 0
        ns, (ps, qs) = " ".join([str(n)] * count), zip(*grids, strict=True)
        values = {"ps": " ".join(map(str, ps)), "qs": " ".join(map(str, qs))}
        text = HPCC_INPUT.format(count=count, ns=ns, nb=nb, grids=len(grids), **values)
        (folder / "hpccinf.txt").write_text(text)
        command = ["mpirun.openmpi", "--allow-run-as-root", "--oversubscribe", "-n", str(ps[0] * qs[0]), "hpcc"]
        threads = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            command,
            cwd=folder,
            env=os.environ | threads,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def next(self) -> float:
        """GFLOPS of the next run. Raises RuntimeError if hpcc ends without it."""
        self._signal(signal.SIGCONT)
        while True:
            text = self._output.read_text() if self._output.exists() else ""
            rates = RESULT.findall(text)
            if len(rates) > self._seen and text.count("PASSED", text.find("Begin of HPL")) > self._seen:
                self._signal(signal.SIGSTOP)
                self._seen += 1
                return float(rates[self._seen - 1])
            if self._process.poll() is not None:
                raise RuntimeError(f"hpcc ended with code {self._process.returncode} after {self._seen} results")
            time.sleep(0.05)

    def close(self) -> None:
        self._signal(signal.SIGKILL)
        self._process.wait()

    def _signal(self, number: int) -> None:
        for pid in [*_descendants(self._process.pid), self._process.pid]:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue


def _descendants(pid: int) -> Iterator[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children")
    for child in children.read_text().split() if children.exists() else ():
        yield from _descendants(int(child))
        yield int(child)


def ours(n: int, nb: int, p: int, q: int, folder: Path) -> float:
    """GFLOPS of one run of `flopbench hpl` on as many ranks, one thread each."""
    flopbench = Path(sys.executable).with_name("flopbench")
    options = ["--grid", f"{p}x{q}", "--n", str(n), "--nb", str(nb), "--threads", "1", "--repeat", "1", "--json"]
    command = [
        str(Path(sys.executable).with_name("mpiexec")), "-n", str(p * q), str(flopbench), "hpl", *options,
        "--output", str(folder),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with code {done.returncode}: {done.stderr[-500:]}")
    record = json.loads(done.stdout)["results"][0]
    ceiling = record["ceiling"]["flops"] / 1e9
    print(
        f"    ours {record['rmax_flops'] / 1e9:.1f}, {record['verification']['verdict']}, ceiling beside it {ceiling:.1f}"
    )
    return record["rmax_flops"] / 1e9


def compare(n: int, nb: int, grids: list[tuple[int, int]], pairs: int) -> None:
    """Print each pair, the ratios and their median, grid by grid."""
    with tempfile.TemporaryDirectory() as name:
        hpcc = Hpcc(n, nb, grids, pairs, Path(name))
        try:
            for p, q in grids:
                print(f"N = {n}, NB = {nb}, {p}x{q}, one thread a rank", flush=True)
                report([one_pair(pair, hpcc, n, nb, p, q, Path(name)) for pair in range(pairs)])
        finally:
            hpcc.close()


def one_pair(pair: int, hpcc: Hpcc, n: int, nb: int, p: int, q: int, folder: Path) -> tuple[float, float]:
    """GFLOPS of hpcc and ours, which of them first by turns."""
    if pair % 2 == 0:
        theirs = hpcc.next()
        mine = ours(n, nb, p, q, folder)
    else:
        mine = ours(n, nb, p, q, folder)
        theirs = hpcc.next()
    print(f"  hpcc {theirs:.1f}, ours {mine:.1f} GFLOPS: {mine / theirs:.3f}", flush=True)
    return theirs, mine


def report(found: list[tuple[float, float]]) -> None:
    """Medians of both sides, and of the ratios."""
    theirs, mine = (statistics.median(side) for side in zip(*found, strict=True))
    ratio = statistics.median(mine / theirs for theirs, mine in found)
    print(f"  median of {len(found)}: hpcc {theirs:.1f}, ours {mine:.1f} GFLOPS, median ratio {ratio:.3f}", flush=True)


def main() -> None:
    """See the text at the top of this file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=16000)
    parser.add_argument("--nb", type=int, default=200)
    parser.add_argument("--grids", default="1x2,2x1")
    parser.add_argument("--pairs", type=int, default=5)
    given = parser.parse_args()
    grids = [(int(p), int(q)) for p, q in (grid.split("x") for grid in given.grids.split(","))]
    for ranks in sorted({p * q for p, q in grids}):
        compare(given.n, given.nb, [grid for grid in grids if grid[0] * grid[1] == ranks], given.pairs)


if __name__ == "__main__":
    main()
