"""`flopbench compare` on records: pairs where runs alternate, two samples where not, and refusal where nothing can be compared."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from flopbench.cli.compare import command
from flopbench.compare.comparable import machine_key
from flopbench.compare.records import compare, load
from flopbench.errors import BadInput, UnknownName
from flopbench.results import to_document, write

sys.path.insert(0, str(Path(__file__).parent))
from gate_records import MACHINE, on, record


def series(ratio: float, count: int = 10, start: int = 0, step: int = 4, spread: float = 0.01, **changes):
    rng = random.Random(count + start)
    return [record(50e9 * ratio * rng.uniform(1 - spread, 1), minute=start + step * i, **changes) for i in range(count)]


def verdict(base, head, threshold=0.10, allowed=()):
    (only,) = compare(base, head, threshold, allowed)
    return only


def test_folders_whose_runs_alternate_are_compared_in_pairs():
    found = verdict(series(1.0), series(0.8, start=2))
    assert (found.word, found.exit_code, found.n) == ("slower", 1, 10)
    assert "bootstrap" in found.interval.method and found.interval.ratios()[0] == pytest.approx(0.8, rel=0.02)


def turns(seconds: float, side: int, level: list[float], turn_s: float = 1.0, minute: int = 0):
    """A record whose repeats of `seconds`, slowed by `level`, alternate with those of the other side."""
    starts = [minute * 60 + (2 * i + side) * turn_s for i in range(len(level))]
    spans = [
        (f"2026-01-01T00:{s // 60:02.0f}:{s % 60:06.3f}Z", f"2026-01-01T00:{s // 60:02.0f}:{s % 60 + 0.9:06.3f}Z")
        for s in starts
    ]
    return record(minute=minute, times_s=[seconds * x for x in level], run_times_utc=spans)


def test_repeats_that_alternate_are_compared_with_their_neighbours():
    level = [1.0, 1.3, 1.1, 1.6, 2.0, 1.2]  # what the machine is like, repeat after repeat
    base = [turns(1.0, 0, level, minute=2 * i) for i in range(10)]
    head = [turns(1.25, 1, [*level[1:], 1.9], minute=2 * i) for i in range(10)]
    expected = sorted(x / (1.25 * y) for x, y in zip(level, [*level[1:], 1.9], strict=True))
    assert verdict(base, head).interval.ratios()[0] == pytest.approx((expected[2] * expected[3]) ** 0.5)
    overlapping = [turns(1.25, 1, [*level[1:], 1.9], turn_s=0.5, minute=2 * i) for i in range(10)]
    assert verdict(base, overlapping).interval.ratios()[0] == pytest.approx(1 / (1.25 * 1.1))  # of the best repeats


def test_pairs_cancel_a_drift_that_two_samples_would_drown_in():
    drift = [1 - 0.04 * i for i in range(10)]
    base = [record(50e9 * d, minute=4 * i) for i, d in enumerate(drift)]
    head = [record(50e9 * d, minute=4 * i + 2) for i, d in enumerate(drift)]
    assert verdict(base, head).word == "same"
    later = [record(50e9 * d, minute=100 + 4 * i) for i, d in enumerate(drift)]
    apart = verdict(base, later)
    assert apart.word == "inconclusive" and "not run in pairs" in apart.reason


@pytest.mark.parametrize(("ratio", "word"), [(1.0, "same"), (0.8, "slower"), (1.3, "faster")])
def test_two_records_are_compared_by_their_repeats_with_a_warning(ratio, word):
    found = verdict([record(50e9, repeats=6)], [record(50e9 * ratio, repeats=6, minute=1)])
    assert found.word == word and "one process a side" in found.reason


def test_two_records_of_three_repeats_cannot_say():
    found = verdict([record(repeats=3)], [record(25e9, repeats=3, minute=1)])
    assert (found.word, found.exit_code) == ("inconclusive", 3) and "too few" in found.reason


def test_runs_whose_ceiling_moved_are_put_aside():
    base, head = series(1.0, ceiling=60e9), series(0.8, start=2, ceiling=60e9)
    head[0] = record(10e9, minute=2, ceiling=50e9)
    found = verdict(base, head)
    assert found.word == "slower" and found.n == 9 and "pair 1: the measured ceiling moved by 20.0%" in found.dropped


def test_what_is_left_when_more_than_a_third_is_put_aside_says_nothing():
    head = series(0.8, 6, start=2, ceiling=60e9) + series(0.8, 4, start=26, ceiling=50e9)
    found = verdict(series(1.0, ceiling=60e9), head)
    assert (found.word, found.n, len(found.dropped)) == ("contaminated", 6, 4)


@pytest.mark.parametrize("alternate", [True, False])
def test_a_ceiling_that_moved_in_most_runs_is_contamination(alternate):
    base = series(1.0, ceiling=60e9)
    head = series(0.8, start=2 if alternate else 200, ceiling=50e9)
    found = verdict(base, head)
    assert (found.word, found.exit_code) == ("contaminated", 3)


def test_a_wrong_result_outranks_every_rate():
    found = verdict(series(1.0), [*series(2.0, 9, start=2), record(minute=39, verdict="FAILED")])
    assert found.exit_code == 1 and "verification FAILED" in found.failures[0] and "head" in found.failures[0]


def test_an_unchecked_run_has_no_rate():
    with pytest.raises(BadInput, match="UNCHECKED"):
        compare([record()], [record(verdict="UNCHECKED")], 0.1)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"machine": on("Other CPU")}, "machine: base Test CPU.*head Other CPU"),
        ({"n": 2000}, "n: base n=1000, head n=2000"),
        ({"precision": "fp32", "kernel": "lu_fp32_numpy"}, "precision: base fp64, head fp32"),
        ({"blas": [{"user_api": "blas", "internal_api": "mkl"}]}, "blas: base openblas.*head mkl"),
        ({"threads_per_rank": 1}, "threads: .*2 threads a rank.*1 threads a rank"),
        ({"kernel": "lu_fp64_cupy"}, "kernel: base lu_fp64_numpy, head lu_fp64_cupy"),
        ({"unit": "OP/s"}, r"unit: base FLOP/s, head OP/s"),
    ],
)
def test_what_is_not_comparable_is_refused_naming_the_difference(change, named):
    with pytest.raises(BadInput, match=named):
        compare([record()], [record(**change)], 0.1)
    with pytest.raises(BadInput, match="counterpart"):
        compare([record(**change)], [record()], 0.1)


def test_told_so_it_compares_all_the_same():
    other = record(40e9, repeats=6, machine=on("Other CPU"), n=2000)
    found = verdict([record(repeats=6)], [other], allowed={"machine", "n"})
    assert found.word == "slower"
    with pytest.raises(BadInput, match="blas") as caught:
        compare([record()], [record(blas=[], n=2000)], 0.1, {"n"})
    assert "n=2000" not in str(caught.value).split("counterpart")[1]


def test_a_metric_that_one_side_lacks_is_refused():
    with pytest.raises(BadInput, match="n=2000 of base has no counterpart"):
        compare([record(), record(n=2000)], [record()], 0.1)


def test_the_machine_is_known_by_its_processor_not_by_its_clock_or_name():
    import msgspec

    replace = msgspec.structs.replace
    renamed = replace(MACHINE, hostname="node2", cpu=replace(MACHINE.cpu, max_hz=3.1e9, base_hz=2.4e9))
    assert machine_key(record(machine=renamed)) == machine_key(record())
    fewer = replace(MACHINE, limits=replace(MACHINE.limits, usable_cores=1))
    assert machine_key(record(machine=fewer)) != machine_key(record())


@pytest.fixture
def folders(tmp_path):
    for name, ratio, start in (("base", 1.0, 0), ("head", 0.8, 2)):
        for one in series(ratio, start=start):
            write(one, tmp_path / name / "deeper")
    return tmp_path


def call(*arguments):
    return CliRunner().invoke(command, [str(a) for a in arguments], standalone_mode=False)


def test_the_command_reads_folders_and_prints_json(folders):
    result = call(folders / "base", folders / "head", "--json")
    assert result.return_value == 1
    comparison = json.loads(result.output)["comparison"]
    (metric,) = comparison["metrics"]
    assert comparison["exit_code"] == 1 and metric["verdict"] == "slower"
    assert metric["ratio"]["low"] < metric["ratio"]["estimate"] < metric["ratio"]["high"] < 0.9
    assert 0 < metric["noise_floor"] < 0.05


def test_the_command_prints_a_table_that_fits_80_columns_and_reasons(folders):
    result = call(folders / "base", folders / "head")
    assert "lu_fp64_numpy" in result.output and "slower by more than 10 %" in result.output
    assert max(map(len, result.output.splitlines()[:8])) <= 80


def test_one_file_against_a_folder(folders):
    file = next((folders / "head").rglob("*.json"))
    assert len(load(file)) == 1 and len(load(folders / "base")) == 10


@pytest.mark.parametrize("threshold", ["0", "1", "-0.1", "nan"])
def test_a_threshold_that_makes_no_sense_is_bad_input(folders, threshold):
    with pytest.raises(BadInput, match="threshold"):
        raise call(folders / "base", folders / "head", "--threshold", threshold).exception


def test_an_unknown_property_to_allow_lists_the_known(folders):
    with pytest.raises(UnknownName, match="did you mean machine"):
        raise call(folders / "base", folders / "head", "--allow", "machin").exception


def test_an_empty_folder_is_an_error_never_a_pass(tmp_path):
    (tmp_path / "base").mkdir()
    with pytest.raises(BadInput, match="no records"):
        load(tmp_path / "base")


def test_an_altered_record_is_refused(folders):
    file = next((folders / "head").rglob("*.json"))
    document = to_document(load(file)[0])
    document["rmax_flops"] *= 2
    file.write_text(json.dumps(document))
    with pytest.raises(BadInput, match="altered"):
        load(folders / "head")
