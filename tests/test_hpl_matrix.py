"""The matrix is HPL's own, bit for bit, whatever piece of it is asked for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flopbench.hpl_matrix import HplMatrix

MULTIPLIER, MASK = 6364136223846793005, (1 << 64) - 1


def stream(count: int, seed: int = 100) -> list[float]:
    """HPL's stream, one step at a time in exact integers: the definition itself."""
    values, x = [], seed
    for _ in range(count):
        x = (MULTIPLIER * x + 1) & MASK
        values.append(0.5 - float(x) * 2.0**-64)
    return values


def whole(n: int, threads: int = 1, seed: int = 100) -> np.ndarray:
    matrix = np.empty((n, n + 1), order="F")
    HplMatrix(n, seed, threads).fill(matrix, 0, 0)
    return matrix


def test_the_stream_begins_with_hpls_golden_values():
    golden = [
        -5.159944193766641e-05,
        0.38413122531282284,
        0.4436836675989427,
        -0.46046395121548966,
        -0.45958772011929283,
    ]
    assert whole(8)[:5, 0].tolist() == golden
    assert stream(5) == golden


@pytest.mark.parametrize(
    ("n", "a_inf", "a_one", "b_inf", "a01", "b0"),
    [
        (8, 2.682957512383399, 2.474511178288467, 0.48952487170606146, 0.4936135804830576, -0.29993689999073403),
        (100, 28.570777946416456, 27.783703556184683, 0.4939698941111188, -0.41333831260203935, -0.2533804580822623),
    ],
)
def test_norms_and_entries_are_hpls(n, a_inf, a_one, b_inf, a01, b0):
    matrix = whole(n)
    a, b = matrix[:, :n], matrix[:, n]
    assert (matrix[0, 1], b[0], np.abs(b).max()) == (a01, b0, b_inf)
    assert np.abs(a).sum(axis=1).max() == pytest.approx(a_inf, rel=1e-14)
    assert np.abs(a).sum(axis=0).max() == pytest.approx(a_one, rel=1e-14)


@pytest.mark.parametrize("n", [1, 2, 3, 7, 64])
def test_the_whole_matrix_is_the_stream_column_by_column(n):
    assert whole(n).flatten(order="F").tolist() == stream(n * (n + 1))


@settings(deadline=None)
@given(data=st.data(), n=st.integers(1, 80), seed=st.integers(0, MASK))
def test_any_block_equals_that_block_of_the_whole(data, n, seed):
    row = data.draw(st.integers(0, n - 1))
    col = data.draw(st.integers(0, n))
    rows, cols = data.draw(st.integers(1, n - row)), data.draw(st.integers(1, n + 1 - col))
    block = np.empty((rows, cols), order=data.draw(st.sampled_from("CF")))
    HplMatrix(n, seed).fill(block, row, col)
    assert np.array_equal(block, whole(n, seed=seed)[row : row + rows, col : col + cols])


@pytest.mark.parametrize("threads", [2, 3, 16])
def test_threads_do_not_change_a_bit(threads):
    assert np.array_equal(whole(300, threads), whole(300))


def test_a_jump_of_10_to_the_12_lands_where_single_maps_composed_land():
    """Composition of affine maps in exact integers, a thousand at a time, reaches the same state as the logarithmic jump."""
    n = 10**6
    far = np.empty((1, 1), order="F")
    HplMatrix(n).fill(far, 7, n)
    steps, (a, c) = 8 + n * n, (1, 0)
    square = (MULTIPLIER, 1)
    for digit in bin(steps)[2:]:  # most significant first: another order than the code's
        a, c = a * a & MASK, (a * c + c) & MASK
        if digit == "1":
            a, c = a * square[0] & MASK, (square[0] * c + square[1]) & MASK
    assert far[0, 0] == 0.5 - float((a * 100 + c) & MASK) * 2.0**-64
