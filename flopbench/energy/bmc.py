"""The node's management controller (BMC), by IPMI's DCMI command through ipmitool, or by Redfish over HTTP: power of the whole node.

Slow (about a reading a second at best) and of unknown accuracy, so never more than "node": what the wall gives, the vendor knows.
Sources: DCMI 1.5, Get Power Reading; DMTF Redfish, Chassis.Power (PowerControl) and EnvironmentMetrics (PowerWatts).
"""

from __future__ import annotations

import base64
import http.client
import json
import re
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from typing import Any

from flopbench.energy.meter import Found, Meter, MeterLost
from flopbench.machine.source import Source

IPMI, REDFISH = "IPMI", "Redfish"
COMMAND = ["ipmitool", "dcmi", "power", "reading"]
ADDRESS = "FLOPBENCH_REDFISH"  # https://USER:PASSWORD@HOST
INSECURE = "FLOPBENCH_REDFISH_INSECURE"  # 1: do not check the certificate, which BMCs sign themselves
_READING = re.compile(r"Instantaneous power reading:\s*(\d+)\s*Watts")
_PATIENCE_S = 5.0
#: What another server, a broken one, or an address that is none leads to. A ValueError may quote the address, password and all.
_NOT_REDFISH = (OSError, http.client.HTTPException, ValueError, LookupError, TypeError, AttributeError)

Fetch = Callable[[str], Any]


class SlowMeter(Meter):
    """A question that takes long and gives W, or None."""

    quantity = "power"
    slow = True
    period_s = 2.0

    def __init__(self, name: str, ask: Callable[[], float | None]) -> None:
        super().__init__(name, "node")
        self._ask = ask

    def read(self) -> float:
        found = self._ask()
        if found is None:
            raise MeterLost(f"{self.name}: no reading")
        return found


def find_ipmi(source: Source) -> Found:
    """ipmitool, if it answers with a reading above 0 W."""

    def ask() -> float | None:
        match = _READING.search(source.runner(COMMAND) or "")
        return float(match.group(1)) if match and int(match.group(1)) > 0 else None

    if ask() is None:
        needs = "it needs ipmitool, root and a BMC that has DCMI"
        return Found(IPMI, why_not=f"`{' '.join(COMMAND)}` gives no reading; {needs}")
    return Found(IPMI, (SlowMeter(IPMI, ask),))


def find_redfish(source: Source, fetch: Fetch | None = None, ask: bool = True) -> Found:
    """The BMC at $FLOPBENCH_REDFISH: all its chassis together, but none that lies inside another one. Without `ask` none is called."""
    address = source.environ.get(ADDRESS)
    if not address:
        return Found(REDFISH, why_not=f"no address: set {ADDRESS}=https://USER:PASSWORD@BMC")
    if not ask:
        waits = "it may take seconds to answer, so only a run with --energy asks it"
        return Found(REDFISH, why_not=f"{_without_password(address)} was not asked: {waits}")
    try:
        get = fetch or _http(address, source.environ.get(INSECURE) == "1")
        chassis = [member["@odata.id"] for member in get("/redfish/v1/Chassis")["Members"]]
        found = {path: place for path in chassis if (place := _place(get, path))}
        places = [place for path, place in found.items() if _outer(get, path) not in found]
    except _NOT_REDFISH as error:
        what = type(error).__name__ if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        return Found(REDFISH, why_not=f"{_without_password(address)} does not answer as Redfish ({what})")
    if not places:
        return Found(REDFISH, why_not=f"no chassis of {_without_password(address)} tells its power")

    def power() -> float | None:
        try:
            return sum(_watts(get(path)) or 0.0 for path in places) or None
        except _NOT_REDFISH:
            return None

    return Found(REDFISH, (SlowMeter(REDFISH, power),))


def _outer(get: Fetch, chassis: str) -> str | None:
    """The chassis that this one is inside of: its power is part of that one's, and must not be counted twice."""
    links = get(chassis).get("Links") or {}
    return (links.get("ContainedBy") or {}).get("@odata.id")


def _place(get: Fetch, chassis: str) -> str | None:
    """The resource below a chassis that tells its power: the old one, else the new one."""
    for path in (f"{chassis}/Power", f"{chassis}/EnvironmentMetrics"):
        try:
            if _watts(get(path)) is not None:
                return path
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise
    return None


def _watts(resource: Any) -> float | None:
    if "PowerControl" in resource:
        found = [control.get("PowerConsumedWatts") for control in resource["PowerControl"]]
        return next((float(watts) for watts in found if watts), None)
    reading = (resource.get("PowerWatts") or {}).get("Reading")
    return float(reading) if reading else None


def _http(address: str, insecure: bool) -> Fetch:
    parts = urllib.parse.urlsplit(address)
    base = f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")
    user = f"{urllib.parse.unquote(parts.username or '')}:{urllib.parse.unquote(parts.password or '')}"
    context = ssl._create_unverified_context() if insecure else None

    def fetch(path: str) -> Any:
        request = urllib.request.Request(base + path, headers={"Accept": "application/json"})
        if parts.username:
            request.add_header("Authorization", "Basic " + base64.b64encode(user.encode()).decode())
        with urllib.request.urlopen(request, timeout=_PATIENCE_S, context=context) as answer:
            return json.load(answer)

    return fetch


def _without_password(address: str) -> str:
    return re.sub(r"//[^/]*@", "//", address)
