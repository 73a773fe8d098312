"""The 31 real /proc/cpuinfo files in ../shared/data/hosts, one CPU each, named after system and microarchitecture; skipped where absent."""

import os
from pathlib import Path

import pytest

#: Their names for what we call otherwise. The host called x86_64_v3 is an E5-2680 v3 whose flags are cut down to that level.
OURS = {"power8le": "power8", "arrowlake_s": "arrowlake", "x86_64_v3": "haswell"}


def _folder() -> Path | None:
    """shared/data/hosts where FLOPBENCH_SHARED says, or beside a parent of this checkout."""
    named = os.environ.get("FLOPBENCH_SHARED")
    places = [Path(named)] if named else [parent / "shared" for parent in Path(__file__).resolve().parents]
    return next((place / "data/hosts" for place in places if (place / "data/hosts").is_dir()), None)


def test_real_hosts_are_what_their_names_say(tmp_path):
    folder = _folder()
    if folder is None:
        pytest.skip("no shared/data/hosts beside the checkout and FLOPBENCH_SHARED is not set")
    from types import SimpleNamespace

    from flopbench.machine.detect import detect

    wrong = []
    hosts = sorted(folder.iterdir())
    for host in hosts:
        root = tmp_path / host.name
        (root / "proc").mkdir(parents=True)
        (root / "proc/cpuinfo").write_text(host.read_text())
        (root / "proc/meminfo").write_text("MemTotal: 1048576 kB\nMemAvailable: 524288 kB\n")
        uname = SimpleNamespace(system="Linux", node="n", release="1", machine="unknown")
        machine = detect(root, environ={}, affinity=frozenset({0}), uname=uname)
        expected = host.name.rpartition("-")[2]
        expected = OURS.get(expected, expected)
        got = (machine.cpu.microarchitecture, machine.cpu.microarchitecture_is_guess)
        if got != (expected, False):
            wrong.append(f"{host.name}: {got}, {machine.unknown.get('cpu.microarchitecture')}")
        # one CPU's lines never tell how many there are, and that is said
        if machine.cpu.cores is not None and "siblings" in host.read_text():
            wrong.append(f"{host.name}: {machine.cpu.cores} cores out of one CPU's lines")
        if machine.cpu.cores is None and "cpu.cores" not in machine.unknown:
            wrong.append(f"{host.name}: no cores and no reason")
    assert wrong == []
    assert len(hosts) == 31
