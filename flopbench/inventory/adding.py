"""`flopbench inventory add`: enter or correct facts by hand, each with its source."""

from __future__ import annotations

import math
import re
from dataclasses import fields
from datetime import datetime
from typing import Any

from flopbench.errors import BadInput, UnknownName
from flopbench.inventory.entries import Entering
from flopbench.inventory.exchange.grid import clean
from flopbench.inventory.exchange.numbers import LARGEST
from flopbench.inventory.model import (
    STATUSES,
    MachineFacts,
    MeasurementFacts,
    OrganisationFacts,
    PeakFacts,
    Provenance,
    sector,
)
from flopbench.inventory.places import find_machine
from flopbench.inventory.store import Inventory
from flopbench.precision import precision as known_precision

_WHOLE = ("cpu_count", "gpu_count", "cores", "accelerator_cores", "nodes", "cores_per_node", "year")
_DATE = re.compile(r"\d{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?)?")


def add(inventory: Inventory, options: dict[str, Any], now: datetime) -> dict[str, Any]:
    """Enter what `options` (of the command) say; what was entered. Raises BadInput."""
    provenance = _provenance(options)
    precision = known_precision(options["precision"]).name
    facts = _machine(options)
    rates = {name: _rate(options, name) for name in ("rpeak_tflops", "rmax_tflops")}
    asked = [*filter(None, rates.values()), *(options[name] for name in ("withdraw",) if options[name])]
    if facts is None and asked:
        raise BadInput("a rate belongs to a machine; name it with --machine")
    for correction, rate in (("correct_peak", "rpeak_tflops"), ("correct_rmax", "rmax_tflops")):
        if options[correction] is not None and rates[rate] is None:
            raise BadInput(f"--{correction.replace('_', '-')} needs the new figure, --{rate.replace('_', '-')}")
    corrects = [options[name] for name in ("correct_peak", "correct_rmax", "withdraw") if options[name] is not None]
    if corrects and not options["reason"]:
        raise BadInput("a correction says why; give --reason TEXT")
    inventory.check_schema()
    with inventory.writing() as connection:
        stamp = now.isoformat(timespec="seconds").replace("+00:00", "Z")
        entering = Entering(connection, provenance, stamp)
        organisation = clean(options["organisation"])
        if not organisation:
            raise BadInput("--organisation is blank; give its name")
        kind = sector(options["sector"]) if options["sector"] else None
        owner = entering.organisation(OrganisationFacts(organisation, kind, options["tier"]))
        done: dict[str, Any] = {"organisation": organisation, "organisation_id": owner}
        if facts is None:
            return done
        if corrects and find_machine(connection, facts.name, organisation) is None:
            raise BadInput(
                f"{organisation} has no machine {facts.name!r} in the inventory, so nothing of it can be corrected"
            )
        machine = entering.machine(owner, facts)
        done |= {"machine": facts.name, "machine_id": machine}
        if (peak := rates["rpeak_tflops"]) is not None:
            done["peak_id"] = entering.peak(
                machine, PeakFacts(precision, peak, options["convention"]), options["correct_peak"]
            )
        if (rmax := rates["rmax_tflops"]) is not None:
            listed = MeasurementFacts("listed", "lu", precision, rmax, measured_on=options["query_date"])
            done["measurement_id"] = entering.measurement(machine, listed, options["correct_rmax"])
        if options["withdraw"] is not None:
            nothing = MeasurementFacts("listed", "lu", precision, None)
            done["measurement_id"] = entering.measurement(machine, nothing, options["withdraw"])
        return done


def _provenance(options: dict[str, Any]) -> Provenance:
    source = clean(options["source"] or "")
    if not source:
        raise BadInput("every figure has a source; give --source TEXT, a URL or a document")
    date = options["query_date"]
    if date is not None and not _DATE.fullmatch(date):
        raise BadInput(f"--query-date is {date[:40]!r}; allowed: a year, year and month, or date, like 2024-05")
    return Provenance(source, date, options["remarks"], options["reason"])


def _rate(options: dict[str, Any], name: str) -> float | None:
    """FLOP/s from an option in TFLOPS. Raises BadInput unless positive and possible."""
    value = options[name]
    if value is None:
        return None
    if not (math.isfinite(value) and 0 < value * 1e12 < LARGEST):
        raise BadInput(f"--{name.replace('_', '-')} is {value}; allowed: a positive number of TFLOPS")
    return float(value) * 1e12


def _machine(options: dict[str, Any]) -> MachineFacts | None:
    values: dict[str, Any] = {}
    allowed = [f.name for f in fields(MachineFacts) if f.name not in ("name", "site_power_w")] + ["site_power_kw"]
    for setting in options["settings"]:
        name, equals, text = setting.partition("=")
        if not equals or name not in allowed:
            raise UnknownName("field in --set", name, allowed)
        values[name] = _value(name, clean(text))
    if "site_power_kw" in values:
        values["site_power_w"] = values.pop("site_power_kw") * 1e3
    name = clean(options["machine"] or "")
    if not name:
        if values:
            raise BadInput("--set says something about a machine; name it with --machine")
        return None
    return MachineFacts(name=name, **values)


def _value(name: str, text: str) -> Any:
    if name == "status" and text not in STATUSES:
        raise BadInput(f"status is {text[:40]!r}; allowed: {', '.join(STATUSES)}")
    if name in _WHOLE:
        if not re.fullmatch(r"\d{1,12}", text, re.ASCII):
            raise BadInput(f"{name} is {text[:40]!r}; allowed: a whole number")
        return int(text)
    if name in ("memory_bytes", "site_power_kw"):
        try:
            value = float(text)
        except ValueError as error:
            raise BadInput(f"{name} is {text[:40]!r}; allowed: a number") from error
        if not (math.isfinite(value) and 0 < value < LARGEST):
            raise BadInput(f"{name} is {text[:40]!r}; allowed: a positive number")
        return value
    if not text:
        raise BadInput(f"{name} is blank; leave it out instead")
    return text
