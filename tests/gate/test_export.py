"""A comparison as others read it: Markdown, JUnit XML, customBiggerIsBetter, JSON."""

from __future__ import annotations

import json
import math
from xml.etree import ElementTree

import pytest

from flopbench.compare import export
from flopbench.compare.estimate import Interval
from flopbench.compare.verdict import MetricVerdict, judge, overall_exit_code
from flopbench.errors import BadInput


def verdict(metric="hpl", word="same", low=-0.02, high=0.03, **changes) -> MetricVerdict:
    interval = Interval(0.01, low, high, 0.975, "percentile bootstrap of the median")
    fields = {"dropped": [], "reason": "because", "n": 10} | changes
    return MetricVerdict(metric, "FLOP/s", 50e9, 50.5e9, interval, word=word, **fields)


SAME = verdict()
SLOWER = verdict("gemm | fp64", "slower", dropped=["pair 3: control moved by 6.0%"])
OPEN = verdict("gemm int8", "inconclusive", -math.inf, math.inf)
DIRTY = verdict("gemm fp32", "contaminated")
FAILED = MetricVerdict(
    "lu", "FLOP/s", None, None, None, 0, [], "inconclusive", "no rate", ["head: verification FAILED: x"]
)
ALL = [SAME, SLOWER, OPEN, DIRTY, FAILED]


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [
        (-0.3, -0.11, "slower"),
        (-0.3, -0.10, "inconclusive"),
        (-0.3, 0.3, "inconclusive"),
        (-0.05, 0.05, "same"),
        (-0.05, 0.30, "same"),
        (0.02, 0.05, "same"),
        (0.02, 0.30, "faster"),
        (0.20, 0.30, "faster"),
        (-math.inf, math.inf, "inconclusive"),
    ],
)
def test_the_verdict_follows_from_the_interval_and_the_threshold(low, high, word):
    assert judge(Interval((low + high) / 2, low, high, 0.95, ""), 0.10)[0] == word


@pytest.mark.parametrize(
    ("verdicts", "code"), [([SAME], 0), ([SAME, OPEN], 3), ([DIRTY], 3), ([OPEN, SLOWER, SAME], 1), ([SAME, FAILED], 1)]
)
def test_a_regression_or_a_failure_outranks_doubt_and_doubt_outranks_a_pass(verdicts, code):
    assert overall_exit_code(verdicts) == code


def test_nothing_compared_is_an_error_never_a_pass():
    with pytest.raises(BadInput, match="nothing was compared"):
        overall_exit_code([])


def test_junit_counts_failures_and_skips_and_names_the_reason():
    suite = ElementTree.fromstring(export.junit(ALL))
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("5", "2", "2")
    cases = {case.get("name"): case for case in suite}
    assert cases["hpl"].find("failure") is None and cases["hpl"].find("skipped") is None
    assert cases["gemm | fp64"].find("failure").get("type") == "slower"
    assert cases["gemm int8"].find("skipped").get("message") == "inconclusive: because"
    assert cases["lu"].find("failure").text.endswith("head: verification FAILED: x")


def test_custom_bigger_is_better_has_the_five_keys_and_giga_units():
    entries = export.bigger_is_better(ALL)
    assert [entry["name"] for entry in entries] == ["hpl", "gemm | fp64", "gemm int8", "gemm fp32"]
    assert entries[0] == {
        "name": "hpl",
        "unit": "GFLOP/s",
        "value": 50.5,
        "range": "± 2.5 %",
        "extra": "same: ratio 1.010 [0.980, 1.030]; because",
    }


def test_json_has_no_infinity_and_keeps_everything():
    document = export.document(ALL, 0.1, seed=7)["comparison"]
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert document["exit_code"] == 1 and document["seed"] == 7
    assert document["metrics"][2]["ratio"]["low"] is None and document["metrics"][4]["ratio"] is None


def test_markdown_is_one_table_with_cells_that_cannot_break_it():
    text = export.markdown(ALL, 0.1)
    assert "1 FAILED, 1 slower, 1 inconclusive, 1 contaminated" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + len(ALL)
    assert all(row.replace("\\|", "").count("|") == 8 for row in rows)
    assert "pair 3: control moved by 6.0%" in text
    assert "no regression in 1 metric" in export.markdown([SAME], 0.1).splitlines()[0]
