"""The Result record, schema 1: one self-contained JSON file a run. Checked on write and on read; never half-written.

Field names are stable. SI base units, unless a name says otherwise. `content_sha256` is taken over the canonical JSON of all the rest
(sorted keys, no spaces), so that copying or re-indenting a record keeps it valid and editing one does not.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import msgspec

from flopbench.errors import BadInput, CannotWrite
from flopbench.machine.model import Machine

SELFTEST = "_gpu-selftest_"  # in the name of a self-test's document, which is no record
SCHEMA_VERSION = 1

Verdict = Literal["PASSED", "FAILED", "SKIPPED", "UNCHECKED"]


class _Strict(msgspec.Struct, forbid_unknown_fields=True):
    """A part of the record; an unknown key is an error."""


class Flopbench(_Strict, kw_only=True):
    version: str
    commit: str | None
    dirty: bool | None


class Problem(_Strict, kw_only=True):
    """LU: n, nb, p, q. GEMM: m, n, k."""

    n: int
    seed: int
    nb: int | None = None
    p: int | None = None
    q: int | None = None
    m: int | None = None
    k: int | None = None


class Spread(_Strict, kw_only=True):
    """Of the timed repeats; relative_range is (max - min) / median; low and high bound the median's 95 % interval, if there are enough."""

    min_s: float
    median_s: float
    max_s: float
    relative_range: float
    median_low_s: float | None = None
    median_high_s: float | None = None


class Rpeak(_Strict, kw_only=True):
    flops: float
    convention: str
    spec: str
    source: str
    formula: str = ""


class Ceiling(_Strict, kw_only=True):
    flops: float
    method: str


class Efficiency(_Strict, kw_only=True):
    """Fractions of the best verified rate; above 1 is shown as it is, with the likely reason in environment.warnings."""

    of_rpeak: float | None
    of_ceiling: float | None


class Verification(_Strict, kw_only=True):
    verdict: Verdict
    reason: str
    check: str
    value: float | None
    threshold: float | None
    ingredients: dict[str, float | int | str | None]


class PlanLine(_Strict, kw_only=True):
    choice: str
    value: str
    reason: str


class Environment(_Strict, kw_only=True):
    """What the machine ran with. `blas` is threadpoolctl's view; `variables` are the environment variables that matter."""

    python: str
    libraries: dict[str, str]
    blas: list[dict[str, Any]]
    variables: dict[str, str]
    kernel: dict[str, str]  # what the kernel says it chose
    load_average_1min: float | None
    governor: str | None
    warnings: list[str]
    affinity: str | None = None  # hardware threads that the process may use, as the kernel lists them: "0-3,8"
    steal_fraction: float | None = None  # of all CPUs' time during the run, given to others by the hypervisor


class Phase(_Strict, kw_only=True):
    """Time of one phase of a run over the ranks, in seconds, of the best repeat."""

    name: str
    max_s: float
    mean_s: float
    slowest_rank: int
    slowest_host: str


class Energy(_Strict, kw_only=True):
    """Over the timed region. `cover` says what the meters see; a component is never passed off as the wall."""

    joules: float
    mean_power_w: float
    idle_power_w: float | None
    flops_per_watt: float | None
    cover: list[str]
    level: str
    missing: list[str]
    meters: list[dict[str, Any]]
    warnings: list[str] = []


class GpuMeters(_Strict, kw_only=True):
    """NVML's readings during the timed repeats, and only then. `throttled`: the share of readings with each reason. None: not told."""

    samples: int
    mean_sm_clock_hz: float | None
    min_sm_clock_hz: float | None
    mean_power_w: float | None
    max_temperature_c: float | None
    throttled: dict[str, float]


class Record(_Strict, kw_only=True):
    """One Result."""

    schema_version: int
    run_id: str
    flopbench: Flopbench
    time_start_utc: str
    time_end_utc: str
    kernel: str
    routine: str
    precision: str
    accumulator: str
    backend: str
    device: str
    unit: Literal["FLOP/s", "OP/s"]
    problem: Problem
    ranks: int
    threads_per_rank: int
    flop_count: float
    times_s: list[float]
    rmax_flops: float | None
    median_flops: float | None
    spread: Spread | None
    rpeak: Rpeak | None
    rpeak_reason: str | None
    ceiling: Ceiling | None
    ceiling_reason: str | None
    efficiency: Efficiency
    verification: Verification
    machine: Machine
    environment: Environment
    energy: Energy | None
    energy_reason: str | None = None
    gpu_meters: GpuMeters | None = None  # of the timed repeats on a GPU whose NVML answers
    phases: list[Phase] = []
    tuning: dict[str, Any] = {}
    run_times_utc: list[tuple[str, str]] = []  # start and end of each timed repeat, for power meters
    foreign: str | None = None  # set when the run was not flopbench's: which program's output this was read from
    plan: list[PlanLine] = []
    content_sha256: str = ""


def canonical(document: dict[str, Any]) -> bytes:
    """The bytes that are hashed: JSON, keys sorted, no spaces, UTF-8, without `content_sha256`."""
    rest = {key: value for key, value in document.items() if key != "content_sha256"}
    return json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def content_sha256(document: dict[str, Any]) -> str:
    """The hash that `document`, a record as JSON gives it, must carry."""
    return hashlib.sha256(canonical(document)).hexdigest()


def to_document(record: Record) -> dict[str, Any]:
    """The record as JSON types, sealed with its hash. Raises BadInput if it breaks the schema."""
    document = json.loads(msgspec.json.encode(record))
    document["content_sha256"] = content_sha256(document)
    from_document(document)
    return document


def from_document(document: Any, where: str = "record") -> Record:
    """The record in `document`. Raises BadInput: other schema, unknown or missing key, wrong type, altered content."""
    if not isinstance(document, dict):
        raise BadInput(f"{where}: a record is a JSON object, got {type(document).__name__}")
    version = document.get("schema_version")
    if not isinstance(version, int) or isinstance(version, bool):
        raise BadInput(f"{where}: no schema_version, so this is no flopbench record")
    if version > SCHEMA_VERSION:
        writer = document.get("flopbench") or {}
        made_by = writer.get("version", "unknown") if isinstance(writer, dict) else "unknown"
        raise BadInput(
            f"{where}: schema {version}, this flopbench reads up to {SCHEMA_VERSION}; use flopbench {made_by} or newer"
        )
    try:
        record = msgspec.convert(document, Record)
        expected = content_sha256(document)
    except (msgspec.ValidationError, ValueError) as error:
        raise BadInput(f"{where}: not a valid record of schema {version}: {error}") from error
    _check_consistency(record, where)
    if record.content_sha256 != expected:
        raise BadInput(
            f"{where}: altered since it was written (content_sha256 does not match); submit the original file"
        )
    return record


def record_files(folder: Path, below: bool = False) -> list[Path]:
    """The *.json files of a folder, and of those below it if asked, but for what `flopbench gpu-selftest` puts beside the records."""
    found = folder.rglob("*.json") if below else folder.glob("*.json")
    return sorted(path for path in found if SELFTEST not in path.name)


def read(path: Path) -> Record:
    """The record in the file at `path`. Raises BadInput."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise BadInput(f"cannot read record {path}: {error.strerror}") from error
    try:
        document = json.loads(text, object_pairs_hook=_no_twins, parse_constant=_no_constant, parse_float=_exact_float)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{path}: not JSON ({error}); was it cut off?") from error
    return from_document(document, str(path))


def file_name(record: Record) -> str:
    """The name of a record's file: <UTC start>_<kernel>_n<n>_<first 8 of run id>.json."""
    stamp = record.time_start_utc.replace("-", "").replace(":", "").split(".")[0].split("+")[0]
    return f"{stamp}_{record.kernel}_n{record.problem.n}_{record.run_id[:8]}.json"


def write(record: Record, folder: Path) -> Path:
    """Write the record into `folder` at once or not at all. Raises CannotWrite."""
    document = to_document(record)
    path = folder / file_name(record)
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text)
    except OSError as error:
        raise CannotWrite(
            f"cannot write the record to {path}: {error.strerror}; the result above stands, choose another place with --output DIR"
        ) from error
    return path


def write_atomically(path: Path, text: str) -> None:
    """Put `text` into `path` by a rename: a reader, or a crash, sees the old file or the new one. Raises OSError.

    The temporary file's name is known before it exists, so that an interruption at any moment finds it and takes it away.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        with open(temporary, "x", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _check_consistency(record: Record, where: str) -> None:
    """What the types cannot say: times positive, and a rate only with a PASSED verdict."""
    if any(not (math.isfinite(t) and t > 0) for t in record.times_s):
        raise BadInput(f"{where}: times_s must be positive numbers, got {record.times_s}")
    if record.verification.verdict != "PASSED" and record.rmax_flops is not None:
        raise BadInput(f"{where}: rmax_flops must be null, since the verdict is {record.verification.verdict}")
    if record.verification.verdict == "PASSED" and (record.rmax_flops is None or not record.times_s):
        raise BadInput(f"{where}: PASSED, but without a rate or times")


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a key appears twice")
    return document


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not allowed in a record")


def _exact_float(text: str) -> float:
    """The double that `text` stands for; a text with digits beyond it was not written by flopbench, though it parses to the same."""
    value = float(text)
    if not math.isfinite(value) or Decimal(text) != Decimal(repr(value)):
        raise ValueError(f"{text[:40]} is not a double as flopbench writes it")
    return value
