"""Many ways to write one product, one key."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flopbench.specs import names
from flopbench.specs.table import load


@pytest.mark.parametrize(
    "name",
    [
        "Intel(R) Xeon(R) CPU E5-2680 v3 @ 2.50GHz",
        "Intel Xeon E5-2680v3 12C 2.5GHz",
        "Xeon E5-2680v3 12C 2.5GHz",
        "Intel® Xeon® Processor E5-2680 v3",
        "xeon e5-2680 V3",
    ],
)
def test_a_processor_has_one_key_however_it_is_written(name):
    assert names.key(name) == "xeon e5 2680 v3"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Xeon E5-2680", "Xeon E5-2680 v2"),
        ("Xeon Gold 6148", "Xeon Gold 6148F"),
        ("A100 PCIe 40GB", "A100 PCIe 80GB"),
        ("Xeon Platinum 8480C", "Xeon Platinum 8480+"),
        ("Xeon Platinum 8375C", "Xeon Platinum"),
    ],
)
def test_different_products_have_different_keys(one, other):
    assert names.key(one) != names.key(other)


@pytest.mark.parametrize(
    ("name", "ghz"),
    [
        ("Intel(R) Xeon(R) CPU @ 2.20GHz", 2.2),
        ("ShenWei SW1600 16C 975MHz", 0.975),
        ("AMD EPYC 7763 64-Core Processor", None),
    ],
)
def test_a_clock_in_the_name_is_read(name, ghz):
    assert names.advertised_ghz(name) == ghz


@pytest.mark.parametrize(
    ("got", "best"),
    [
        ("EPYC 7764", "AMD EPYC 7763"),
        ("Xeon Platinum 8480", "Intel Xeon Platinum 8480+"),
        ("8592", "Intel Xeon Platinum 8592+"),
    ],
)
def test_of_equally_like_names_the_one_that_begins_alike_comes_first(got, best):
    assert names.near(got, load().cpus)[0] == best


@given(st.text(max_size=60))
def test_any_text_has_a_stable_key_and_finds_near_names_without_failing(text):
    key = names.key(text)
    assert key == key.lower().strip()
    assert len(names.near(text, load().gpus)) <= 6
