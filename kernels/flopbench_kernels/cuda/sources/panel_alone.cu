// A part of a panel of the LU in one launch, for a process column of one rank. All indices are 64 bits wide.
//
// Columns start .. stop-1 (MOST_COLUMNS at most) of the column-major panel w, right-looking, rows start .. last-1; the pivots go to `pivots`,
// counted from row0, which is row 0 of w; at the end the interchanges are done in the other columns of the panel too.
//
// A grid-wide barrier a column, so all blocks must be resident together: a cooperative launch, of no more blocks than a block has threads,
// and of MOST_COLUMNS threads a block at least. Row r belongs to one thread, which alone reads and writes it in these columns; what others
// must know of it goes through `slots`: for each block its candidate's magnitude, its row, and the row's entries, and, behind the slots of
// all `blocks` blocks, the entries of the row that makes way. Two sets of slots take turns, for columns of even and odd number: nobody writes
// a set before all have passed the barrier behind its readers.

#include "candidates.cuh"

#define MOST_COLUMNS 64
#define AT_ONCE 4
#define SLOT (2 + MOST_COLUMNS)

// Waits until every block has come here; `goal`: what the counter of arrivals then is, modulo 2^32.
__device__ void wait_for_all_blocks(unsigned* arrived, unsigned goal) {
    __syncthreads();
    if (threadIdx.x == 0) {
        __threadfence();
        atomicAdd(arrived, 1u);
        while ((int)(*(volatile unsigned*)arrived - goal) < 0) __nanosleep(20);
        __threadfence();
    }
    __syncthreads();
}

// This block's slot for column j: its candidate, and its entries; block 0 adds row j.
__device__ void publish(const double* w, i64 ld, i64 start, i64 stop, i64 j, double best, i64 at, double* slots, i64 blocks) {
    double* slot = slots + blockIdx.x * SLOT;
    for (i64 c = threadIdx.x; c < stop - start; c += blockDim.x) {
        if (at >= 0) slot[2 + c] = w[at + (start + c) * ld];
        if (blockIdx.x == 0) slots[blocks * SLOT + c] = w[j + (start + c) * ld];
    }
    if (threadIdx.x == 0) {
        slot[0] = best;
        slot[1] = (double)at;
    }
}

extern "C" __global__ void __launch_bounds__(MOST_THREADS)
panel_alone(double* w, i64 ld, i64 width, i64 start, i64 stop, i64 last, i64 row0, double* slots, i64 blocks, double* singular,
            double* pivots, unsigned* arrived, i64 arrived_before) {
    __shared__ double sizes[MOST_THREADS], top[MOST_COLUMNS], chosen[MOST_COLUMNS];
    __shared__ i64 rows[MOST_THREADS], taken[MOST_COLUMNS];
    const i64 step = blocks * blockDim.x, mine = start + (i64)blockIdx.x * blockDim.x + threadIdx.x;
    const i64 columns = stop - start, set = (blocks + 1) * SLOT;
    double best = -1.0;
    i64 at = -1;
    for (i64 r = mine; r < last; r += step) {
        const double size = magnitude(w[r + start * ld]);
        if (size > best) { best = size; at = r; }
    }
    for (i64 j = start; j < stop; ++j) {
        double* board = slots + (j % 2) * set;
        best_of_block(&best, &at, sizes, rows);
        publish(w, ld, start, stop, j, best, at, board, blocks);
        wait_for_all_blocks(arrived, (unsigned)(arrived_before + (j - start + 1) * blocks));

        best = -1.0;
        at = -1;
        if (threadIdx.x < blocks) {
            best = __ldcg(board + threadIdx.x * SLOT);
            at = (i64)__ldcg(board + threadIdx.x * SLOT + 1);
        }
        best_of_block(&best, &at, sizes, rows);
        const i64 pivot_row = at;
        const i64 winner = (pivot_row - start) % step / blockDim.x;  // the block whose row it is
        for (i64 c = threadIdx.x; c < columns; c += blockDim.x) {
            chosen[c] = __ldcg(board + winner * SLOT + 2 + c);
            top[c] = __ldcg(board + blocks * SLOT + c);
        }
        if (threadIdx.x == 0) taken[j - start] = pivot_row;
        __syncthreads();

        const double pivot = chosen[j - start];
        const bool is_large = pivot >= 2.2250738585072014e-308 || pivot <= -2.2250738585072014e-308;
        const double factor = is_large ? 1.0 / pivot : 0.0;
        if (mine == start) {
            pivots[j] = (double)(row0 + pivot_row);
            if (j == 0) *singular = 0.0;
            if (pivot == 0.0) *singular = 1.0;
        }
        best = -1.0;
        at = -1;
        for (i64 r = mine; r < last; r += step) {
            if (r < j) continue;
            if (r == j) {
                for (i64 c = 0; c < columns; ++c) w[r + (start + c) * ld] = chosen[c];
                continue;
            }
            const bool exchanged = r == pivot_row;
            if (exchanged)
                for (i64 c = start; c < j; ++c) w[r + c * ld] = top[c - start];
            double l = exchanged ? top[j - start] : w[r + j * ld];
            if (pivot != 0.0) l = is_large ? l * factor : l / pivot;
            w[r + j * ld] = l;
#pragma unroll 1
            for (i64 c = j + 1; c < stop; c += AT_ONCE) {  // so many loads under way together
                double* column = w + r + c * ld;
                const int count = stop - c < AT_ONCE ? (int)(stop - c) : AT_ONCE;
                double x[AT_ONCE];
#pragma unroll
                for (int q = 0; q < AT_ONCE; ++q)
                    if (q < count) x[q] = exchanged ? top[c + q - start] : column[q * ld];
#pragma unroll
                for (int q = 0; q < AT_ONCE; ++q)
                    if (q < count) {
                        x[q] -= l * chosen[c + q - start];
                        column[q * ld] = x[q];
                    }
                if (c == j + 1) {
                    const double size = magnitude(x[0]);
                    if (size > best) { best = size; at = r; }
                }
            }
        }
        __syncthreads();  // chosen, top and sizes are written again
    }
    for (i64 c = mine - start; c < width; c += step) {
        if (c >= start && c < stop) continue;
        double* column = w + c * ld;
        for (i64 j = start; j < stop; ++j) {
            const i64 other = taken[j - start];
            if (other != j) {
                const double held = column[j];
                column[j] = column[other];
                column[other] = held;
            }
        }
    }
}
