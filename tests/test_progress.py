"""Progress: nothing for short steps, plain lines into a pipe, nothing at all when quiet."""

import io
import re
import time

import pytest

from flopbench import progress


@pytest.fixture
def soon(monkeypatch):
    monkeypatch.setattr(progress, "FIRST_WORD_AFTER_S", 0.02)
    monkeypatch.setattr(progress, "PLAIN_LINE_EVERY_S", 0.02)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def until(stream, pattern):
    """Wait for `pattern` in what was written; pytest's own limit ends a hopeless wait."""
    while not re.search(pattern, stream.getvalue()):
        time.sleep(0.005)


def test_a_short_step_says_nothing():
    stream = io.StringIO()
    with progress.Progress(stream).step("run", 1.0):
        pass
    assert stream.getvalue() == ""


def test_a_pipe_gets_plain_lines_with_elapsed_estimate_and_time_to_go(soon):
    stream = io.StringIO()
    with progress.Progress(stream).step("run 1 of 3", 3600.0):
        until(stream, r"(?s)to go.*to go")
    lines = stream.getvalue().splitlines()
    assert re.fullmatch(r"run 1 of 3: \S+ ms of about 60 min 00 s, 60 min 00 s to go", lines[0])
    assert "\r" not in stream.getvalue() and "\x1b" not in stream.getvalue()


def test_a_fraction_that_is_told_beats_the_estimate(soon):
    stream = io.StringIO()
    with progress.Progress(stream).step("check", None) as tick:
        until(stream, "so far")
        tick(0.5)
        until(stream, "to go")
    assert re.search(r"check: 50.0 %, \S+ ms of about", stream.getvalue())


def test_a_run_of_known_length_shows_fraction_rate_so_far_and_time_to_go(monkeypatch):
    seconds = 100.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: seconds)
    watch = progress.Progress(io.StringIO(), quiet=True)
    with watch.step("run", 3600.0, operations=8e12) as tick:
        seconds = 110.0
        tick(0.25)  # 2e12 operations in 10 s
        seconds = 112.0
        assert watch._state(100.0, 3600.0) == "25.0 % at 200.0 GFLOPS so far, 12.0 s of about 40.0 s, 28.0 s to go"


def test_a_step_longer_than_expected_says_so(soon):
    stream = io.StringIO()
    with progress.Progress(stream).step("run", 0.001):
        until(stream, "longer than the 1 ms expected")


def test_a_terminal_gets_a_bar(soon):
    stream = Terminal()
    with progress.Progress(stream).step("run", 3600.0):
        until(stream, "to go")
    assert "run" in stream.getvalue()


def test_quiet_is_quiet(soon):
    stream = Terminal()
    watch = progress.Progress(stream, quiet=True)
    with watch.step("run", 1.0) as tick:
        tick(0.5)
    watch.say("hello")
    assert stream.getvalue() == ""


def test_an_error_inside_a_step_comes_out(soon):
    with pytest.raises(ZeroDivisionError), progress.Progress(io.StringIO()).step("run", 1.0):
        raise ZeroDivisionError
