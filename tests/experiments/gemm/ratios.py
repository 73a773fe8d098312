"""The ratios that `flopbench gemm` must hold on a processor, measured on this one. Not a test: it takes a quiet machine and ten minutes.

    python tests/experiments/gemm/ratios.py                        everything that this machine and its packages allow
    python tests/experiments/gemm/ratios.py --only fp64,int8 --pairs 9

    harness   rates that `flopbench gemm --json` reports for NumPy, against the best of a bare np.matmul(out=) loop; fresh processes in turn
    fp64 fp32 our kernel against NumPy's OpenBLAS and MKL, on one thread and on all
    int8      our kernel against torch._int_mm and MKL's s8u8s32; without AMX against the ceiling of VNNI
    bf16      our kernel against PyTorch's bfloat16 and MKL's bf16bf16f32
    fp16      our kernel against PyTorch's float16 and MKL's hgemm; in FP16 arithmetic where the processor has it, like hgemm
    start     the first run with an empty cache of compiled code, and later ones

Contestants take turns in one process (A B C, B C A, ...), each begun after the threads of the one before have gone to sleep, and at
least 0.2 s long. A line is one ratio: the median of both rates, and the median, lowest and highest of the ratios of the rounds. MKL and
PyTorch are found if they are installed (`pip install mkl torch`), or MKL where --mkl or FLOPBENCH_BLAS says that its libmkl_rt.so is; a
peer that would take more than 6 s a run is met at a smaller n, and the line says so.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from flopbench_kernels import blas_library
from flopbench_kernels.gemm_numba import isa
from threadpoolctl import threadpool_limits

from flopbench import ceiling, registry
from flopbench.comm import SelfComm
from flopbench.errors import BadInput
from flopbench.flops import gemm_flops
from flopbench.kernel_api import GemmProblem, Settings
from flopbench.machine.detect import detect
from flopbench.timing import settle, timed

FLOPBENCH = [sys.executable, "-P", "-c", "from flopbench.cli import main; main()"]
SIZES = (2048, 4096)
PATIENCE_S = 6.0  # of one run
TURN_S = 0.2  # runs are repeated for so long: the first after a pause is slower, by a tenth where it takes 20 ms
SMALLEST_N = 512
MACHINE = detect()
ALL = MACHINE.limits.usable_cores


@dataclass(frozen=True)
class Contestant:
    """Who multiplies: `make(n, threads, stack)` gives a function that does it once, or raises Absent.

    Our rate must be `at_least` so many times theirs, or, if that is `only_an_aim`, should be.
    """

    label: str
    make: Callable[[int, int, ExitStack], Callable[[], object]]
    at_least: float | None = None
    only_an_aim: bool = False


class Absent(Exception):
    """This contestant cannot run here; the text says why."""


def kernel(name: str, at_least: float | None = None, label: str = "", **settings: str) -> Contestant:
    """A kernel of flopbench."""

    def make(n: int, threads: int, stack: ExitStack) -> Callable[[], object]:
        made = registry.load(name)(Settings(threads=threads, **settings))
        reason = made.why_not(MACHINE)
        if reason:
            raise Absent(reason)
        stack.callback(made.close)
        made.setup(GemmProblem(n, n, n, made.precision), SelfComm(), MACHINE)
        made.reset()
        return made.run

    return Contestant(label or name.removeprefix("gemm_"), make, at_least)


def mkl(library: str, name: str, at_least: float | None, label: str, only_an_aim: bool = False) -> Contestant:
    """One of the products of MKL, which is at or called `library`, through the kernel that calls a BLAS by ctypes."""
    found = kernel(name, at_least, label, blas=library)

    def make(n: int, threads: int, stack: ExitStack) -> Callable[[], object]:
        try:
            return found.make(n, threads, stack)
        except BadInput as error:
            raise Absent(str(error)) from error

    return Contestant(found.label, make, at_least, only_an_aim)


def torch(kind: str, at_least: float | None) -> Contestant:
    """PyTorch's product of two matrices of `kind`; int8 by _int_mm."""

    def make(n: int, threads: int, stack: ExitStack) -> Callable[[], object]:
        if importlib.util.find_spec("torch") is None:
            raise Absent("PyTorch is not installed (pip install torch)")
        import torch

        torch.set_num_threads(threads)
        if kind == "int8":
            a, b = (torch.randint(-128, 128, (n, n), dtype=torch.int8) for _ in range(2))
            return lambda: torch._int_mm(a, b)
        a, b = ((torch.rand(n, n) - 0.5).to(getattr(torch, kind)) for _ in range(2))
        c = torch.empty_like(a)
        return lambda: torch.mm(a, b, out=c)

    return Contestant("torch._int_mm" if kind == "int8" else f"torch {kind}", make, at_least)


PRECISIONS = ("fp64", "fp32", "int8", "bf16", "fp16")


def contestants(precision: str, library: str) -> list[Contestant]:
    """Our kernel, then its peers; `library` is MKL's path or name."""
    ours = kernel(f"gemm_{precision}_numba")
    if precision == "int8":
        return [ours, torch("int8", 1.3), mkl(library, "gemm_int8_cblas", None, "MKL s8u8s32")]
    if precision == "bf16":
        return [ours, torch("bfloat16", 1.0), mkl(library, "gemm_bf16_cblas", None, "MKL bf16bf16f32")]
    if precision == "fp16":
        peers = [torch("float16", 2.0), mkl(library, "gemm_fp16_cblas_acc16", 0.9, "MKL hgemm")]
        if isa.why_not("avx512fp16", MACHINE):
            return [ours, *peers]
        return [kernel("gemm_fp16_numba_acc16"), *peers, ours]
    openblas = kernel(f"gemm_{precision}_numpy", 0.97, "NumPy's OpenBLAS")
    return [ours, openblas, mkl(library, f"gemm_{precision}_cblas", 1.05, "MKL", only_an_aim=True)]


def say(what: str, ours: str, theirs: str, pairs: Sequence[tuple[float, float]], bound: str = "") -> None:
    """One line: both medians in G operations a second, the ratio, and what it is to be, such as "must 0.97"."""
    ratios = [a / b for a, b in pairs]
    middle = statistics.median(ratios)
    judged = f"  {bound}: {'holds' if middle >= float(bound.split()[1]) else 'BELOW'}" if bound else ""
    rates = [statistics.median(side) / 1e9 for side in zip(*pairs, strict=True)]
    spread = f"({min(ratios):.3f} to {max(ratios):.3f}, {len(ratios)} pairs)"
    line = f"{what:<22} {ours} {rates[0]:.1f} : {theirs} {rates[1]:.1f} G/s  ratio {middle:.3f} {spread}{judged}"
    print(line, flush=True)


def seconds(run: Callable[[], object]) -> float:
    """Of one run, begun when nothing else in this process computes; of short runs the median of TURN_S, without the first."""
    settle()
    times = [timed(run, SelfComm())]  # type: ignore[arg-type]
    while sum(times) < TURN_S:
        times.append(timed(run, SelfComm()))  # type: ignore[arg-type]
    return statistics.median(times[1:] or times)


def affordable(one: Contestant, n: int, threads: int) -> int:
    """The size at which a run takes at most PATIENCE_S, by the best of three runs at SMALLEST_N: n, n / 2, ..."""
    with ExitStack() as stack:
        run = one.make(SMALLEST_N, threads, stack)
        run()
        small = min(seconds(run) for _ in range(3))
    while n > SMALLEST_N and small * (n / SMALLEST_N) ** 3 > PATIENCE_S:
        n //= 2
    return n


def duel(ours: Contestant, peers: Sequence[Contestant], n: int, threads: int, rounds: int) -> None:
    """Rounds in which each contestant has its turn; a line for each peer."""
    with ExitStack() as stack:
        stack.enter_context(threadpool_limits(threads))
        runs = [one.make(n, threads, stack) for one in (ours, *peers)]
        for run in runs:
            run()
        times: list[list[float]] = [[] for _ in runs]
        for turn in range(rounds):
            for place in range(len(runs)):
                who = (turn + place) % len(runs)
                times[who].append(seconds(runs[who]))
    rates = [[gemm_flops(n, n, n) / t for t in each] for each in times]
    what = f"n = {n}, {threads} thread{'s' if threads > 1 else ''}"
    for peer, theirs in zip(peers, rates[1:], strict=True):
        bound = f"{'aim' if peer.only_an_aim else 'must'} {peer.at_least:g}" if peer.at_least else ""
        say(what, ours.label, peer.label, list(zip(rates[0], theirs, strict=True)), bound)


def contest(name: str, library: str, rounds: int) -> None:
    """Our kernel against every peer that is here, at both sizes; FP64 and FP32 also on one thread."""
    ours, *peers = contestants(name, library)
    for threads in sorted({1, ALL}) if name in ("fp64", "fp32") else [ALL]:
        meetings: dict[int, list[Contestant]] = {}
        for peer in peers:
            try:
                sizes = [affordable(peer, n, threads) for n in SIZES]
            except Absent as reason:
                print(f"{name}, {threads} threads: {peer.label} not measured: {reason}", flush=True)
                continue
            for wanted, n in zip(SIZES, sizes, strict=True):
                if n < wanted:
                    print(f"{peer.label} would take more than {PATIENCE_S:g} s at n = {wanted}: n = {n}", flush=True)
            for n in set(sizes):
                meetings.setdefault(n, []).append(peer)
        for n, present in sorted(meetings.items()):
            duel(ours, present, n, threads, rounds)


def special_instructions(name: str, rounds: int) -> None:
    """INT8 by VNNI against the ceiling of VNNI, where the processor has it; and what of the others it lacks."""
    for wanted in {"int8": ("avx512vnni", "amx"), "bf16": ("avx512bf16", "amx"), "fp16": ("avx512fp16",)}[name]:
        reason = isa.why_not(wanted, MACHINE)
        if reason:
            print(f"{name} by {wanted}: not measured: {reason}", flush=True)
    if name != "int8" or isa.why_not("avx512vnni", MACHINE):
        return
    loops = [loop for loop in ceiling.installed_loops() if loop.name == "avx512_vnni"]
    for n in SIZES:
        with ExitStack() as stack:
            run = kernel("gemm_int8_numba", isa="avx512vnni").make(n, ALL, stack)
            run()
            pairs = []
            for _ in range(rounds):
                settle()
                top = ceiling.measure("int8", ALL, MACHINE, loops=loops)
                assert not isinstance(top, str), top
                pairs.append((gemm_flops(n, n, n) / seconds(run), top.flops))
        say(f"n = {n}, {ALL} threads", "int8_numba by avx512vnni", "VNNI ceiling", pairs, "must 0.6")


def bare(repeats: int) -> None:
    """Print the best rates of a bare loop, NumPy alone in the process, as JSON."""
    best = {}
    for dtype, name in (("float64", "fp64"), ("float32", "fp32")):
        for n in SIZES:
            random = np.random.default_rng(n)
            a, b = ((random.random((n, n), dtype=dtype) - 0.5).astype(dtype) for _ in range(2))
            c = np.empty((n, n), dtype)
            times = []
            for _ in range(3 + repeats):
                start = time.perf_counter()
                np.matmul(a, b, out=c)
                times.append(time.perf_counter() - start)
            best[f"{name} {n}"] = gemm_flops(n, n, n) / min(times[3:])
    print(json.dumps(best))


def harness(rounds: int, repeats: int = 5) -> None:
    """flopbench's own process against a bare loop in a process of its own: best of as many runs on both sides."""
    sizes = ",".join(map(str, SIZES))
    asked = ["--precision", "fp64,fp32", "--backend", "numpy", "--n", sizes, "--repeat", str(repeats), "--json"]
    found: dict[str, list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        sides: list[list[str]] = [
            [*FLOPBENCH, "gemm", *asked, "--output", folder],
            [sys.executable, __file__, "--bare", str(repeats)],
        ]
        for turn in range(rounds):
            said: list[dict[str, Any]] = [{}, {}]
            for side in (0, 1) if turn % 2 == 0 else (1, 0):
                done = subprocess.run(sides[side], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
                said[side] = json.loads(done.stdout)
            for record in said[0]["results"]:
                case = f"{record['precision']} {record['problem']['n']}"
                found.setdefault(case, []).append((record["rmax_flops"], said[1][case]))
    for case, pairs in found.items():
        say(f"{case}, {ALL} threads", "numpy as reported", "bare np.matmul", pairs, "must 0.98")


def start(rounds: int) -> None:
    """Seconds of small runs: with an empty cache of compiled code, and later; to the first timed product, and as the shell sees them."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            *FLOPBENCH,
            "gemm",
            "--backend",
            "numba",
            "--n",
            "256",
            "--repeat",
            "1",
            "--json",
            "--output",
            folder,
        ]
        surroundings = os.environ | {"NUMBA_CACHE_DIR": str(Path(folder, "cache"))}

        def once(*more: str) -> tuple[float, float]:
            began = datetime.now(UTC)
            done = subprocess.run([*command, *more], env=surroundings, capture_output=True, check=True)
            ended = datetime.now(UTC)
            first = min(record["run_times_utc"][0][0] for record in json.loads(done.stdout)["results"])
            return (datetime.fromisoformat(first) - began).total_seconds(), (ended - began).total_seconds()

        print(f"first run, empty cache, all kernels: {once()[1]:.1f} s, must be under 20 s", flush=True)
        for what, more in (("FP64 alone", ["--precision", "fp64"]), ("all kernels", [])):
            later = list(zip(*(once(*more) for _ in range(rounds)), strict=True))
            told = [f"median {statistics.median(s):.2f} s ({min(s):.2f} to {max(s):.2f})" for s in later]
            print(
                f"later runs, {what}, {rounds} runs: first timed product after {told[0]}; all of it, with ceilings and checks, {told[1]}",
                flush=True,
            )


PARTS = ("harness", *PRECISIONS, "start")


def main() -> None:
    """See the text at the top of this file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--only", type=lambda text: text.split(","), default=PARTS, metavar="NAMES", help="of the parts above"
    )
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--mkl", default=os.environ.get(blas_library.VARIABLE, "mkl"), metavar="PATH")
    parser.add_argument("--bare", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.bare:
        bare(given.bare)
        return
    unknown = set(given.only) - set(PARTS)
    if unknown or given.pairs < 1:
        parser.error(f"--only takes {', '.join(PARTS)} and --pairs 1 or more; got {', '.join(unknown) or given.pairs}")
    print(f"{MACHINE.cpu.model_name}, {ALL} threads; load {os.getloadavg()[0]:.1f}", flush=True)
    for part in given.only:
        began = time.perf_counter()
        print(f"== {part}", flush=True)
        if part == "harness":
            harness(given.pairs)
        elif part == "start":
            start(given.pairs)
        else:
            contest(part, given.mkl, given.pairs)
            if part in ("int8", "bf16", "fp16"):
                special_instructions(part, given.pairs)
        print(f"   ({time.perf_counter() - began:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
