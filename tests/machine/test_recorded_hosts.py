"""Recorded hosts, named after the expected answer: [guess_]MICROARCHITECTURE-<sockets>s<cores>c<threads per core>t[-what is special]."""

import re
from pathlib import Path

import msgspec
import pytest

from flopbench.machine import microarchitecture
from flopbench.machine.detect import of
from flopbench.machine.model import Machine
from flopbench.machine.source import Source, unlisted_flags

HOSTS = sorted((Path(__file__).parent / "hosts").glob("*.host"))
NAME = re.compile(r"(guess_)?([a-z0-9_]+)-(\d+)s(\d+)c(\d+)t(-[a-z0-9_.]+)?")


def _at(machine: Machine, path: str):
    """The value at "gpus.0.name", the length of a list at "gpus.count", a reason at "unknown.gpus.0"."""
    if path.startswith("unknown."):
        return machine.unknown.get(path.removeprefix("unknown."))
    value = machine
    for part in path.split("."):
        if part == "count":
            return len(value)
        value = value[int(part)] if part.isdigit() else value[part] if isinstance(value, dict) else getattr(value, part)
    return value


def test_there_are_hosts_of_all_the_kinds_that_matter():
    assert len(HOSTS) >= 20
    names = " ".join(path.stem for path in HOSTS)
    for kind in (
        "zen",
        "neoverse",
        "power",
        "lake",
        "1t",
        "2t",
        "hybrid",
        "quota1.5",
        "docker",
        "kvm",
        "guess_",
        "a100",
        "mig",
    ):
        assert kind in names


@pytest.mark.parametrize("path", HOSTS, ids=lambda p: p.stem)
def test_a_recorded_host_is_what_its_name_says(path, recorded_host):
    guess, name, sockets, cores, threads, _ = NAME.fullmatch(path.stem).groups()
    host, machine = recorded_host(path)
    cpu = machine.cpu
    assert cpu.microarchitecture == (None if name == "unknown" else name)
    assert cpu.microarchitecture_is_guess == (guess is not None)
    assert (cpu.sockets, cpu.cores, cpu.threads_per_core) == (int(sockets), int(cores), int(threads))
    assert host.nvml is None or not host.nvml.open, "NVML was left open"
    for key, expected in host.expect.items():
        got = _at(machine, key)
        if key.startswith("unknown."):
            assert expected in (got or ""), key
        elif expected in ("unknown", ""):
            # an empty answer is right where there is nothing; where something is not known, there must be a reason
            assert got == expected or got is None, key
        else:
            assert got == expected, key


def _empty(value, prefix=""):
    """The dotted names of all fields that are None."""
    for field in msgspec.structs.fields(value):
        inner = getattr(value, field.name)
        if inner is None:
            yield prefix + field.name
        elif isinstance(inner, msgspec.Struct):
            yield from _empty(inner, f"{prefix}{field.name}.")
        elif isinstance(inner, list):
            for number, item in enumerate(inner):
                if isinstance(item, msgspec.Struct):
                    yield from _empty(item, f"{prefix}{field.name}.{number}.")


#: Fields that are empty because there is nothing, which is knowledge.
NOTHING_THERE = re.compile(
    r"hypervisor|container|job|limits\.quota_cpus|memory\.cgroup_.*|cpu\.(performance|efficiency)_cores|cpu\.caches\.\d+\.instances"
    r"|cpu\.(family|model|stepping|vendor)"  # numbers that only x86 has
)


@pytest.mark.parametrize("path", HOSTS, ids=lambda p: p.stem)
def test_every_unknown_says_why(path, recorded_host):
    machine = recorded_host(path)[1]
    for field in _empty(machine):
        if re.fullmatch(NOTHING_THERE, field):
            continue
        network = re.fullmatch(r"network\.(\d+)\.bits_per_second", field)
        key = f"network.{machine.network[int(network.group(1))].name}" if network else field
        assert machine.unknown.get(key), f"{field} is empty without a reason"
    for field, reason in machine.unknown.items():
        assert reason.strip(), field


@pytest.mark.parametrize("path", HOSTS, ids=lambda p: p.stem)
def test_a_machine_survives_the_record(path, recorded_host):
    machine = recorded_host(path)[1]
    assert msgspec.json.decode(msgspec.json.encode(machine), type=Machine) == machine


def test_no_private_variable_of_a_job_is_kept(recorded_host):
    path = next(p for p in HOSTS if "slurm" in p.stem)
    assert "somebody" not in str(recorded_host(path)[1])


@pytest.mark.parametrize(
    ("name", "generic"),
    [
        ("Intel(R) Xeon(R) Processor", True),
        ("Intel(R) Xeon(R) Processor @ 2.60GHz", True),
        ("Intel(R) Xeon(R) CPU @ 2.00GHz", True),
        ("Intel Xeon Processor (Skylake, IBRS)", True),
        ("AMD EPYC-Milan Processor", True),
        ("AMD EPYC", True),
        ("QEMU Virtual CPU version 2.5.0", True),
        (None, True),
        ("Intel(R) Xeon(R) CPU E5-2680 v3 @ 2.50GHz", False),
        ("Intel(R) Xeon(R) 6980P", False),
        ("AMD EPYC 9654 96-Core Processor", False),
        ("Intel(R) Core(TM) Ultra 9 285", False),
        ("AMD Ryzen 9 5950X 16-Core Processor", False),
    ],
)
def test_a_name_without_a_model_number_is_generic(name, generic):
    assert microarchitecture.is_generic(name) is generic


def test_the_flags_that_contradict_and_guess_name_known_microarchitectures():
    table = microarchitecture.table()
    mentioned = {n for rule in table.only for n in rule.names} | {rule.name for rule in table.guess}
    assert mentioned <= table.names()


def test_no_processor_has_two_names():
    seen = {}
    for entry in microarchitecture.table().x86:
        for low, high in entry.models:
            for model in range(low, high + 1):
                for stepping in range(
                    entry.steppings[0] if entry.steppings else 0, (entry.steppings or (0, 15))[1] + 1
                ):
                    key = (entry.vendor, entry.family, model, stepping)
                    assert key not in seen, (key, entry.name, seen[key])
                    seen[key] = entry.name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("graniterapids-2s256c1t", True),
        ("sapphirerapids-2s96c2t-h100", True),
        ("icelake_server-2s80c2t-infiniband", False),
    ],
)
def test_flags_that_linux_does_not_list_are_asked_for_where_there_is_amx(name, expected, recorded_host):
    host, machine = recorded_host(Path(__file__).parent / "hosts" / f"{name}.host")
    assert "amx_fp16" not in machine.cpu.isa
    source = Source(root=host.root, runner=lambda command: None, environ={}, unlisted=lambda: frozenset({"amx_fp16"}))
    assert ("amx_fp16" in of(source).cpu.isa) == expected


def test_this_processor_says_what_it_does_not_list():
    assert unlisted_flags() <= {"amx_fp16"}
    assert Source.here().unlisted is unlisted_flags
