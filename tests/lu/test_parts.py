"""The parts of the block-cyclic LU on their own: index maps, recursion plans, pivots to moves, cuts, one panel."""

import numpy as np
import pytest
import scipy.linalg
from flopbench_kernels.device.blas import scipy_blas
from flopbench_kernels.lu_blockcyclic import panel_plan, panel_steps
from flopbench_kernels.lu_blockcyclic.grid import Grid, build, owned_below, owner, place, to_global, to_local
from flopbench_kernels.lu_blockcyclic.layout import leading_dimension
from flopbench_kernels.lu_blockcyclic.pivots import net_moves, row_moves
from flopbench_kernels.lu_blockcyclic.update import pieces
from hypothesis import given, settings
from hypothesis import strategies as st

from flopbench.comm import SelfComm
from flopbench.errors import BadInput

maps = {"nb": st.integers(1, 9), "parts": st.integers(1, 6)}


@given(limit=st.integers(0, 200), **maps)
def test_every_index_has_one_owner_and_owned_below_counts_them(limit, nb, parts):
    owners = [owner(index, nb, parts) for index in range(limit)]
    assert [owned_below(limit, nb, me, parts) for me in range(parts)] == [owners.count(me) for me in range(parts)]


@given(index=st.integers(0, 10**12), **maps)
def test_local_and_global_indices_are_inverses(index, nb, parts):
    me = owner(index, nb, parts)
    local = to_local(index, nb, parts)
    assert to_global(local, nb, me, parts) == index
    assert local == owned_below(index, nb, me, parts)


@pytest.mark.parametrize(
    ("pmap", "expected"),
    [
        ("row", [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]),
        ("column", [(0, 0), (1, 0), (0, 1), (1, 1), (0, 2), (1, 2)]),
    ],
)
def test_ranks_are_placed_as_hpl_places_them(pmap, expected):
    assert [place(rank, 2, 3, pmap) for rank in range(6)] == expected


def test_a_grid_larger_than_the_job_is_refused_with_what_to_do():
    with pytest.raises(BadInput, match="a 2 x 2 grid needs 4 ranks, got 1"):
        build(SelfComm(), 2, 2, "row")


@given(rows=st.integers(0, 10**6), align=st.integers(1, 64))
def test_a_leading_dimension_fits_is_aligned_and_avoids_cache_conflicts(rows, align):
    ld = leading_dimension(rows, align)
    assert ld >= rows and ld % align == 0
    assert ld % 256 or align % 256 == 0


@settings(deadline=None)
@given(row0=st.integers(0, 20), below=st.integers(0, 30), data=st.data())
def test_net_moves_are_the_swaps_one_after_another(row0, below, data):
    width = data.draw(st.integers(1, 12))
    total = row0 + width + below
    pivots = np.array([data.draw(st.integers(row0 + j, total - 1)) for j in range(width)], float)
    rows = np.arange(total)
    for j, pivot in enumerate(pivots.astype(int)):
        rows[[row0 + j, pivot]] = rows[[pivot, row0 + j]]
    top, to, origin = net_moves(row0, pivots)
    at_once = np.arange(total)
    at_once[row0 : row0 + width] = top
    at_once[to] = origin
    assert np.array_equal(at_once, rows)


@settings(deadline=None)
@given(data=st.data())
def test_row_moves_of_all_ranks_fit_together(data):
    nb, p, block = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 5)), data.draw(st.integers(0, 6))
    n = data.draw(st.integers(block * nb + 1, 60 + block * nb))
    row0, width = block * nb, min(nb, n - block * nb)
    pivots = np.array([data.draw(st.integers(row0 + j, n - 1)) for j in range(width)], float)
    every = [row_moves(row0, pivots, nb, Grid(p, 1, me, 0)) for me in range(p)]
    for me, moves in enumerate(every):
        assert len(moves.my_rows) == len(every[0].pieces[me])
        assert len(moves.my_arriving) == every[moves.top_owner].leaving[me]
        assert len(moves.my_leaving) == (sum(moves.leaving) if me == moves.top_owner else 0)
    assert sorted(np.concatenate(every[0].pieces)) == list(range(width))
    top = every[every[0].top_owner]
    assert len(top.my_top) == width


@given(
    width=st.integers(1, 300),
    rfact=st.sampled_from(("left", "crout", "right")),
    ndiv=st.integers(2, 5),
    nbmin=st.integers(1, 40),
)
def test_a_plan_factors_every_column_once_in_order_in_parts_of_at_most_nbmin(width, rfact, ndiv, nbmin):
    steps = panel_plan.plan(width, rfact, ndiv, nbmin)
    parts = [(a, b) for kind, a, b, *_ in steps.tolist() if kind == panel_plan.FACTOR]
    assert [a for a, _ in parts] == [0, *[b for _, b in parts[:-1]]]
    assert parts[-1][1] == width
    assert all(b - a <= nbmin for a, b in parts)


@given(
    n=st.integers(0, 9000),
    threads=st.integers(1, 8),
    q=st.integers(1, 4),
    nb=st.integers(1, 512),
    widest=st.none() | st.just(480),
)
def test_pieces_cover_the_columns_once(n, threads, q, nb, widest):
    cuts = pieces(n, threads, q, nb, widest)
    assert [start for start, _ in cuts] == list(np.cumsum([0, *[width for _, width in cuts]]))[:-1]
    assert sum(width for _, width in cuts) == n
    assert all(width > 0 for _, width in cuts)


def test_alone_and_without_a_network_an_update_is_one_piece():
    assert pieces(8000, 1, 1, 200) == [(0, 8000)]


def test_a_product_that_packs_l_once_gets_pieces_that_stay_in_the_cache():
    assert {width for _, width in pieces(4800, 1, 1, 200, 480)} == {480}
    assert max(width for _, width in pieces(8000, 4, 2, 200, 480)) <= 480 + 150


def test_threads_begin_with_their_share_and_end_with_short_pieces():
    widths = [width for _, width in pieces(8000, 4, 1, 200)]
    assert widths[0] == 2000
    assert widths == sorted(widths, reverse=True)
    assert 150 <= widths[-1] < 300


def test_ranks_that_pass_panels_on_look_at_the_network_more_often():
    assert [max(width for _, width in pieces(8000, 1, q, 200)) for q in (1, 2, 3)] == [8000, 1600, 800]


def factor(a, pfact=panel_steps.RIGHT, rfact="right", ndiv=2, nbmin=4):
    """One panel on one rank: L and U, the pivots, whether it was singular."""
    rows, width = a.shape
    ld = rows + 3
    w = np.full(ld * width, np.nan)
    view = w.reshape(width, ld).T
    view[:rows] = a
    state = np.array([0, -1, 0, 0])
    message, mine, pivots = np.zeros(panel_steps.HEADER + 2 * width), np.zeros(1), np.zeros(width)
    steps = panel_plan.plan(width, rfact, ndiv, nbmin)
    blas = scipy_blas()
    panel_steps.factor_alone(
        state, steps, w, ld, rows, width, 0, width, pfact, message, mine, pivots, blas.gemm, blas.trsm
    )
    assert np.isnan(view[rows:]).all()
    return view[:rows], pivots.astype(int), bool(state[panel_steps.SINGULAR])


@pytest.mark.parametrize("pfact", [panel_steps.LEFT, panel_steps.CROUT, panel_steps.RIGHT])
def test_of_equal_candidates_the_first_row_is_the_pivot(pfact):
    a = np.asfortranarray(np.sign(np.random.default_rng(3).uniform(-1, 1, (40, 9))))
    lu, pivots, _ = factor(a, pfact)
    assert pivots[0] == scipy.linalg.lapack.dgetrf(a)[1][0] == 0
    rebuilt = np.tril(lu, -1)[:, :9] + np.eye(40, 9)
    order = np.arange(40)
    for j, pivot in enumerate(pivots):
        order[[j, pivot]] = order[[pivot, j]]
    np.testing.assert_allclose(rebuilt @ np.triu(lu[:9]), a[order], atol=1e-12)


@pytest.mark.parametrize("pfact", [panel_steps.LEFT, panel_steps.CROUT, panel_steps.RIGHT])
def test_a_column_of_zeros_is_reported_as_singular(pfact):
    a = np.random.default_rng(0).uniform(-1, 1, (30, 8))
    a[:, 5] = 0
    assert factor(a, pfact)[2]
    assert not factor(np.random.default_rng(0).uniform(-1, 1, (30, 8)), pfact)[2]


def test_pivots_too_small_for_a_reciprocal_are_divided_by():
    a = np.random.default_rng(1).uniform(-1, 1, (20, 4)) * 1e-308
    lu, _, singular = factor(a)
    assert not singular and np.isfinite(lu).all()
    assert np.abs(np.tril(lu, -1)).max() <= 1.0


def test_the_better_of_two_messages_is_the_larger_and_of_equals_the_upper_row():
    def message(size, row):
        values = np.zeros(panel_steps.HEADER + 2)
        values[panel_steps.SIZE], values[panel_steps.ROW], values[panel_steps.HEADER] = size, row, row
        return values

    for mine, other, winner in (
        ((1, 5), (2, 9), 9),
        ((2, 5), (1, 3), 5),
        ((2, 5), (2, 3), 3),
        ((-1, 2**53), (0, 7), 7),
    ):
        kept = message(*mine)
        panel_steps.combine(1, kept, message(*other))
        assert kept[panel_steps.ROW] == kept[panel_steps.HEADER] == winner
