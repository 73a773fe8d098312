"""The environment of a run: variables, steal, governor, load; each with a warning that says what to do."""

import pytest

from flopbench.machine import environment
from flopbench.machine.environment import CpuTimes, cpu_times, governor, steal_fraction, variables, warnings
from flopbench.machine.source import Source

HOST = "@topology\nsockets = 1\ncores = 4\n"


def _source(host):
    return Source(root=host.root, runner=lambda command: None, environ=host.environ, affinity=host.affinity)


def test_only_variables_that_matter_are_kept():
    given = {
        "OMP_NUM_THREADS": "2",
        "OPENBLAS_CORETYPE": "ZEN",
        "MKL_NUM_THREADS": "2",
        "NUMBA_CPU_NAME": "x",
        "SECRET_TOKEN": "s",
    }
    given |= {
        "HOME": "/home/someone",
        "CUDA_VISIBLE_DEVICES": "0",
        "KMP_DUPLICATE_LIB_OK": "True",
        "KMP_AFFINITY": "compact",
    }
    assert set(variables(given)) == set(given) - {"SECRET_TOKEN", "HOME", "KMP_DUPLICATE_LIB_OK"}


def test_steal_is_the_part_of_all_cpu_time_that_the_hypervisor_took(record):
    host = record(HOST + "@file /proc/stat\ncpu  100 0 50 800 10 0 0 40 7 0\ncpu0 1 2 3 4 5 6 7 8 9 10\n")
    before = cpu_times(_source(host))
    assert before == CpuTimes(total=1000, steal=40)
    assert steal_fraction(before, CpuTimes(total=1200, steal=90)) == pytest.approx(0.25)
    assert steal_fraction(before, before) is None
    assert steal_fraction(None, before) is None


def test_governors_that_differ_are_both_named(record):
    host = record(HOST)
    assert governor(_source(host)) is None
    for policy, name in (("policy0", "performance"), ("policy1", "powersave")):
        host.write(f"/sys/devices/system/cpu/cpufreq/{policy}/scaling_governor", name)
    assert governor(_source(host)) == "performance+powersave"


@pytest.mark.parametrize(
    ("load", "name", "steal", "extra", "word"),
    [
        (3.0, None, None, "", "load average 3.00"),
        (0.1, "powersave", None, "", "governor 'powersave'"),
        (0.1, None, 0.05, "", "5.0 % of CPU time"),
        (0.1, None, None, "@affinity\n0-1\n", "affinity allows 2 of 4 cores"),
        (0.1, "performance", 0.0, "", None),
    ],
)
def test_a_warning_names_what_lowers_the_measurement(record, load, name, steal, extra, word):
    found = warnings(record(HOST + extra).detect(), load, name, steal)
    assert [word in text for text in found] == ([] if word is None else [True])


def test_a_quota_below_the_cores_is_warned_of(record):
    text = (
        HOST
        + "@file /proc/self/mountinfo\n30 20 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n@file /proc/self/cgroup\n0::/\n"
    )
    machine = record(text + "@file /sys/fs/cgroup/cpu.max\n150000 100000\n").detect()
    assert "allows 1.5 CPUs of 4 cores; a run of more than 1 thread(s) is throttled" in warnings(machine, None, None)[0]


def test_the_environment_of_this_process_names_libraries_without_their_folders():
    from flopbench.machine import blas
    from flopbench.machine.detect import detect

    blas.load_usual()
    found = environment.collect(detect(), kernel={"isa": "avx2"}, steal=0.0, extra_warnings=["mine"])
    assert found.libraries["numpy"] and found.kernel == {"isa": "avx2"} and found.warnings[-1] == "mine"
    assert found.blas and all("filepath" not in entry and "/" not in entry["library"] for entry in found.blas)
