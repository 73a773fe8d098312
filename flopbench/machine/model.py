"""The Machine: what a record says about its host. Every field that may be null has its reason under `unknown`."""

from __future__ import annotations

import msgspec


class _Strict(msgspec.Struct, forbid_unknown_fields=True):
    pass


class Cache(_Strict, kw_only=True):
    level: int
    kind: str  # data | instruction | unified
    bytes: int
    instances: int | None = None


class Cpu(_Strict, kw_only=True):
    """`cores` are physical cores, never hardware threads. `isa` holds the kernel's flag names, sorted."""

    architecture: str  # x86_64, aarch64, ppc64le ...
    vendor: str | None = None
    model_name: str | None = None
    family: int | None = None
    model: int | None = None
    stepping: int | None = None
    microarchitecture: str | None = None
    microarchitecture_is_guess: bool = False
    sockets: int | None = None
    cores: int | None = None
    threads_per_core: int | None = None
    performance_cores: int | None = None  # on hybrid processors
    efficiency_cores: int | None = None
    isa: list[str] = []
    base_hz: float | None = None
    max_hz: float | None = None
    caches: list[Cache] = []
    numa_nodes: int | None = None


class Memory(_Strict, kw_only=True):
    """Of the host and of this process's limits, in bytes."""

    total_bytes: int
    available_bytes: int
    cgroup_limit_bytes: int | None = None
    cgroup_available_bytes: int | None = None


class Limits(_Strict, kw_only=True):
    """What this process may use. `quota_cpus` is the cgroup's CPU quota: 1.5 means one and a half CPUs."""

    affinity_cpus: int  # hardware threads in the affinity mask
    affinity_cores: int  # physical cores behind them
    usable_cores: int  # what a compute kernel should start threads for
    quota_cpus: float | None = None


class MigDevice(_Strict):
    """One instance that a GPU in MIG mode is divided into."""

    uuid: str
    name: str
    multiprocessors: int | None = None
    memory_bytes: int | None = None


class Gpu(_Strict, kw_only=True):
    index: int
    name: str
    uuid: str | None = None
    pci_bus_id: str | None = None
    memory_bytes: int | None = None
    multiprocessors: int | None = None
    compute_capability: str | None = None
    max_sm_hz: float | None = None
    power_limit_w: float | None = None
    mig: bool | None = None
    mig_devices: list[MigDevice] = []  # the GPU as a whole cannot be used while it is divided
    driver: str | None = None


class Network(_Strict, kw_only=True):
    name: str
    kind: str  # infiniband | omnipath | slingshot | efa | ethernet | unknown
    bits_per_second: float | None = None


class Machine(_Strict, kw_only=True):
    hostname: str
    os: str
    kernel: str
    hypervisor: str | None  # None: none seen, or `unknown` says why it cannot be told
    cpu: Cpu
    memory: Memory | None  # null only in a record read from another program's output
    limits: Limits | None
    gpus: list[Gpu] = []
    network: list[Network] = []
    job: dict[str, str] | None = None  # scheduler and its job id, nodes, tasks
    container: str | None = None
    unknown: dict[str, str] = {}  # field -> why it is not known
    notes: list[str] = []  # what a reader must know to take the facts above rightly
