"""Legs take turns: one computes at a time, each begins its commands and its repeats only when it is told to, and none is left behind."""

from __future__ import annotations

import os
import sys

import pytest

from flopbench import turns
from flopbench.errors import BadInput
from flopbench.gate.config import Metric, Side
from flopbench.gate.legs import run_legs
from flopbench.gate.pairs import BASE, HEAD, Leg, Pair
from flopbench.gate.player import ENDED, Player, play_all

#: A leg that writes what it does into a file that all share; commands are lists of numbers of repeats.
LEG = """
import os, sys
taken, given = map(int, os.environ["FLOPBENCH_TURNS"].split(","))
name, path, *commands = sys.argv[1:]
def tell(what):
    with open(path, "a") as log:
        log.write(f"{name}{what} ")
def give_way(kind):
    os.write(given, kind)
    os.read(taken, 1)
for command, repeats in enumerate(commands):
    give_way(b"c")
    tell(f"c{command}")
    for repeat in range(int(repeats)):
        give_way(b"r")
        tell(repeat)
    tell("e")
"""


def played(tmp_path, *legs: tuple[str, list[str]], ready=lambda: None) -> tuple[list[str], list[Player]]:
    """What the legs (name, their numbers of repeats) did, in the order of time."""
    order = tmp_path / "order"
    players = [
        Player(name, Side(), [sys.executable, "-c", LEG, name, str(order), *commands], tmp_path / name, 30)
        for name, commands in legs
    ]
    try:
        play_all(players, ready)
        assert all(player.exit_code == 0 for player in players)
    finally:
        for player in players:
            player.__exit__()
    return order.read_text().split(), players


def test_repeats_alternate_and_commands_begin_together(tmp_path):
    order, players = played(tmp_path, ("A", ["2", "1"]), ("B", ["2", "1"]))
    assert order == ["Ac0", "Bc0", "A0", "B0", "A1", "Ae", "B1", "Be", "Ac1", "Bc1", "A0", "Ae", "B0", "Be"]
    assert [dict(player.repeats) for player in players] == [{0: 2, 1: 1}] * 2


def test_who_has_fewer_repeats_waits_with_the_next_command(tmp_path):
    order, _ = played(tmp_path, ("A", ["3", "0"]), ("B", ["1", "0"]))
    assert order == ["Ac0", "Bc0", "A0", "B0", "Be", "A1", "A2", "Ae", "Ac1", "Ae", "Bc1", "Be"]


def test_a_leg_that_knows_no_turns_computes_its_whole_command_in_one(tmp_path):
    order, players = played(tmp_path, ("A", ["0"]), ("B", ["2"]))
    assert order == ["Ac0", "Ae", "Bc0", "B0", "B1", "Be"]
    assert players[0].repeats[0] == 0


def test_what_is_measured_in_between_is_measured_once_when_both_are_ready(tmp_path):
    order = tmp_path / "order"
    seen = []
    played(tmp_path, ("A", ["2"]), ("B", ["2"]), ready=lambda: seen.append(order.read_text().split()))
    assert seen == [["Ac0", "Bc0"]]


def test_a_leg_that_does_not_give_way_in_time_is_an_error_and_is_killed(tmp_path):
    with (
        Player("base", Side(), [sys.executable, "-c", "import time; time.sleep(60)"], tmp_path / "log", 0.3) as leg,
        pytest.raises(BadInput, match=r"base leg: no end after 0\.3 s"),
    ):
        leg.play()
    assert leg.exit_code == -9


def test_a_leg_that_hangs_behind_its_last_turn_is_an_error_too(tmp_path):
    hang = "import os, time; os.closerange(3, 100); time.sleep(60)"
    with Player("base", Side(), [sys.executable, "-c", hang], tmp_path / "log", 2) as leg:
        leg.play()
        assert leg.state == ENDED
        with pytest.raises(BadInput, match=r"base leg: no end after 2 s"):
            leg.exit_code  # noqa: B018


def test_a_leg_that_dies_while_it_waits_has_ended(tmp_path):
    with Player(
        "base", Side(), [sys.executable, "-c", LEG, "A", str(tmp_path / "o"), "1"], tmp_path / "log", 30
    ) as leg:
        leg.play()
        leg._process.kill()
        leg._process.wait()
        leg.play()
        assert leg.state == ENDED and leg.exit_code == -9


def test_without_another_one_nobody_waits():
    assert turns.give_way(settle=lambda: pytest.fail("settled for nobody")) == 0.0
    assert turns.VARIABLE not in os.environ


def test_the_wait_for_the_other_one_is_told_and_its_end_ends_all_waiting(monkeypatch):
    taken, to_us = os.pipe()
    from_us, given = os.pipe()
    monkeypatch.setattr(turns, "_pipes", f"{taken},{given}")
    ticks = iter([10.0, 13.5, 20.0, 20.0, 20.0])
    os.write(to_us, b"g")
    settled = []
    assert turns.give_way(settle=lambda: settled.append(1), now=lambda: next(ticks)) == 3.5
    assert settled == [1]  # its threads sleep before the other one computes
    assert os.read(from_us, 1) == turns.REPEAT
    for end in (to_us, from_us):
        os.close(end)  # the gate was killed
    assert turns.give_way(settle=lambda: None, now=lambda: next(ticks)) == 0.0
    assert turns.give_way() == 0.0
    os.close(taken)
    os.close(given)


def test_real_legs_repeat_in_turns_and_their_records_lie_interleaved():
    small = [
        Metric(name="lu", run=["hpl", "--n", "64", "--repeat", "3"]),
        Metric(name="gemm", run=["gemm", "--kernel", "gemm_fp64_numpy", "--n", "64", "--repeat", "4"]),
    ]
    ready = []
    base, head = run_legs([(BASE, Side()), (HEAD, Side())], small, lambda: ready.append(1))
    assert len(ready) == 1
    pair = Pair((base.leg, head.leg), ())
    for name, repeats in (("lu", 3), ("gemm", 4)):
        assert pair.took_turns(name) and len(base.leg.in_turns[name]) == repeats
        began = [run.records[name].run_times_utc for run in (base, head)]
        for number in range(repeats):
            assert began[0][number][1] <= began[1][number][0]  # base has ended its repeat before head begins its own
            if number:
                assert began[1][number - 1][1] <= began[0][number][0]


def test_the_ratio_in_turns_is_the_median_over_neighbours_and_one_disturbed_repeat_does_not_move_it():
    base = Leg(BASE, {"a": 1.0}, in_turns={"a": (1.0, 9.0, 1.0, 2.0, 2.0)})
    head = Leg(HEAD, {"a": 1.0}, in_turns={"a": (2.0, 2.0, 2.0, 4.0, 4.0)})
    assert Pair((head, base), ()).log_ratio("a") == pytest.approx(-0.6931, abs=1e-4)


def test_without_turns_the_rates_are_compared():
    base, head = Leg(BASE, {"a": 2.0}, in_turns={"a": (1.0,)}), Leg(HEAD, {"a": 1.0})
    pair = Pair((base, head), ())
    assert not pair.took_turns("a") and pair.log_ratio("a") == pytest.approx(-0.6931, abs=1e-4)
