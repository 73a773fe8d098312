"""The loops around the micro-kernel, compiled by Numba and run by every thread of the team without the GIL.

The product is cut along k into blocks of k_c. Packing a group of panels is a job, multiplying a block of A by one of B is a job, and the
threads draw jobs from one counter, in this order: pack block 0; then for each block: half of its products, the packing of the next
block into the other half of the workspace, the other half of its products. There is no barrier. A job waits for what it needs:

    a product          that its block is packed, and that the same part of C has received the block before
    packing block q    that the products of block q - 2, which lay in the same half, are finished

All of these were drawn earlier, so that the earliest unfinished job never waits, and in this order hardly any other does.
"""

from __future__ import annotations

from typing import NamedTuple

from flopbench_kernels.gemm_numba.calls import call0, call1, call3, call6, call7, call8, fetch, fetch_add
from flopbench_kernels.gemm_numba.jit import jit


class Plan(NamedTuple):
    """Everything that a thread must know; addresses and strides in bytes. All integers."""

    m: int
    n: int
    k: int
    a: int
    a_row: int
    a_column: int
    b: int
    b_row: int
    b_column: int
    c: int
    c_row: int
    c_column: int
    c_dense_rows: int  # 1: the rows of C are contiguous, so that whole tiles are written in place
    beta: int
    m_r: int
    n_r: int
    m_c: int
    n_c: int
    k_c: int
    outer_is_a: int  # 1: a panel of A meets all panels of a block of B before the next one does; 0: the other way round
    granule: int
    a_bytes: int  # of one packed element
    b_bytes: int
    c_bytes: int
    a_panel: int  # bytes from one packed panel of A to the next
    b_panel: int
    a_half: int  # bytes from one half of the workspace to the other
    b_half: int
    a_packed: int
    b_packed: int
    panels_per_job: int  # packed by one job
    a_tail: int  # offset, in a panel of A, of what finish_a leaves for the micro-kernel
    scratch: int  # one tile per thread, `scratch_step` bytes apart
    scratch_step: int
    micro: int  # addresses of the compiled functions
    pack_a: int
    pack_b: int
    edge: int
    finish_a: int  # called for each packed panel of A, 0 if there is nothing to do
    enter: int  # called by each thread before and after, 0 if there is nothing to do
    leave: int


#: k packed of a panel at a time where its rows are neighbours in memory (then whole lines are used up).
K_AT_ONCE = 32
#: Layout of what threads share during a product, in units of 8 bytes: counters on cache lines of their own.
LINE = 8
NEXT_JOB, COUNTERS = 0, LINE
#: The same of what they share from one product to the next; a semaphore for each thread follows, a line apart.
ROUND, FINISHED, STOP, SEMAPHORES = 0, LINE, 2 * LINE, 3 * LINE


def shared_size(blocks: int, products: int) -> int:
    """How many 8-byte integers the threads share: for each block, panels packed and products done; for each part of C, blocks received."""
    return COUNTERS + 2 * LINE * blocks + products


@jit
def wait(counter, goal, yield_cpu):
    """Wait until `counter` has reached `goal`. Spins first, then lets others have the processor."""
    spins = 0
    while fetch(counter) < goal:
        spins += 1
        if spins > 1000:
            call0(yield_cpu)


@jit
def pack_job(p, job, a_jobs, block, half):
    """Pack panels_per_job panels of A, or of B for jobs from a_jobs on, over block `block` of k."""
    k0 = block * p.k_c
    kc = min(p.k_c, p.k - k0)
    if job < a_jobs:
        first, count, width, panel, size = job * p.panels_per_job, p.m, p.m_r, p.a_panel, p.a_bytes
        source, width_stride, k_stride = p.a + k0 * p.a_column, p.a_row, p.a_column
        target, function, finish = p.a_packed + half * p.a_half, p.pack_a, p.finish_a
    else:
        first, count, width, panel, size = (job - a_jobs) * p.panels_per_job, p.n, p.n_r, p.b_panel, p.b_bytes
        source, width_stride, k_stride = p.b + k0 * p.b_row, p.b_column, p.b_row
        target, function, finish = p.b_packed + half * p.b_half, p.pack_b, 0
    last = min(first + p.panels_per_job, (count + width - 1) // width)
    step = kc
    if abs(width_stride) < abs(k_stride):
        step = max(K_AT_ONCE, p.granule)
    for k in range(0, kc, step):
        for i in range(first, last):
            call6(
                function,
                source + i * width * width_stride + k * k_stride,
                width_stride,
                k_stride,
                min(width, count - i * width),
                min(step, kc - k),
                target + i * panel + k * width * size,
            )
    if finish != 0:
        padded = (kc + p.granule - 1) // p.granule * p.granule
        for i in range(first, last):
            call3(finish, target + i * panel, padded, target + i * panel + p.a_tail)


@jit
def multiply_tiles(p, i0, i1, j0, j1, a0, b0, c, c_row, c_column, dense, steps, add, tile):
    """The tiles in rows i0 to i1 and columns j0 to j1 of C, panel by panel of `outer`, and for each all panels of the other.

    The packed panels begin at a0 and b0, C itself at c. `p` is a Plan, or has its fields about tiles and panels. `dense`: 1 if the rows of
    C are contiguous; `add`: 1 if C is added to.
    """
    outside = p.outer_is_a == 1
    outer, outer_end, outer_step, held, held_step = (i0, i1, p.m_r, a0, p.a_panel)
    inner0, inner_end, inner_step, passing0, passing_step = (j0, j1, p.n_r, b0, p.b_panel)
    if not outside:
        outer, outer_end, outer_step, held, held_step = (j0, j1, p.n_r, b0, p.b_panel)
        inner0, inner_end, inner_step, passing0, passing_step = (i0, i1, p.m_r, a0, p.a_panel)
    while outer < outer_end:
        ahead = held + held_step
        end = ahead + held_step if outer + outer_step < outer_end else held
        passing = passing0
        for inner in range(inner0, inner_end, inner_step):
            i, j, a, b = (outer, inner, held, passing) if outside else (inner, outer, passing, held)
            target = c + i * c_row + j * c_column
            rows, columns = min(p.m_r, i1 - i), min(p.n_r, j1 - j)
            if ahead >= end:
                ahead = held
            if dense == 1 and rows == p.m_r and columns == p.n_r:
                call8(p.micro, a, b, target, c_row, steps, add, a + p.a_tail, ahead)
            else:
                call8(p.micro, a, b, tile, p.n_r * p.c_bytes, steps, 0, a + p.a_tail, ahead)
                call7(p.edge, tile, target, c_row, c_column, rows, columns, add)
            ahead += steps * 8 * LINE
            passing += passing_step
        outer += outer_step
        held += held_step


@jit
def multiply_job(p, job, block, half, tile):
    """Multiply one block of A by one of B, over block `block` of k."""
    down = (p.m + p.m_c - 1) // p.m_c
    i0, j0 = job % down * p.m_c, job // down * p.n_c
    i1, j1 = min(i0 + p.m_c, p.m), min(j0 + p.n_c, p.n)
    a0 = p.a_packed + half * p.a_half + i0 // p.m_r * p.a_panel
    b0 = p.b_packed + half * p.b_half + j0 // p.n_r * p.b_panel
    steps = (min(p.k_c, p.k - block * p.k_c) + p.granule - 1) // p.granule
    add = 1 if block > 0 or p.beta != 0 else 0
    multiply_tiles(p, i0, i1, j0, j1, a0, b0, p.c, p.c_row, p.c_column, p.c_dense_rows, steps, add, tile)


@jit
def jobs_of(p):
    """Packing jobs for A and for both operands, and products, of one block of k."""
    a_jobs = ((p.m + p.m_r - 1) // p.m_r + p.panels_per_job - 1) // p.panels_per_job
    b_jobs = ((p.n + p.n_r - 1) // p.n_r + p.panels_per_job - 1) // p.panels_per_job
    return a_jobs, a_jobs + b_jobs, ((p.m + p.m_c - 1) // p.m_c) * ((p.n + p.n_c - 1) // p.n_c)


@jit
def work(p, shared, thread, yield_cpu):
    """One thread's part of the product."""
    blocks = (p.k + p.k_c - 1) // p.k_c
    a_jobs, packs, products = jobs_of(p)
    packed = shared + 8 * COUNTERS  # of block q: at packed + q * line
    multiplied = packed + 8 * LINE * blocks
    received = multiplied + 8 * LINE * blocks  # by part t of C: at received + t * 8
    line = 8 * LINE
    tile = p.scratch + thread * p.scratch_step
    if p.enter != 0:
        call0(p.enter)
    job = fetch_add(shared + 8 * NEXT_JOB)
    while job < blocks * (packs + products):
        block = (job - packs) // (packs + products)  # -1: the packing that comes before all products
        index = (job - packs) % (packs + products) if block >= 0 else job
        start = products // 2  # where the packing of the next block stands among the products of this one
        if block < 0:
            start = 0
        elif block == blocks - 1:
            start = products
        if start <= index < start + packs:
            if block > 0:
                wait(multiplied + (block - 1) * line, products, yield_cpu)
            pack_job(p, index - start, a_jobs, block + 1, (block + 1) % 2)
            fetch_add(packed + (block + 1) * line)
        else:
            part = index if index < start else index - packs
            wait(packed + block * line, packs, yield_cpu)
            wait(received + part * 8, block, yield_cpu)
            multiply_job(p, part, block, block % 2, tile)
            fetch_add(received + part * 8)
            fetch_add(multiplied + block * line)
        job = fetch_add(shared + 8 * NEXT_JOB)
    if p.leave != 0:
        call0(p.leave)


@jit
def take_part(p, shared, team, thread, threads, yield_cpu, semaphore):
    """Thread 0: one product, together with the others. Another thread: its part of every product, until the team is dissolved.

    `team` is the address of what ROUND ... SEMAPHORES describe. `semaphore` is the address of sem_post for thread 0, of sem_wait for the
    others. sem_wait may come back early, after a signal, so that only the count of rounds says that there is work.
    """
    if thread == 0:
        rounds = fetch_add(team + 8 * ROUND) + 1
        for other in range(1, threads):
            call1(semaphore, team + 8 * (SEMAPHORES + other * LINE))
        work(p, shared, thread, yield_cpu)
        wait(team + 8 * FINISHED, rounds * (threads - 1), yield_cpu)
        return
    done = 0
    while True:
        while fetch(team + 8 * ROUND) == done and fetch(team + 8 * STOP) == 0:
            call1(semaphore, team + 8 * (SEMAPHORES + thread * LINE))
        if fetch(team + 8 * STOP) != 0:
            return
        work(p, shared, thread, yield_cpu)
        done += 1
        fetch_add(team + 8 * FINISHED)
