"""Item 15: several GPUs, and the LU over two ranks by every way to exchange: staged, CUDA-aware MPI, NCCL."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from typing import Any

from flopbench.errors import EXIT_NOT_POSSIBLE
from flopbench.gpu_selftest.bench import Bench, Finding, Verdict, judged, skipped

EXCHANGES = ("staged", "cuda-aware", "nccl")
#: P x Q, and where panels are factored: panels travel along a row of two, rows along a column of two.
LAYOUTS = (("1x2", "host"), ("2x1", "device"))

_PROGRAM = "from flopbench.cli import main; main()"
Run = Callable[[list[str]], tuple[int, str, str]]


def several(bench: Bench) -> Finding:
    """15: distinct PCI addresses, who reaches whom, and an LU over two ranks by every exchange; on one GPU both ranks share it."""
    libraries = bench.open_libraries()
    count = libraries.runtime.getDeviceCount()
    if not bench.real:
        return skipped(f"no ranks to exchange with: a stand-in runs in one process; {', '.join(EXCHANGES)}", gpus=count)
    addresses = [libraries.facts(index).pci_bus_id for index in range(count)]
    reach = [[libraries.runtime.deviceCanAccessPeer(i, j) if i != j else 1 for j in range(count)] for i in range(count)]
    numbers: dict[str, Any] = {"gpus": count, "pci_bus_ids": addresses, "peer_access": reach}
    distinct = len(set(addresses)) == count
    launcher = shutil.which("mpiexec")
    if launcher is None:
        reason = f"{count} GPU; NOT TESTED over MPI, by {', '.join(EXCHANGES)}: no mpiexec on the path"
        return judged(distinct, reason, **numbers) if count > 1 else skipped(reason, **numbers)
    return judge(distinct, over_two_ranks(launcher, count, libraries.why_no_nccl(), _run), numbers)


def over_two_ranks(launcher: str, gpus: int, why_no_nccl: str | None, run: Run) -> dict[str, tuple[Verdict, str]]:
    """Verdict and reason of each exchange and layout, by name."""
    found: dict[str, tuple[Verdict, str]] = {}
    for exchange in EXCHANGES:
        absent = None
        if exchange == "nccl":
            absent = why_no_nccl if gpus > 1 else f"NCCL takes one rank per GPU, and there is {gpus}"
        for grid, panel in LAYOUTS:
            name = f"exchange={exchange} panel={panel} {grid}"
            found[name] = ("SKIPPED", absent) if absent else _lu(launcher, grid, panel, exchange, gpus, run)
    return found


def judge(distinct: bool, found: dict[str, tuple[Verdict, str]], numbers: dict[str, Any]) -> Finding:
    """FAILED if one is, or two GPUs have one address; SKIPPED if nothing ran."""
    told = "; ".join(f"{name}: {verdict}{f' ({why})' if why else ''}" for name, (verdict, why) in found.items())
    verdicts = {verdict for verdict, _ in found.values()}
    numbers = {**numbers, "exchanges": {name: verdict for name, (verdict, _) in found.items()}}
    if not distinct:
        return judged(False, f"two GPUs have the same PCI address; {told}", **numbers)
    return skipped(told, **numbers) if verdicts == {"SKIPPED"} else judged("FAILED" not in verdicts, told, **numbers)


def _lu(launcher: str, grid: str, panel: str, exchange: str, gpus: int, run: Run) -> tuple[Verdict, str]:
    with tempfile.TemporaryDirectory() as folder:
        job = [
            launcher, "-n", "2", sys.executable, "-c", _PROGRAM, "hpl", "--device", "cuda", "--kernel", "lu_fp64_cupy",
            "--n", "4000", "--nb", "256", "--grid", grid, "--repeat", "1", "--json", "--output", folder,
            "--option", f"panel={panel}", "--option", f"exchange={exchange}",
            *(["--option", "oversubscribe=1"] if gpus < 2 else []),
        ]  # fmt: skip
        code, out, error = run(job)
    said = " ".join(error.split())[-200:]
    if code == EXIT_NOT_POSSIBLE:
        return "SKIPPED", said
    if code:
        return "FAILED", f"exit code {code}: {said}"
    check = json.loads(out)["results"][0]["verification"]
    return ("PASSED", "") if check["verdict"] == "PASSED" else ("FAILED", check["reason"])


def _run(job: list[str]) -> tuple[int, str, str]:
    done = subprocess.run(job, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr
