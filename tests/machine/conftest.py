"""Recorded hosts: one text file each, unpacked into a folder that stands for the host's root.

@expect                 TOML: what detection must answer, by dotted name in the Machine
@topology               TOML: sockets, cores, threads (per core), adjacent (siblings are neighbours), nodes: written out as sysfs does
@file /proc/cpuinfo     a file with this content
@link PATH              a symbolic link to this target
@command lscpu --json   what the command prints
@environ                NAME=VALUE
@affinity               a CPU list; without it, every CPU of the topology
@uname                  system node release machine
@nvml                   TOML: a fake NVML
"""

import tomllib
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import pytest

from flopbench.machine import detect
from flopbench.machine.source import parse_cpu_list

MEMINFO = "MemTotal: 1048576 kB\nMemFree: 524288 kB\nMemAvailable: 786432 kB\n"


def sections(text: str) -> list[tuple[str, str, str]]:
    """(kind, argument, body) of each part."""
    found: list[tuple[str, str, list[str]]] = []
    for line in text.splitlines():
        if line.startswith("@"):
            kind, _, argument = line[1:].partition(" ")
            found.append((kind, argument.strip(), []))
        elif found:
            found[-1][2].append(line)
    return [(kind, argument, "\n".join(body).strip() + "\n") for kind, argument, body in found]


def write_topology(
    root: Path, sockets: int, cores: int, threads: int = 1, adjacent: bool = False, nodes: int = 0, efficiency: int = 0
) -> int:
    """Write sysfs's CPU folders; `cores` are a socket's. Gives the number of hardware threads."""
    all_cores = sockets * cores
    total = all_cores * threads + efficiency
    folder = root / "sys/devices/system"
    for cpu in range(total):
        core = cpu // threads if adjacent else cpu % all_cores
        siblings = [core * threads + t if adjacent else core + t * all_cores for t in range(threads)]
        if cpu >= all_cores * threads:
            core, siblings = cores - 1, [cpu]
        topology = folder / f"cpu/cpu{cpu}/topology"
        topology.mkdir(parents=True)
        (topology / "core_cpus_list").write_text(",".join(map(str, siblings)) + "\n")
        (topology / "physical_package_id").write_text(f"{core // cores}\n")
    (folder / "cpu/online").write_text(f"0-{total - 1}\n")
    for node in range(nodes):
        path = folder / f"node/node{node}"
        path.mkdir(parents=True)
        per_node = total // nodes
        (path / "cpulist").write_text(f"{node * per_node}-{(node + 1) * per_node - 1}\n")
    return total


class FakeNvml:
    """Answers like pynvml from a TOML table; a key that is missing is NVML's "Not Supported"."""

    NVML_CLOCK_SM = 1
    NVML_DEVICE_MIG_ENABLE = 1

    class NVMLError(Exception):
        pass

    def __init__(self, data: dict) -> None:
        self.data = data
        self.open = False

    def nvmlInit(self):
        if "init_error" in self.data:
            raise self.NVMLError(self.data["init_error"])
        self.open = True

    def nvmlShutdown(self):
        self.open = False

    def _of(self, handle, key):
        assert self.open, "asked after nvmlShutdown or before nvmlInit"
        if key not in handle:
            raise self.NVMLError("Not Supported")
        return handle[key]

    def nvmlSystemGetDriverVersion(self):
        return self._of(self.data, "driver")

    def nvmlDeviceGetCount(self):
        return len(self.data.get("gpu", []))

    def nvmlDeviceGetHandleByIndex(self, index):
        gpu = self.data["gpu"][index]
        if "lost" in gpu:
            raise self.NVMLError(gpu["lost"])
        return gpu

    def nvmlDeviceGetName(self, h):
        return self._of(h, "name")

    def nvmlDeviceGetUUID(self, h):
        return self._of(h, "uuid")

    def nvmlDeviceGetPciInfo(self, h):
        return SimpleNamespace(busId=self._of(h, "pci").encode())

    def nvmlDeviceGetMemoryInfo(self, h):
        return SimpleNamespace(total=self._of(h, "memory_mib") << 20)

    def nvmlDeviceGetCudaComputeCapability(self, h):
        return tuple(self._of(h, "capability"))

    def nvmlDeviceGetNumGpuCores(self, h):
        return self._of(h, "lanes")

    def nvmlDeviceGetMaxClockInfo(self, h, kind):
        assert kind == self.NVML_CLOCK_SM
        return self._of(h, "max_sm_mhz")

    def nvmlDeviceGetEnforcedPowerLimit(self, h):
        return self._of(h, "power_mw")

    def nvmlDeviceGetMigMode(self, h):
        return [self._of(h, "mig_mode"), 0]

    def nvmlDeviceGetMaxMigDeviceCount(self, h):
        return 7

    def nvmlDeviceGetMigDeviceHandleByIndex(self, h, place):
        for device in h.get("mig", []):
            if device["place"] == place:
                return device
        raise self.NVMLError("Not Found")

    def nvmlDeviceGetAttributes(self, h):
        return SimpleNamespace(multiprocessorCount=self._of(h, "sms"), memorySizeMB=self._of(h, "memory_mib"))


class Recorded:
    """A host of files under `root`."""

    def __init__(self, root: Path, text: str) -> None:
        self.root = root
        self.expect: dict = {}
        self.commands: dict[str, str] = {}
        self.environ: dict[str, str] = {}
        self.affinity: frozenset[int] | None = None
        self.uname = SimpleNamespace(system="Linux", node="node1", release="5.14.0", machine="x86_64")
        self.nvml = None
        total = 0
        for kind, argument, body in sections(text):
            if kind == "expect":
                self.expect = tomllib.loads(body)
            elif kind == "topology":
                total = write_topology(root, **tomllib.loads(body))
            elif kind == "file":
                self.write(argument, body)
            elif kind == "link":
                path = root / argument.lstrip("/")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.symlink_to(body.strip())
            elif kind == "command":
                self.commands[argument] = body
            elif kind == "environ":
                self.environ = dict(line.split("=", 1) for line in body.split("\n") if line)
            elif kind == "affinity":
                self.affinity = frozenset(parse_cpu_list(body))
            elif kind == "uname":
                self.uname = SimpleNamespace(
                    **dict(zip(("system", "node", "release", "machine"), body.split(), strict=True))
                )
            elif kind == "nvml":
                self.nvml = FakeNvml(tomllib.loads(body))
            else:
                raise ValueError(f"unknown section @{kind} {argument}")
        if self.affinity is None:
            self.affinity = frozenset(range(total or 1))
        if not (root / "proc/meminfo").exists():
            self.write("/proc/meminfo", MEMINFO)

    def write(self, path: str, text: str) -> None:
        target = self.root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def detect(self):
        return detect.detect(
            self.root,
            lambda command: self.commands.get(" ".join(command)),
            environ=self.environ,
            affinity=self.affinity,
            uname=self.uname,
            nvml=self.nvml,
        )


@pytest.fixture
def record(tmp_path):
    """record(text) unpacks a recorded host and gives it back."""
    return lambda text: Recorded(tmp_path, text)


@pytest.fixture(scope="session")
def recorded_host(tmp_path_factory):
    """recorded_host(path) unpacks and detects the host in the file, once a session: (what was recorded, Machine)."""

    @cache
    def unpack(path: Path):
        host = Recorded(tmp_path_factory.mktemp("host"), path.read_text())
        return host, host.detect()

    return unpack


@pytest.fixture(scope="session")
def recorded_class():
    """Recorded(folder, text), for tests that unpack a host by themselves."""
    return Recorded
