"""The processor: /proc/cpuinfo, lscpu and sysfs joined into one Cpu, with a reason for everything that none of them tells."""

from __future__ import annotations

import json
import re
from typing import Any

from flopbench.machine import microarchitecture
from flopbench.machine.model import Cache, Cpu
from flopbench.machine.source import Source
from flopbench.machine.topology import Topology, performance_and_efficiency

_CPU0 = "/sys/devices/system/cpu/cpu0"
_UNITS = {"": 1, "K": 1 << 10, "KiB": 1 << 10, "M": 1 << 20, "MiB": 1 << 20, "G": 1 << 30, "GiB": 1 << 30, "B": 1}


def read_cpuinfo(source: Source) -> list[dict[str, str]]:
    """/proc/cpuinfo: one dictionary for each block that has lines "key : value"; the file separates blocks by empty lines."""
    blocks = []
    for block in re.split(r"\n\s*\n", source.read("/proc/cpuinfo") or ""):
        pairs = [line.partition(":") for line in block.splitlines() if ":" in line]
        if pairs:
            blocks.append({key.strip(): value.strip() for key, _, value in pairs})
    return blocks


def read_lscpu(source: Source) -> dict[str, str]:
    """`lscpu --json` as field -> data; the fields keep a colon at their end, and newer versions nest them under "children"."""
    try:
        document = json.loads(source.runner(["lscpu", "--json"]) or "{}")
    except json.JSONDecodeError:
        return {}
    found: dict[str, str] = {}

    def walk(items: Any) -> None:
        for item in items if isinstance(items, list) else []:
            if not isinstance(item, dict):
                continue
            field, data = str(item.get("field", "")).rstrip(":").strip(), item.get("data")
            if data not in (None, "", "-"):
                found.setdefault(field, str(data))
            walk(item.get("children"))

    walk(document.get("lscpu") if isinstance(document, dict) else None)
    return found


def detect(
    source: Source,
    cpuinfo: list[dict[str, str]],
    lscpu: dict[str, str],
    topology: Topology,
    hypervisor: str | None,
) -> tuple[Cpu, dict[str, str]]:
    """(Cpu, unknown)."""
    first = cpuinfo[0] if cpuinfo else {}
    architecture = lscpu.get("Architecture") or source.uname.machine or "unknown"
    name = _model_name(first, lscpu)
    family, model, stepping = (
        _integer(first.get(key) or lscpu.get(other))
        for key, other in (("cpu family", "CPU family"), ("model", "Model"), ("stepping", "Stepping"))
    )
    vendor = first.get("vendor_id") or lscpu.get("Vendor ID")
    isa = _isa(source, first, lscpu)
    answer = _microarchitecture(first, vendor, (family, model, stepping), isa, name, hypervisor)
    unknown = {"cpu.microarchitecture": answer.reason} if answer.reason else {}
    base_hz, max_hz, clock_reasons = _clocks(source, lscpu, name)
    cores, sockets, threads_per_core = topology.cores, topology.sockets, topology.threads_per_core
    siblings, cpu_cores = _integer(first.get("siblings")), _integer(first.get("cpu cores"))
    if threads_per_core is None and siblings and cpu_cores:
        threads_per_core = max(1, siblings // cpu_cores)
    if cores is None and source.psutil is not None:
        cores = source.psutil.cpu_count(logical=False)
    fast, slow = performance_and_efficiency(source, topology)
    cpu = Cpu(
        architecture=architecture,
        vendor=vendor,
        model_name=name,
        family=family,
        model=model,
        stepping=stepping,
        microarchitecture=answer.name,
        microarchitecture_is_guess=answer.is_guess,
        sockets=sockets or _integer(lscpu.get("Socket(s)")),
        cores=cores,
        threads_per_core=threads_per_core,
        performance_cores=fast,
        efficiency_cores=slow,
        isa=isa,
        base_hz=base_hz,
        max_hz=max_hz,
        caches=_caches(source, lscpu),
        numa_nodes=_numa_nodes(source, lscpu),
    )
    return cpu, {**unknown, **clock_reasons, **_missing(cpu, topology)}


def _missing(cpu: Cpu, topology: Topology) -> dict[str, str]:
    """A reason for each of the plain fields that stayed empty."""
    reasons = {
        "cpu.vendor": "neither /proc/cpuinfo nor lscpu names a vendor",
        "cpu.model_name": "neither /proc/cpuinfo nor lscpu gives a name",
        "cpu.sockets": f"no socket numbers ({topology.origin})",
        "cpu.cores": topology.origin,
        "cpu.threads_per_core": topology.origin,
        "cpu.isa": "neither /proc/cpuinfo nor lscpu lists flags",
        "cpu.caches": "neither sysfs nor lscpu lists caches",
        "cpu.numa_nodes": "neither sysfs nor lscpu lists memory nodes",
    }
    return {key: why for key, why in reasons.items() if getattr(cpu, key.removeprefix("cpu.")) in (None, [])}


def _model_name(first: dict[str, str], lscpu: dict[str, str]) -> str | None:
    """x86 and some others name it in cpuinfo; POWER in the line `cpu`; Arm only through lscpu, where the firmware's name says more."""
    firmware = lscpu.get("BIOS Model name", "")
    for name in (first.get("model name"), first.get("cpu"), firmware, lscpu.get("Model name")):
        if name and not re.match(r"(not specified|virt-|pc-|none|unknown|0x)", name, re.IGNORECASE):
            return " ".join(name.split())
    return None


def _isa(source: Source, first: dict[str, str], lscpu: dict[str, str]) -> list[str]:
    """The kernel's flag names: `flags` on x86, `Features` on Arm; on POWER what the line `cpu` says, VSX being in it since POWER7.

    Where there is AMX also what the kernel does not list.
    """
    flags = set((first.get("flags") or first.get("Features") or lscpu.get("Flags") or "").split())
    power = re.match(r"POWER(\d+)", first.get("cpu", ""))
    if power and "altivec" in first["cpu"]:
        flags.add("altivec")
        if int(power.group(1)) >= 7:  # Power ISA 2.06
            flags.add("vsx")
    if "amx_tile" in flags:
        flags |= source.unlisted()
    return sorted(flags)


def _microarchitecture(
    first: dict[str, str],
    vendor: str | None,
    numbers: tuple[int | None, int | None, int | None],
    isa: list[str],
    name: str | None,
    hypervisor: str | None,
) -> microarchitecture.Answer:
    midr = [re.fullmatch(r"0x([0-9a-f]+)", first.get(key, "")) for key in ("CPU implementer", "CPU part")]
    if midr[0] and midr[1]:
        return microarchitecture.of_arm(int(midr[0].group(1), 16), int(midr[1].group(1), 16))
    if first.get("cpu", "").upper().startswith("POWER"):
        return microarchitecture.of_power(first["cpu"])
    if vendor in ("GenuineIntel", "AuthenticAMD", "HygonGenuine"):
        made_up = hypervisor is not None and microarchitecture.is_generic(name)
        return microarchitecture.of_x86(vendor, *numbers, frozenset(isa), made_up)
    return microarchitecture.Answer(name=None, reason="no processor numbers in /proc/cpuinfo that the table knows")


def _clocks(
    source: Source, lscpu: dict[str, str], name: str | None
) -> tuple[float | None, float | None, dict[str, str]]:
    """(base, maximum, reasons) in Hz. The current clock ("cpu MHz") is neither and never taken.

    Base: intel_pstate's base_frequency (kHz), ACPI CPPC's nominal_freq (MHz), or what the name advertises ("@ 2.60GHz").
    Maximum: cpufreq's cpuinfo_max_freq (kHz), or lscpu's "CPU max MHz".
    """
    base = maximum = None
    if khz := source.number(f"{_CPU0}/cpufreq/base_frequency"):
        base = khz * 1e3
    elif mhz := source.number(f"{_CPU0}/acpi_cppc/nominal_freq"):
        base = mhz * 1e6
    elif advertised := re.search(r"@\s*(\d+(?:\.\d+)?)\s*([MG])Hz", name or ""):
        base = float(advertised.group(1)) * (1e9 if advertised.group(2) == "G" else 1e6)
    if khz := source.number(f"{_CPU0}/cpufreq/cpuinfo_max_freq"):
        maximum = khz * 1e3
    elif mhz_text := re.fullmatch(r"(\d+)(?:[.,]\d+)?", lscpu.get("CPU max MHz", "")):
        maximum = float(mhz_text.group(1)) * 1e6
    reasons = {}
    if base is None:
        reasons["cpu.base_hz"] = "no cpufreq base_frequency, no CPPC nominal_freq, and no clock in the model name"
    if maximum is None:
        reasons["cpu.max_hz"] = "no cpufreq cpuinfo_max_freq and no CPU max MHz in lscpu"
    return base, maximum, reasons


def _caches(source: Source, lscpu: dict[str, str]) -> list[Cache]:
    """From sysfs, where each index gives size and sharers; else lscpu's "L2 cache: 1 MiB (2 instances)"."""
    groups: dict[tuple[int, str, int], set[str]] = {}
    cpus = [n for n in source.names("/sys/devices/system/cpu") if re.fullmatch(r"cpu\d+", n)]
    for cpu in cpus:
        folder = f"/sys/devices/system/cpu/{cpu}/cache"
        for index in source.names(folder):
            level, kind = source.number(f"{folder}/{index}/level"), source.read(f"{folder}/{index}/type")
            nbytes = _size(source.read(f"{folder}/{index}/size"))
            if level and kind and nbytes:
                sharers = source.read(f"{folder}/{index}/shared_cpu_list") or cpu
                groups.setdefault((level, kind.lower(), nbytes), set()).add(sharers)
    if groups:
        return [
            Cache(level=level, kind=kind, bytes=nbytes, instances=len(sharers))
            for (level, kind, nbytes), sharers in sorted(groups.items())
        ]
    found = []
    for field, data in lscpu.items():
        label = re.fullmatch(r"L(\d)([di]?) cache", field)
        amount = re.match(r"(\d+(?:\.\d+)?)\s*(\w*)(?:\s*\((\d+) instances?\))?", data)
        if label and amount and amount.group(2) in _UNITS:
            instances = _integer(amount.group(3)) or None
            total = int(float(amount.group(1)) * _UNITS[amount.group(2)])
            kind = {"d": "data", "i": "instruction"}.get(label.group(2), "unified")
            found.append(
                Cache(level=int(label.group(1)), kind=kind, bytes=total // (instances or 1), instances=instances)
            )
    return found


def _numa_nodes(source: Source, lscpu: dict[str, str]) -> int | None:
    """Memory nodes that have CPUs: those of accelerators and of high-bandwidth memory alone do not count."""
    nodes = [n for n in source.names("/sys/devices/system/node") if re.fullmatch(r"node\d+", n)]
    with_cpus = [n for n in nodes if source.cpu_list(f"/sys/devices/system/node/{n}/cpulist")]
    return len(with_cpus) or _integer(lscpu.get("NUMA node(s)"))


def _size(text: str | None) -> int | None:
    """Bytes of sysfs's "32K" or "32768K"."""
    match = re.fullmatch(r"(\d+)([KMG]?)", text or "")
    return int(match.group(1)) * _UNITS[match.group(2)] if match else None


def _integer(text: str | None) -> int | None:
    return int(text) if text and text.strip().isdigit() else None
