"""Join external meters to a run that is over: a new record with energy, sealed; the record it came from stays as it was."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timezone, tzinfo
from pathlib import Path
from typing import Any

import msgspec

from flopbench import results
from flopbench.energy import external, levels
from flopbench.energy.clocks import localise
from flopbench.energy.external import Meters, Power
from flopbench.energy.series import utc
from flopbench.errors import BadInput, CannotWrite
from flopbench.results import Record

_CLOCK_STEP_S = 2.0  # the stamps of a run and its times may differ by the rounding of both


def moment(text: str, zone: tzinfo | None, what: str) -> float:
    """Unix time of ISO 8601 `text`; without a zone of its own it is in `zone`. Raises BadInput."""
    try:
        found = datetime.fromisoformat(text.strip().replace("/", "-"))
    except ValueError as error:
        raise BadInput(f"{what} is {text[:60]!r}; allowed: ISO 8601, like 2026-11-02T03:04:05+01:00") from error
    if found.tzinfo is None:
        if zone is None:
            raise BadInput(f"{what}, {text}, has no time zone; give --timezone, like UTC, +02:00 or Europe/Berlin")
        found = localise(found, zone)
    return found.timestamp()


def regions(record: Record, zone: tzinfo | None) -> list[tuple[float, float]]:
    """Start and end (Unix times) of each timed repeat. A run of flopbench has them; a foreign one has its own stamps, in `zone`.

    Raises BadInput: no times, no zone, or times that do not fit the record's.
    """
    pairs = record.run_times_utc
    if not pairs and record.foreign is not None and len(record.times_s) == 1:
        pairs = [(record.time_start_utc, record.time_end_utc)]
        if "unknown" in pairs[0]:
            raise BadInput(
                "the log does not say when its run started and ended (HPL 2.1 and later print it); without it no meter can be joined"
            )
    if len(pairs) != len(record.times_s) or not pairs:
        raise BadInput(
            f"the record has {len(record.times_s)} timed repeats and the times of day of {len(pairs)}; energy needs both of each"
        )
    found = []
    for (begin, end), seconds in zip(pairs, record.times_s, strict=True):
        low, high = moment(begin, zone, "the run's start"), moment(end, zone, "the run's end")
        if abs(high - low - seconds) > _CLOCK_STEP_S + 0.01 * seconds:
            raise BadInput(
                f"a repeat took {seconds:.6g} s, but lasts {high - low:.6g} s from {begin} to {end}: "
                "the clock was set in between, or the times are wrong"
            )
        found.append((low, high))
    return found


def run_zone(record: Record, zone: tzinfo | None, meters: Meters) -> tuple[tzinfo | None, list[str]]:
    """The zone of a log's times, which have none: as given, else the one that all meters write; the second is worth a word."""
    naive = record.foreign is not None and not record.run_times_utc and _naive(record.time_start_utc)
    if not naive or zone is not None or meters.offset is None:
        return zone, []
    found = timezone(meters.offset)
    return found, [
        f"the log's times have no zone; taken as {found}, which all meters write (--timezone says otherwise)"
    ]


def _naive(text: str) -> bool:
    """Whether `text` is a date and time without a zone."""
    try:
        return datetime.fromisoformat(text).tzinfo is None
    except ValueError:
        return False


def joined(
    record: Record,
    meters: Meters,
    zone: tzinfo | None,
    idle: tuple[float, float] | None,
    cover: Sequence[str],
    site: levels.Site,
    clock_offset_s: float = 0.0,
) -> Record:
    """A new record: `record` with the meters' energy over its timed repeats. Raises BadInput.

    Power of a repeat: the sum over the meters of their means over it (Green500). joules = sum of power x time over the repeats,
    mean_power_w = joules / sum of times, flops_per_watt = FLOP of all repeats / joules.
    """
    zone, notes = run_zone(record, zone, meters)
    parts = regions(record, zone)
    powers = [external.power(meters, *part) for part in parts]
    joules = sum(power.watts * seconds for power, seconds in zip(powers, record.times_s, strict=True))
    if not joules > 0:
        raise BadInput("the meters saw no energy in the timed region; are these the meters of this machine?")
    resting = external.power(meters, *idle) if idle else None
    mean = joules / sum(record.times_s)
    notes += [*meters.notes, *external.gap_notes(meters, powers)]
    notes += [f"the meters' clock was taken as {clock_offset_s:g} s ahead of the run's"] if clock_offset_s else []
    longest = max(parts, key=lambda part: part[1] - part[0])
    doubt = external.suspicion(meters, *longest)
    notes += [doubt] if doubt else []
    if resting is not None and resting.watts >= mean:
        notes.append(
            f"idle power ({resting.watts:.4g} W) is not below the run's ({mean:.4g} W); is the interval right?"
        )
    site = replace(site, meters=len(meters.series))
    level, missing = levels.assess(cover, _readings(meters, parts, powers, resting is not None, mean), site)
    energy = results.Energy(
        joules=joules,
        mean_power_w=mean,
        idle_power_w=resting.watts if resting else None,
        flops_per_watt=record.flop_count * len(record.times_s) / joules if record.rmax_flops else None,
        cover=list(cover),
        level=level,
        missing=missing,
        meters=[*_meters(meters, powers, resting, idle, record.content_sha256), *_kept(record)],
        warnings=notes,
    )
    stamps = [(utc(low), utc(high)) for low, high in parts] if not record.run_times_utc else record.run_times_utc
    new = msgspec.structs.replace(record, energy=energy, energy_reason=None, run_times_utc=stamps)
    return results.from_document(results.to_document(new))


def joins(record: Record) -> int:
    """How many times meters were joined to this run, one join after the other; each keeps what was there before."""
    count, meters = 0, record.energy.meters if record.energy is not None else []
    while any("joined_to" in meter for meter in meters):
        count += 1
        meters = next((meter["before"]["meters"] for meter in meters if "before" in meter), [])
    return count


def write(record: Record, folder: Path) -> Path:
    """Write the joined record beside the others, under a name that is free. Raises CannotWrite."""
    stem = results.file_name(record).removesuffix(".json")
    text = json.dumps(results.to_document(record), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    number = 1
    while (path := folder / f"{stem}_energy{'' if number == 1 else number}.json").exists():
        number += 1
    try:
        folder.mkdir(parents=True, exist_ok=True)
        results.write_atomically(path, text)
    except OSError as error:
        raise CannotWrite(
            f"cannot write the record to {path}: {error.strerror}; choose another place with --output DIR"
        ) from error
    return path


def _readings(
    meters: Meters, parts: list[tuple[float, float]], powers: list[Power], idle: bool, mean_w: float
) -> levels.Readings:
    means = [mean for power in powers for mean in power.means]
    begin, end = min(low for low, _ in parts), max(high for _, high in parts)
    return levels.Readings(
        core_s=min(high - low for low, high in parts),
        interval_s=max(mean.usual_gap_s for mean in means),
        readings=min(mean.readings for mean in means),
        uncovered_s=max(
            (high - low) - (m.last - m.first) for (low, high), p in zip(parts, powers, strict=True) for m in p.means
        ),
        integrated=all(one.kind == "energy" for one in meters.series),
        full_run=all(one.times[0] < begin and one.times[-1] > end for one in meters.series),
        idle=idle,
        longest_gap_s=max(mean.longest_gap_s for mean in means),
        mean_power_w=mean_w,
    )


def _meters(
    meters: Meters, powers: list[Power], resting: Power | None, idle: tuple[float, float] | None, joined_to: str
) -> list[dict[str, Any]]:
    """One entry a meter: where its readings are, what it saw. `joined_to` is the content hash of the record without this energy."""
    entries = []
    for i, one in enumerate(meters.series):
        means = [power.means[i] for power in powers]
        entry: dict[str, Any] = {
            "name": one.name,
            "kind": {"energy": "energy counter", "power": "power samples"}[one.kind],
            "unit": one.unit,
            "file": Path(one.file).name,
            "file_sha256": meters.hashes[one.file],
            "joined_to": joined_to,
            "mean_power_w": [mean.watts for mean in means],
            "first_last_utc": [[utc(mean.first), utc(mean.last)] for mean in means],
            "readings": [mean.readings for mean in means],
            "longest_gap_s": max(mean.longest_gap_s for mean in means),
        }
        if resting is not None and idle is not None:
            entry |= {"idle_power_w": resting.means[i].watts, "idle_utc": [utc(idle[0]), utc(idle[1])]}
        entries.append(entry)
    return entries


def _kept(record: Record) -> list[dict[str, Any]]:
    """The energy that the record had before, whole: a joined meter takes its place in the figures, not in the record."""
    if record.energy is None:
        return []
    return [{"name": "energy before the join", "before": msgspec.to_builtins(record.energy)}]
