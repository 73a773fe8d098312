// One panel of the LU, column by column: the search for a pivot, its row, and the elimination. All indices are 64 bits wide.
//
// The panel w is column-major: its top `width` rows are the top block, which every rank of the process column has; rows from `width` on are
// this rank's rows below. A pivot candidate is two numbers, its magnitude and its row in w; each block that searches leaves its best one in
// `found` (2 x parts): parts magnitudes, then parts rows. Kernels that choose among the candidates are launched as one block.
//
// message: [magnitude, global row, has the top block, unused, the candidate's row (width), row j of the top block (width)]
// mine:    [global row and row in w of this rank's candidate, whether a pivot was zero]

#include "candidates.cuh"

#define AT_ONCE 4

// found[b] = the best of this block's rows of a column: of first + t, first + t + threads, ... of its threads t.
extern "C" __global__ void panel_search(const double* w, i64 ld, i64 column, i64 first, i64 last, double* found, i64 parts) {
    __shared__ double sizes[MOST_THREADS];
    __shared__ i64 rows[MOST_THREADS];
    double best = -1.0;
    i64 at = -1;
    for (i64 r = first + (i64)blockIdx.x * blockDim.x + threadIdx.x; r < last; r += (i64)gridDim.x * blockDim.x) {
        const double size = magnitude(w[r + column * ld]);
        if (size > best) { best = size; at = r; }
    }
    best_of_block(&best, &at, sizes, rows);
    if (threadIdx.x == 0) {
        found[blockIdx.x] = best;
        found[parts + blockIdx.x] = (double)at;
    }
}

// The best of `parts` candidates, to all threads of the only block.
__device__ void choose(const double* found, i64 parts, double* sizes, i64* rows, double* best, i64* at) {
    for (i64 i = threadIdx.x; i < parts; i += blockDim.x) {
        const double size = found[i];
        const i64 row = (i64)found[parts + i];
        if (size > *best || (size == *best && row < *at)) { *best = size; *at = row; }
    }
    best_of_block(best, at, sizes, rows);
}

// The global row of row `candidate` of w; beyond every row where there is no candidate.
__device__ double global_row(i64 candidate, i64 width, i64 row0, i64 nb, i64 my_row, i64 grid_rows, i64 below0) {
    double row = 9007199254740992.0;
    if (candidate >= width) {
        const i64 local = below0 + candidate - width;
        row = (double)((local / nb * grid_rows + my_row) * nb + local % nb);
    } else if (candidate >= 0) {
        row = (double)(row0 + candidate);
    }
    return row;
}

// Puts this rank's candidate for pivot j, and row j of the top block if it is here, into the message. One block.
extern "C" __global__ void panel_pack(const double* w, i64 ld, i64 width, i64 j, i64 has_top, i64 row0, i64 nb, i64 my_row, i64 grid_rows,
                                      i64 below0, const double* found, i64 parts, double* message, double* mine) {
    __shared__ double sizes[MOST_THREADS];
    __shared__ i64 rows[MOST_THREADS];
    double best = -1.0;
    i64 candidate = -1;
    choose(found, parts, sizes, rows, &best, &candidate);
    for (i64 c = threadIdx.x; c < width; c += blockDim.x) {
        message[4 + c] = candidate >= 0 ? w[candidate + c * ld] : 0.0;
        message[4 + width + c] = has_top ? w[j + c * ld] : 0.0;
        if (c == 0) {
            const double row = global_row(candidate, width, row0, nb, my_row, grid_rows, below0);
            message[0] = best;
            message[1] = row;
            message[2] = has_top ? 1.0 : 0.0;
            message[3] = 0.0;
            mine[0] = row;
            mine[1] = (double)candidate;
            if (j == 0) mine[2] = 0.0;
        }
    }
}

// Row j of the top block becomes the pivot row; the row that was there goes to where the pivot was, if that is here.
extern "C" __global__ void panel_take(double* w, i64 ld, i64 width, i64 j, const double* message, const double* mine, double* pivots) {
    const i64 candidate = mine[0] == message[1] ? (i64)mine[1] : -1;
    for (i64 c = (i64)blockIdx.x * blockDim.x + threadIdx.x; c < width; c += (i64)gridDim.x * blockDim.x) {
        if (candidate >= 0 && candidate != j) w[candidate + c * ld] = message[4 + width + c];
        w[j + c * ld] = message[4 + c];
        if (c == 0) pivots[j] = message[1];
    }
}

// Rows first .. last-1 of column j become L; columns j+1 .. high-1 lose L times row j; found: candidates in column j + 1, if it is below high.
extern "C" __global__ void __launch_bounds__(MOST_THREADS)
panel_eliminate(double* w, i64 ld, i64 j, i64 high, i64 first, i64 last, double* mine, double* found, i64 parts) {
    __shared__ double sizes[MOST_THREADS];
    __shared__ i64 rows[MOST_THREADS];
    const double pivot = w[j + j * ld];
    const bool is_large = pivot >= 2.2250738585072014e-308 || pivot <= -2.2250738585072014e-308;
    const double factor = is_large ? 1.0 / pivot : 0.0;
    if (blockIdx.x == 0 && threadIdx.x == 0 && pivot == 0.0) mine[2] = 1.0;
    double best = -1.0;
    i64 at = -1;
#pragma unroll 1
    for (i64 r = first + (i64)blockIdx.x * blockDim.x + threadIdx.x; r < last; r += (i64)gridDim.x * blockDim.x) {
        double l = w[r + j * ld];
        if (pivot != 0.0) l = is_large ? l * factor : l / pivot;
        w[r + j * ld] = l;
#pragma unroll 1
        for (i64 c = j + 1; c < high; c += AT_ONCE) {  // so many loads under way together
            double* column = w + c * ld;
            const int count = high - c < AT_ONCE ? (int)(high - c) : AT_ONCE;
            double x[AT_ONCE];
#pragma unroll
            for (int q = 0; q < AT_ONCE; ++q)
                if (q < count) x[q] = column[r + q * ld];
#pragma unroll
            for (int q = 0; q < AT_ONCE; ++q)
                if (q < count) x[q] -= l * column[j + q * ld];
#pragma unroll
            for (int q = 0; q < AT_ONCE; ++q)
                if (q < count) column[r + q * ld] = x[q];
            if (c == j + 1) {
                const double size = magnitude(x[0]);
                if (size > best) { best = size; at = r; }
            }
        }
    }
    best_of_block(&best, &at, sizes, rows);
    if (threadIdx.x == 0) {
        found[blockIdx.x] = best;
        found[parts + blockIdx.x] = (double)at;
    }
}
