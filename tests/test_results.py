"""A record is self-contained, strict, sealed, and whole or absent."""

import copy
import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from flopbench import results
from flopbench.cli import run
from flopbench.errors import BadInput, CannotWrite

#: A shell without job control starts what runs in the background deaf to Ctrl-C; these tests may run there too.
HEARS_CTRL_C = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    assert run(["hpl", "--n", "60", "--repeat", "2", "--output", str(folder)]) == 0
    (path,) = folder.iterdir()
    return path


@pytest.fixture
def document(written):
    return json.loads(written.read_text())


def sealed(document):
    return {**document, "content_sha256": results.content_sha256(document)}


def test_a_record_reads_back_as_it_was_written(written, document):
    record = results.read(written)
    assert results.to_document(record) == document
    assert record.schema_version == 1
    assert results.file_name(record) == written.name


def test_a_digit_that_no_double_can_tell_is_noticed_too(written, tmp_path):
    """1.2000000000000002 and 1.2000000000000003 are the same double; the file was edited all the same."""
    text = written.read_text()
    path = tmp_path / "edited.json"
    tried = 0
    for long in set(re.findall(r"(?<=[ \[])\d+\.\d{10,18}(?=[,\s])", text)):
        edits = [long[:-1] + digit for digit in "0123456789" if digit != long[-1]] + [long + "1"]
        for edit in (edit for edit in edits if float(edit) == float(long)):
            path.write_text(text.replace(long, edit))
            with pytest.raises(BadInput, match="not a double as flopbench writes it"):
                results.read(path)
            tried += 1
    assert tried > 0


def test_reindenting_and_reordering_keep_a_record_valid(document):
    shuffled = json.loads(json.dumps(dict(reversed(document.items())), indent=7))
    assert results.from_document(shuffled).run_id == document["run_id"]


def every_number(node, path=()):
    """Paths of all numbers in a JSON tree."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield from every_number(value, (*path, key))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from every_number(value, (*path, index))
    elif isinstance(node, (int, float)) and not isinstance(node, bool):
        yield path


def test_changing_any_number_is_noticed(document):
    paths = [path for path in every_number(document) if path != ("schema_version",)]
    assert len(paths) > 30
    for path in paths:
        edited = copy.deepcopy(document)
        node = edited
        for key in path[:-1]:
            node = node[key]
        node[path[-1]] = node[path[-1]] * 2 + 1
        with pytest.raises(BadInput):
            results.from_document(edited)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"schema_version": 2}, "reads up to 1"),
        ({"schema_version": "1"}, "no schema_version"),
        ({"surprise": 1}, "unknown field `surprise`"),
        ({"times_s": [1.0, -1.0]}, "must be positive"),
        ({"times_s": []}, "without a rate or times"),
        ({"kernel": None}, "Expected `str`"),
        ({"rmax_flops": "fast"}, "Expected `float | null`"),
        ({"unit": "GFLOPS"}, "Invalid enum value"),
    ],
)
def test_what_breaks_the_schema_is_refused_even_if_sealed_anew(change, complaint, document):
    with pytest.raises(BadInput, match=complaint.replace("|", r"\|")):
        results.from_document(sealed({**document, **change}))


def test_a_missing_part_is_named(document):
    del document["verification"]
    with pytest.raises(BadInput, match="missing required field `verification`"):
        results.from_document(sealed(document))


def test_a_failed_record_cannot_carry_a_rate(document):
    document["verification"]["verdict"] = "FAILED"
    with pytest.raises(BadInput, match="rmax_flops must be null"):
        results.from_document(sealed(document))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '"x"',
        '{"schema_version": 1, "schema_version": 1}',
        '{"schema_version": NaN}',
        "[" * 100_000,
        "\ufeff{}",
    ],
    ids=["empty", "cut", "list", "null", "string", "twin keys", "NaN", "deep", "BOM"],
)
def test_what_is_no_record_is_one_line(text, tmp_path):
    path = tmp_path / "broken.json"
    path.write_text(text)
    with pytest.raises(BadInput) as caught:
        results.read(path)
    assert "\n" not in str(caught.value)


def test_every_way_to_cut_a_record_short_is_refused(written, tmp_path):
    whole = written.read_bytes()
    path = tmp_path / "cut.json"
    for length in range(0, len(whole) - 2, 97):
        path.write_bytes(whole[:length])
        with pytest.raises(BadInput):
            results.read(path)


def test_a_full_disk_leaves_nothing_behind(written, tmp_path, monkeypatch):
    record = results.read(written)

    def no_space(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(CannotWrite, match="No space left on device.*--output DIR"):
        results.write(record, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGKILL", "SIGINT", "SIGTERM"])
def test_a_signal_at_any_moment_leaves_whole_records_only(name, tmp_path):
    """A sweep of many short runs, stopped at different moments; what lies in the folder is always valid."""
    sizes = ",".join(str(n) for n in range(200, 1400, 4))
    command = [sys.executable, "-c", f"{HEARS_CTRL_C}from flopbench.cli import main; main()"]
    command += ["hpl", "--n", sizes, "--repeat", "1"]
    found = 0
    for attempt in range(4):
        folder = tmp_path / str(attempt)
        process = subprocess.Popen(
            [*command, "--output", str(folder)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        deadline = time.monotonic() + 60
        while not (folder.exists() and any(folder.glob("*.json"))) and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.11 * attempt)
        process.send_signal(getattr(signal, name))
        _, said = process.communicate(timeout=60)
        assert process.returncode == (-signal.SIGKILL if name == "SIGKILL" else 130), said
        assert b"Traceback" not in said
        for path in folder.glob("*.json"):
            assert results.read(path).verification.verdict == "PASSED"
            found += 1
        assert name == "SIGKILL" or not list(folder.glob(".*.tmp"))
    assert found >= 4


@pytest.mark.slow
def test_ctrl_c_inside_a_long_library_call_keeps_the_finished_repeats(tmp_path):
    """The second of many repeats is interrupted while LAPACK computes; the first is kept, and the exit is prompt."""
    code = (
        f"{HEARS_CTRL_C}import flopbench.measure as m, os, signal, threading\n"
        "add = m.Measurement.add\n"
        "def watched(self, *a):\n"
        "    add(self, *a)\n"
        "    if len(self.times_s) == 1: threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
        "m.Measurement.add = watched\n"
        "from flopbench.cli import main; import sys; sys.argv[1:] = sys.argv[1:]; main()\n"
    )
    command = [sys.executable, "-c", code, "hpl", "--n", "4000", "--repeat", "50", "--output", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 130, done.stderr
    (path,) = tmp_path.glob("*.json")
    record = results.read(path)
    assert 1 <= len(record.times_s) < 50
    assert any("interrupted" in warning for warning in record.environment.warnings)
    assert "Rmax" in done.stdout
