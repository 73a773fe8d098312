"""Gates by the dozen, to see how often they cry wolf and how often they miss one. Not a test: it takes an hour of a whole machine.

    python tests/experiments/gate/experiment.py aa --gates 40 --output aa.jsonl       the same code on both sides
    python tests/experiments/gate/experiment.py power --gates 20 --output power.jsonl planted delays that take 15 % and 25 % of the rate
    python tests/experiments/gate/experiment.py summary aa.jsonl power.jsonl

`aa`: the time budget is 55 s, and every second gate has a neighbour, a process that burns one CPU, started and stopped at random.
A leg runs N = 1000 on one thread: on two shared virtual processors whatever else runs meets a run of two threads twice.
`power`: each gate guards two metrics, whose heads have rates 15 % and 25 % below the base's, as the threshold counts.
Each gate is one line of JSON, appended when it ends; an experiment that was stopped goes on where it was. --hold COMMAND runs each
gate under COMMAND (a lock on the machine, say).
"""

from __future__ import annotations

import argparse
import json
import random
import shlex
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path

HERE = Path(__file__).parent
FLOPBENCH = [sys.executable, "-P", "-c", "from flopbench.cli import main; main()"]
COMMAND = ["--n", "700", "--nb", "128", "--threads", "1", "--repeat", "15"]
AA = f"""
budget_s = 55
[[metric]]
name = "hpl"
run = {json.dumps(["hpl", *COMMAND])}
[head]
environment = {{UNUSED = "1"}}
"""
POWER = f"""
budget_s = 400
[[metric]]
name = "15 % slower"
run = {json.dumps(["hpl", *COMMAND, "--kernel", "lu_fp64_planteda"])}
[[metric]]
name = "25 % slower"
run = {json.dumps(["hpl", *COMMAND, "--kernel", "lu_fp64_plantedb"])}
[base]
environment = {{PYTHONPATH = "PACKAGE"}}
[head]
environment = {{PYTHONPATH = "PACKAGE", PLANTED_A = "SLOWER15", PLANTED_B = "SLOWER25"}}
"""


def planted_package(folder: Path) -> None:
    """The planted kernels as an installed package of somebody else: a module and its entry points."""
    (folder / "planted.py").write_text((HERE / "planted.py").read_text())
    info = folder / "planted-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: planted\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[flopbench.kernels]\nlu_fp64_planteda = planted:PlantedA\nlu_fp64_plantedb = planted:PlantedB\n"
    )


BURN = "import os; parent = os.getppid()\nwhile os.getppid() == parent: pass"  # ends with us, however we end


class Neighbour:
    """A process that burns one CPU for 1 to 8 seconds, after pauses of 1 to 8 seconds, until `stop`."""

    def __init__(self, seed: int) -> None:
        self._rng, self._end = random.Random(seed), threading.Event()
        self._thread = threading.Thread(target=self._live)
        self._thread.start()

    def _live(self) -> None:
        while not self._end.wait(self._rng.uniform(1, 8)):
            burner = subprocess.Popen([sys.executable, "-c", BURN])
            self._end.wait(self._rng.uniform(1, 8))
            burner.kill()
            burner.wait()

    def stop(self) -> None:
        self._end.set()
        self._thread.join()


def one_gate(number: int, kind: str, hold: list[str]) -> dict:
    """Run one gate of the experiment by its command line; what it said, as a line for the log."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        text = (AA if kind == "aa" else POWER).replace("PACKAGE", name)
        for percent in (15, 25):
            text = text.replace(f"SLOWER{percent}", f"{1 / (1 - percent / 100) - 1:.4f}")
        (folder / "gate.toml").write_text(text)
        planted_package(folder)
        command = [*hold, *FLOPBENCH, "gate", "--config", str(folder / "gate.toml"), "--json"]
        neighbour = Neighbour(number) if kind == "aa" and number % 2 else None
        try:
            done = subprocess.run(command, capture_output=True, text=True)
        finally:
            if neighbour:
                neighbour.stop()
    line = {"kind": kind, "gate": number, "neighbour": neighbour is not None, "exit_code": done.returncode}
    if not done.stdout:
        return line | {"error": done.stderr.strip().splitlines()[-1:]}
    return line | json.loads(done.stdout)["comparison"]


def run(kind: str, gates: int, output: Path, hold: list[str], limit: int | None) -> None:
    """The gates that `output` still lacks, at most `limit` of them now."""
    start = len(output.read_text().splitlines()) if output.exists() else 0
    for number in range(start, min(gates, start + (limit or gates))):
        line = one_gate(number, kind, hold)
        with output.open("a") as stream:
            stream.write(json.dumps(line) + "\n")
        words = ", ".join(f"{m['metric']}: {m['verdict']}" for m in line.get("metrics", []))
        print(f"{kind} {number}: exit {line['exit_code']} {words} {line.get('seconds', 0):.0f} s", flush=True)


def summary(paths: list[Path]) -> None:
    """Counts of verdicts by experiment and metric."""
    words: dict[str, Counter[str]] = {}
    seconds: dict[str, list[float]] = {}
    for line in (json.loads(text) for path in paths for text in path.read_text().splitlines()):
        neighbour = " with neighbour" if line["neighbour"] else ""
        for metric in line.get("metrics", [{"metric": "-", "verdict": "error"}]):
            words.setdefault(f"{line['kind']}, {metric['metric']}{neighbour}", Counter())[metric["verdict"]] += 1
        seconds.setdefault(line["kind"], []).append(line.get("seconds", 0.0))
    for name, counts in words.items():
        print(f"{name}: {sum(counts.values())} gates: " + ", ".join(f"{n} {word}" for word, n in counts.most_common()))
    for kind, times in seconds.items():
        print(f"{kind}: {min(times):.0f} to {max(times):.0f} s a gate, {sum(times) / 60:.1f} min in all")


def main() -> None:
    """See the text at the top of this file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=["aa", "power", "summary"])
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--gates", type=int, default=40)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--hold", default="")
    given = parser.parse_args()
    if given.kind == "summary":
        summary(given.files)
    elif given.output is None:
        parser.error("--output FILE.jsonl is needed")
    else:
        run(given.kind, given.gates, given.output, shlex.split(given.hold), given.limit)


if __name__ == "__main__":
    main()
