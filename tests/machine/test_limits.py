"""What a process may use: affinity, quotas of both cgroup versions, memory; hardware threads never count as cores."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flopbench.errors import NotPossible
from flopbench.machine.source import Source, format_cpu_list, parse_cpu_list

SMT_HOST = "@topology\nsockets = 2\ncores = 4\nthreads = 2\n"
V2 = "@file /proc/self/mountinfo\n30 20 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n"
V1 = (
    "@file /proc/self/mountinfo\n31 20 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
    "32 20 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
)
GIB = 1 << 30


def test_two_threads_a_core_and_two_sockets_never_double_the_cores(record):
    machine = record(SMT_HOST).detect()
    assert (machine.cpu.sockets, machine.cpu.cores, machine.cpu.threads_per_core) == (2, 8, 2)
    assert (machine.limits.affinity_cpus, machine.limits.affinity_cores, machine.limits.usable_cores) == (16, 8, 8)


@pytest.mark.parametrize(
    ("cpus", "adjacent", "cores"),
    [("0-7", "false", 8), ("0,8", "false", 1), ("0,1", "true", 1), ("0,2,4", "true", 3), ("0-3,8-11", "false", 4)],
)
def test_an_affinity_mask_counts_the_cores_behind_its_hardware_threads(record, cpus, adjacent, cores):
    machine = record(f"{SMT_HOST}adjacent = {adjacent}\n@affinity\n{cpus}\n").detect()
    assert machine.limits.affinity_cores == cores == machine.limits.usable_cores


@pytest.mark.parametrize(
    "files",
    [
        V2 + "@file /proc/self/cgroup\n0::/box\n@file /sys/fs/cgroup/box/cpu.max\n150000 100000\n",
        V2 + "@file /proc/self/cgroup\n0::/\n@file /sys/fs/cgroup/cpu.max\n150000 100000\n",
        V1
        + "@file /proc/self/cgroup\n4:cpu,cpuacct:/docker/ab\n"
        + "@file /sys/fs/cgroup/cpu,cpuacct/docker/ab/cpu.cfs_quota_us\n75000\n"
        + "@file /sys/fs/cgroup/cpu,cpuacct/docker/ab/cpu.cfs_period_us\n50000\n",
        # inside a container without its own namespace the path does not exist below the mount point
        V1
        + "@file /proc/self/cgroup\n4:cpu,cpuacct:/docker/ab\n"
        + "@file /sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us\n150000\n"
        + "@file /sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us\n100000\n",
    ],
    ids=["v2", "v2-namespace", "v1", "v1-container"],
)
def test_a_quota_of_one_and_a_half_cpus_is_seen_and_means_one_thread(record, files):
    limits = record(SMT_HOST + files).detect().limits
    assert (limits.quota_cpus, limits.usable_cores, limits.affinity_cores) == (1.5, 1, 8)


def test_the_strictest_quota_on_the_way_to_the_root_counts(record):
    text = SMT_HOST + V2 + "@file /proc/self/cgroup\n0::/a/b\n@file /sys/fs/cgroup/a/cpu.max\n300000 100000\n"
    assert record(text + "@file /sys/fs/cgroup/a/b/cpu.max\nmax 100000\n").detect().limits.quota_cpus == 3.0


@pytest.mark.parametrize("quota", ["max 100000", "-1", ""])
def test_no_quota_leaves_all_cores(record, quota):
    text = SMT_HOST + V2 + f"@file /proc/self/cgroup\n0::/\n@file /sys/fs/cgroup/cpu.max\n{quota}\n"
    limits = record(text).detect().limits
    assert (limits.quota_cpus, limits.usable_cores) == (None, 8)


def test_a_quota_above_the_affinity_does_not_add_cores(record):
    text = (
        SMT_HOST + V2 + "@file /proc/self/cgroup\n0::/\n@file /sys/fs/cgroup/cpu.max\n600000 100000\n@affinity\n0-1\n"
    )
    limits = record(text).detect().limits
    assert (limits.quota_cpus, limits.usable_cores) == (6.0, 2)


def test_memory_left_in_a_cgroup_counts_reclaimable_cache_as_free(record):
    text = (
        SMT_HOST
        + V2
        + "@file /proc/self/cgroup\n0::/box\n@file /proc/meminfo\nMemTotal: 16777216 kB\nMemAvailable: 12582912 kB\n"
        f"@file /sys/fs/cgroup/box/memory.max\n{4 * GIB}\n@file /sys/fs/cgroup/box/memory.current\n{3 * GIB}\n"
        f"@file /sys/fs/cgroup/box/memory.stat\nanon {GIB}\ninactive_file {2 * GIB}\n"
    )
    memory = record(text).detect().memory
    assert (memory.total_bytes, memory.available_bytes) == (16 * GIB, 12 * GIB)
    assert (memory.cgroup_limit_bytes, memory.cgroup_available_bytes) == (4 * GIB, 3 * GIB)


def test_version_1_writes_no_limit_as_a_huge_number(record):
    text = SMT_HOST + V1 + "@file /proc/self/cgroup\n3:memory:/x\n"
    text += "@file /sys/fs/cgroup/memory/x/memory.limit_in_bytes\n9223372036854771712\n"
    assert record(text).detect().memory.cgroup_limit_bytes is None


def test_a_version_1_memory_limit_is_seen(record):
    text = SMT_HOST + V1 + "@file /proc/self/cgroup\n3:memory:/x\n@file /proc/meminfo\nMemTotal: 16777216 kB\n"
    text += f"MemAvailable: 12582912 kB\n@file /sys/fs/cgroup/memory/x/memory.limit_in_bytes\n{2 * GIB}\n"
    text += f"@file /sys/fs/cgroup/memory/x/memory.usage_in_bytes\n{GIB}\n"
    text += f"@file /sys/fs/cgroup/memory/x/memory.stat\ntotal_inactive_file {GIB // 2}\n"
    memory = record(text).detect().memory
    assert (memory.cgroup_limit_bytes, memory.cgroup_available_bytes) == (2 * GIB, 3 * GIB // 2)


def test_without_any_fact_about_memory_it_says_so(record):
    host = record(SMT_HOST)
    (host.root / "proc/meminfo").unlink()
    with pytest.raises(NotPossible, match="how much memory"):
        host.detect()


def test_a_system_without_affinity_or_files_is_asked_through_psutil(tmp_path):
    from types import SimpleNamespace

    from flopbench.machine import detect

    psutil = SimpleNamespace(
        cpu_count=lambda logical: 8 if logical else 4,
        virtual_memory=lambda: SimpleNamespace(total=8 * GIB, available=5 * GIB),
    )
    uname = SimpleNamespace(system="Darwin", node="mac", release="23.0", machine="x86_64")
    source = Source(root=tmp_path, runner=lambda command: None, environ={}, uname=uname, psutil=psutil)
    machine = detect.of(source, nvml=SimpleNamespace(NVMLError=OSError, nvmlInit=_no_driver))
    assert (machine.limits.affinity_cores, machine.cpu.cores, machine.memory.total_bytes) == (4, 4, 8 * GIB)
    assert "no driver" in machine.unknown["gpus"]


def _no_driver():
    raise OSError("no driver")


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.frozensets(st.integers(0, 600), max_size=60))
def test_cpu_lists_survive_writing_and_reading(cpus):
    assert parse_cpu_list(format_cpu_list(cpus)) == sorted(cpus)
