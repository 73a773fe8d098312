"""With --json stdout has one document, whatever libraries print from C meanwhile."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

PRINTS_FROM_C = """
import ctypes, os, sys
libc = ctypes.CDLL(None)
def noise(*_):
    os.write(1, b"on descriptor 1\\n")
    libc.puts(b"held back by C")
"""


def python(code: str, **options) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", PRINTS_FROM_C + code], capture_output=True, text=True, **options)


def test_what_c_prints_inside_goes_to_stderr_and_python_prints_to_stdout():
    done = python(
        "from flopbench.cli import stdout\n"
        "print('before')\n"
        "with stdout.for_document():\n"
        "    noise(); print('document')\n"
        "noise(); print('after', flush=True)\n"
    )
    assert done.returncode == 0
    assert done.stdout.splitlines()[:2] == ["before", "document"]
    assert sorted(done.stdout.splitlines()[2:]) == ["after", "held back by C", "on descriptor 1"]
    assert sorted(done.stderr.splitlines()) == ["held back by C", "on descriptor 1"]


def test_unless_a_document_is_wanted_nothing_is_moved():
    done = python("from flopbench.cli import stdout\nwith stdout.for_document(False):\n    noise()\n")
    assert sorted(done.stdout.splitlines()) == ["held back by C", "on descriptor 1"]
    assert done.stderr == ""


def test_after_an_error_stdout_is_what_it_was():
    done = python(
        "from flopbench.cli import stdout\n"
        "try:\n"
        "    with stdout.for_document():\n"
        "        raise ValueError\n"
        "except ValueError:\n"
        "    os.write(1, b'back'); assert sys.stdout is sys.__stdout__\n"
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "back", "")


#: command line -> the function of the project that a C library is made to print in
MEASURING = {
    "gemm": (
        ["gemm", "--backend", "numpy", "--precision", "fp64", "--n", "32", "--repeat", "1", "--json"],
        "flopbench.timing",
    ),
    "hpl": (["hpl", "--backend", "numpy", "--n", "64", "--nb", "32", "--repeat", "1", "--json"], "flopbench.timing"),
}


@pytest.mark.parametrize("command", MEASURING)
def test_json_of_a_measurement_is_one_document_although_a_library_prints(command, tmp_path):
    arguments, module = MEASURING[command]
    done = python(
        f"import {module} as module\n"
        "timed = module.timed\n"
        "module.timed = lambda *a, **k: (noise(), timed(*a, **k))[1]\n"
        "from flopbench.cli import run\n"
        f"sys.exit(run({[*arguments, '--output', str(tmp_path)]!r}))\n"
    )
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["results"]) == 1
    assert "on descriptor 1" in done.stderr


def test_json_of_the_self_test_is_one_document_although_a_library_prints(tmp_path):
    done = python(
        "from flopbench.gpu import probe\n"
        "from flopbench.gpu_selftest import suite\n"
        "probe.why_not = lambda: None\n"
        "suite.chosen = lambda only: (1,)\n"
        "def fake(*a):\n"
        "    noise()\n"
        "    return {'verdict': 'PASSED', 'counts': {'PASSED': 1, 'FAILED': 0, 'SKIPPED': 0}}\n"
        "suite.run = fake\n"
        "suite.write = lambda document, output: output\n"
        "from flopbench.cli import run\n"
        f"sys.exit(run(['gpu-selftest', '--json', '--output', {str(tmp_path)!r}]))\n"
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["verdict"] == "PASSED"
    assert "on descriptor 1" in done.stderr


def test_a_reader_that_leaves_gets_no_traceback(tmp_path):
    code = (
        "from flopbench.cli import run, stdout\n"
        "os.close(1); read, write = os.pipe(); os.close(read)\n"
        "import signal; signal.signal(signal.SIGPIPE, signal.SIG_IGN)\n"
        f"code = run({[*MEASURING['gemm'][0], '--output', str(tmp_path)]!r})\n"
        "os._exit(code)\n"
    )
    done = python(code)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
