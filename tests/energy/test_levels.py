"""Levels 1, 2 and 3 of the EE HPC WG: each is reached with exactly its aspects, and lost by every single one that is missing."""

from dataclasses import replace
from functools import cache

import pytest
from energy.test_join import joined_file
from hypothesis import given
from hypothesis import strategies as st
from shared_data import shared

from flopbench import results
from flopbench.cli import run
from flopbench.energy import csv_file, levels
from flopbench.energy.levels import Readings, Site

#: Every aspect at the limit of its level, and nothing that only the next level asks for.
REACHES = {
    1: (
        Readings(60.0, 1.0, 3, 55.0, integrated=False, full_run=False, idle=False, longest_gap_s=6.0, mean_power_w=2e3),
        Site(fraction=0.1, subsystems="compute", accuracy=0.05, nodes=15),
    ),
    2: (
        Readings(60.0, 1.0, 10, 55.0, integrated=False, full_run=True, idle=True, longest_gap_s=6.0, mean_power_w=10e3),
        Site(fraction=0.125, subsystems="estimated", accuracy=0.02, nodes=15),
    ),
    3: (
        Readings(60.0, 6.0, 10, 10.0, integrated=True, full_run=True, idle=True, longest_gap_s=6.0, mean_power_w=500.0),
        Site(fraction=1.0, subsystems="all", accuracy=0.01, nodes=1),
    ),
}

#: What is lost: (level, changes, words of the one line that is then missing for this level).
LOSSES = [
    (1, {"core_s": 59.9, "longest_gap_s": 5.9}, "a core phase of at least 60 s"),
    (1, {"interval_s": 1.01}, "one power sample a second"),
    (1, {"longest_gap_s": 6.01}, "a tenth of the core phase apart"),
    (1, {"mean_power_w": 1.99e3}, "power: 1.99 kW"),
    (1, {"fraction": 0.099}, "share: 9.9%"),
    (1, {"fraction": None}, "share: not given"),
    (1, {"nodes": 14}, "nodes: 14"),
    (1, {"nodes": None}, "nodes: not given"),
    (1, {"subsystems": None}, "which subsystems"),
    (1, {"accuracy": 0.0501}, "error of at most 5%"),
    (1, {"accuracy": None}, "its accuracy was not given"),
    (2, {"full_run": False}, "the full run"),
    (2, {"readings": 9}, "10 equally spaced averages"),
    (2, {"idle": False}, "idle power"),
    (2, {"fraction": 0.124}, "share: 12.4%"),
    (2, {"mean_power_w": 9.99e3}, "power: 9.99 kW"),
    (2, {"mean_power_w": 40e3, "nodes": 14}, "nodes: 14"),
    (2, {"subsystems": "compute"}, "compute nodes alone"),
    (2, {"accuracy": 0.0201}, "error of at most 2%"),
    (3, {"integrated": False, "interval_s": 1.0}, "continuously integrated"),
    (3, {"uncovered_s": 10.1}, "10.1 s are"),
    (3, {"mean_power_w": 10e3, "fraction": 0.999, "nodes": 15}, "99.9%"),
    (3, {"subsystems": "estimated"}, "some were estimated"),
    (3, {"accuracy": 0.0101}, "error of at most 1%"),
]


def assess(seen, site, cover=("wall",)):
    return levels.assess(cover, seen, site)


def changed(level, changes):
    seen, site = REACHES[level]
    mine = {name: value for name, value in changes.items() if hasattr(seen, name)}
    return replace(seen, **mine), replace(site, **{name: v for name, v in changes.items() if name not in mine})


def levels_of(missing):
    return {int(line.removeprefix("level ").partition(":")[0]) for line in missing}


def name_of(level):
    return f"level {level}" if level else "none: wall energy, level 1 is not shown"


@pytest.mark.parametrize("level", [1, 2, 3])
def test_a_level_is_reached_with_all_its_aspects_at_their_limits(level):
    reached, missing = assess(*REACHES[level])
    assert reached == f"level {level}"
    assert levels_of(missing) == set(range(level + 1, 4))


@pytest.mark.parametrize(("level", "changes", "words"), LOSSES, ids=lambda value: str(value)[:60])
def test_a_level_is_lost_by_each_single_aspect_that_is_missing(level, changes, words):
    reached, missing = assess(*changed(level, changes))
    assert reached == name_of(level - 1)
    (line,) = [line for line in missing if line.startswith(f"level {level}: ")]
    assert words in line


def test_every_aspect_that_the_level_looks_at_is_in_the_table():
    names = {name for _, changes, _ in LOSSES for name in changes}
    assert names == {*Readings.__dataclass_fields__, *Site.__dataclass_fields__} - {"meters"}


@pytest.mark.parametrize("watts", [40e3, 1e6])
def test_forty_kilowatts_are_enough_of_the_machine_for_level_1_and_not_for_level_2(watts):
    reached, missing = assess(*changed(2, {"mean_power_w": watts, "fraction": None, "nodes": None}))
    assert reached == "level 1"
    assert "share: not given" in next(line for line in missing if line.startswith("level 2"))


def test_a_counter_may_be_read_seldom_where_samples_may_not():
    assert assess(*changed(1, {"interval_s": 6.0, "integrated": True}))[0] == "level 1"
    assert assess(*changed(1, {"interval_s": 6.0}))[0] == name_of(0)


@pytest.mark.parametrize(
    ("error", "meters", "level"),
    [(0.03, 1, 1), (0.03, 2, 1), (0.03, 3, 2), (0.03, 8, 2), (0.03, 9, 3), (0.0301, 100, 1), (0.051, 10_000, 0)],
)
def test_the_error_of_several_meters_falls_with_the_root_of_their_number_if_each_is_at_most_3_percent(
    error, meters, level
):
    assert assess(*changed(3, {"accuracy": error, "meters": meters}))[0] == name_of(level)


@pytest.mark.parametrize(
    ("cover", "level"),
    [
        (["package", "dram"], "none: component energy"),
        (["gpu"], "none: component energy"),
        (["node"], "none: node sensor"),
        (["wall", "gpu"], "none: component energy"),
        (["moon"], "none: component energy"),
        ([], "none: component energy"),
    ],
)
def test_nothing_but_the_wall_reaches_a_level_however_good_the_rest(cover, level):
    reached, missing = assess(*REACHES[3], cover)
    assert reached == level
    assert levels_of(missing) == {1, 2, 3}


SEEN = st.builds(
    Readings,
    core_s=st.sampled_from([30.0, 60.0, 600.0]),
    interval_s=st.sampled_from([0.5, 1.0, 5.0]),
    readings=st.sampled_from([3, 9, 10, 100]),
    uncovered_s=st.sampled_from([0.0, 10.0, 11.0]),
    integrated=st.booleans(),
    full_run=st.booleans(),
    idle=st.booleans(),
    longest_gap_s=st.sampled_from([0.5, 3.0, 6.0, 70.0]),
    mean_power_w=st.sampled_from([1e3, 2e3, 10e3, 40e3]),
)
PLACES = st.builds(
    Site,
    fraction=st.sampled_from([None, 0.05, 0.1, 0.125, 1.0]),
    subsystems=st.sampled_from([None, "compute", "estimated", "all"]),
    accuracy=st.sampled_from([None, 0.005, 0.01, 0.02, 0.03, 0.05, 0.06]),
    nodes=st.sampled_from([None, 1, 15]),
    meters=st.sampled_from([1, 4, 9]),
)
BEST = {
    "core_s": 600.0, "interval_s": 0.5, "readings": 100, "uncovered_s": 0.0, "integrated": True, "full_run": True, "idle": True,
    "longest_gap_s": 0.5, "mean_power_w": 40e3, "fraction": 1.0, "subsystems": "all", "accuracy": 0.005, "nodes": 15,
}  # fmt: skip


def number(level):
    return int(level.removeprefix("level ")) if level.startswith("level") else 0


@given(SEEN, PLACES)
def test_what_is_missing_is_told_for_the_next_level_and_never_for_one_that_is_reached(seen, site):
    level, missing = assess(seen, site)
    reached = number(level)
    assert all(above > reached for above in levels_of(missing))
    assert reached == 3 or reached + 1 in levels_of(missing)


@given(SEEN, PLACES, st.sampled_from(sorted(BEST)))
def test_a_better_measurement_never_reaches_a_lower_level(seen, site, name):
    better = (
        (replace(seen, **{name: BEST[name]}), site)
        if hasattr(seen, name)
        else (seen, replace(site, **{name: BEST[name]}))
    )
    assert number(assess(*better)[0]) >= number(assess(seen, site)[0])


#: The cases below read the same large files; test_join.py reads them without this.
READ_ONCE = cache(csv_file.read)
IDLE = ["--idle", "2024-04-24T03:00+02:00", "2024-04-24T05:00+02:00"]


@pytest.mark.parametrize(
    ("options", "level"),
    [
        ([], name_of(0)),
        (["--subsystems", "compute", "--accuracy", "5"], "level 1"),
        (["--subsystems", "estimated", "--accuracy", "2", "--fraction", "1", *IDLE], "level 2"),
        (["--subsystems", "estimated", "--accuracy", "2", "--fraction", "1"], "level 1"),
        (["--subsystems", "all", "--accuracy", "1", "--fraction", "1", *IDLE], "level 3"),
        (["--subsystems", "all", "--accuracy", "1", "--fraction", "1", *IDLE, "--cover", "node"], "none: node sensor"),
    ],
    ids=["nothing said", "1", "2", "2 without idle power", "3", "a node's sensor"],
)
def test_the_meters_of_a_real_system_reach_what_its_site_can_show(options, level, tmp_path, monkeypatch):
    monkeypatch.setattr(csv_file, "read", READ_ONCE)
    log = shared("data", "hpl-logs", "claix-2023-cpu-intel-mkl-hpl.log")
    meters = [shared("data", "energy", f"claix-2023-cpu-{name}.csv.gz") for name in ("pdus", "powermeter")]
    assert run(["energy", "join", "--hpl-log", str(log), *map(str, meters), *options, "--output", str(tmp_path)]) == 0
    energy = results.read(joined_file(tmp_path)).energy
    assert energy.level == level, energy.missing
