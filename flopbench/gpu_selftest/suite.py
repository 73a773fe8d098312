"""The self-test as a whole: its items in order, each with a verdict and numbers whatever happens in it, and the document to send back."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec

from flopbench import provenance, timing
from flopbench.errors import BadInput, CannotWrite
from flopbench.gpu_selftest import arithmetic, exchanges, own_kernels, resources, solving, surroundings
from flopbench.gpu_selftest.bench import Bench, Finding
from flopbench.machine.detect import detect
from flopbench.results import SELFTEST, write_atomically

SCHEMA = "flopbench gpu-selftest 1"

ITEMS: dict[int, tuple[str, Callable[[Bench], Finding]]] = {
    1: ("environment", surroundings.environment),
    2: ("arithmetic identity", arithmetic.identity),
    3: ("products in every precision", arithmetic.products),
    4: ("odd shapes and refused calls", arithmetic.shapes),
    5: ("operations against the stand-in", arithmetic.fidelity),
    6: ("kernels bit for bit", own_kernels.kernels),
    7: ("LU against LAPACK and cuSOLVER", solving.against_lapack),
    8: ("LU under delays", solving.stress),
    9: ("LU beyond 2^31 elements", solving.beyond_int32),
    10: ("memory comes back", resources.memory_returns),
    11: ("times", resources.timing),
    12: ("meters", surroundings.meters),
    13: ("TF32 switch", surroundings.tf32_switch),
    14: ("8-bit tensor cores", surroundings.tensor_cores),
    15: ("several GPUs", exchanges.several),
    16: ("threads", resources.threads),
    17: ("full GPU", resources.full_gpu),
}


def chosen(text: str | None) -> list[int]:
    """Item numbers in "1,2,5-7"; all for None. Raises BadInput."""
    if text is None:
        return list(ITEMS)
    found: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,3})(?:-(\d{1,3}))?\s*", part)
        numbers = range(int(match[1]), int(match[2] or match[1]) + 1) if match else []
        if not numbers or any(number not in ITEMS for number in numbers):
            raise BadInput(f"--only is {text!r}; allowed: items 1 to {len(ITEMS)}, like 1,2,5-7")
        found += numbers
    return sorted(set(found))


def run(bench: Bench, numbers: Iterable[int], tell: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Run the items and return the document; `tell` gets each item's entry as soon as it is there."""
    start = timing.utc_now()
    entries = []
    for number in numbers:
        entries.append(_one(bench, number))
        tell(entries[-1])
    verdicts = [entry["verdict"] for entry in entries]
    return {
        "schema": SCHEMA,
        "flopbench": msgspec.to_builtins(provenance.flopbench()),
        "time_start_utc": start,
        "time_end_utc": timing.utc_now(),
        "machine": msgspec.to_builtins(detect()),
        "verdict": "FAILED" if "FAILED" in verdicts else "PASSED" if "PASSED" in verdicts else "SKIPPED",
        "counts": {verdict: verdicts.count(verdict) for verdict in ("PASSED", "FAILED", "SKIPPED")},
        "items": entries,
    }


def _one(bench: Bench, number: int) -> dict[str, Any]:
    """One item. Whatever it raises is its finding: the other items are still worth having."""
    title, item = ITEMS[number]
    began = bench.now()
    try:
        finding = item(bench)
    except Exception as error:
        finding = Finding("FAILED", f"{type(error).__name__}: {' '.join(str(error).split())}")
    return {"number": number, "title": title, "seconds": bench.now() - began, **asdict(finding)}


def encode(document: dict[str, Any]) -> bytes:
    """The document as JSON; NumPy's numbers become plain ones."""
    return msgspec.json.encode(document, enc_hook=lambda value: value.item())


def write(document: dict[str, Any], folder: Path) -> Path:
    """Put the document into `folder`. Raises CannotWrite."""
    stamp = re.sub(r"[-:]|\..*", "", document["time_start_utc"])
    path = folder / f"{stamp}{SELFTEST}{document['machine']['hostname']}.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(path, msgspec.json.format(encode(document), indent=1).decode() + "\n")
    except OSError as error:
        raise CannotWrite(f"cannot write {path}: {error.strerror}; choose another place with --output DIR") from error
    return path
