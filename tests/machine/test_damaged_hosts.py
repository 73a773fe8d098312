"""Whatever a kernel, a container or a broken lscpu shows: detection ends in a Machine or in one clear reason, never in a traceback."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flopbench.errors import NotPossible
from flopbench.machine import environment
from flopbench.machine.source import Source

HOSTS = Path(__file__).parent / "hosts"
SMALL = [
    "guess_zen3-1s2c1t-kvm",
    "alderlake-1s16c2t-hybrid",
    "zen2-2s128c1t-docker",
    "cortex_a72-1s4c1t",
    "power9-2s40c4t-v100",
]


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory, recorded_class):
    return {
        name: recorded_class(tmp_path_factory.mktemp("host"), (HOSTS / f"{name}.host").read_text()) for name in SMALL
    }


GARBAGE = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        ["", "-1", "max", "0", "0-", "99999999999999999999", "a b c", "\x00", "{}", "[1,2]", "nan", "1.2.3"]
    ),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_garbage_in_any_file_or_command_never_ends_in_a_traceback(unpacked, data):
    host = unpacked[data.draw(st.sampled_from(SMALL))]
    files = sorted(p for p in host.root.rglob("*") if p.is_file())
    path = data.draw(st.sampled_from(files))
    before = path.read_bytes()
    lines = before.decode().splitlines() or [""]
    line = data.draw(st.integers(0, len(lines) - 1))
    key, colon, _ = lines[line].partition(":")
    garbage = data.draw(GARBAGE)
    lines[line] = data.draw(st.sampled_from([garbage, f"{key}{colon} {garbage}"]))
    commands = dict(host.commands)
    if commands and data.draw(st.booleans()):
        name = data.draw(st.sampled_from(sorted(commands)))
        host.commands = {**commands, name: data.draw(GARBAGE)}
    try:
        path.write_text("\n".join(lines), errors="replace")
        machine = host.detect()
        assert machine.limits.usable_cores >= 1
        source = Source(root=host.root, runner=lambda command: None, environ={}, affinity=host.affinity)
        environment.load_average(source), environment.governor(source), environment.cpu_times(source)
    except NotPossible as reason:
        assert "cannot tell" in str(reason)
    finally:
        host.commands = commands
        path.write_bytes(before)
