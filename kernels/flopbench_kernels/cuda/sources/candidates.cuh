// Pivot candidates of a panel: a magnitude and a row, -1 where there is none. Of equal magnitudes the upper row wins, as in LAPACK; NaN
// counts as 0.

typedef long long i64;

#define MOST_THREADS 1024

__device__ double magnitude(double x) { return x < 0.0 ? -x : (x >= 0.0 ? x : 0.0); }

// The best of the candidates that the threads of a block, 32 or more, give: to all of them. `sizes` and `rows`: shared memory for a number of
// each thread, not to be written again before the next barrier.
__device__ void best_of_block(double* best, i64* at, double* sizes, i64* rows) {
    sizes[threadIdx.x] = *best;
    rows[threadIdx.x] = *at;
    __syncthreads();
    if (threadIdx.x < 32) {
        for (unsigned t = threadIdx.x + 32; t < blockDim.x; t += 32)
            if (sizes[t] > *best || (sizes[t] == *best && rows[t] < *at)) { *best = sizes[t]; *at = rows[t]; }
        sizes[threadIdx.x] = *best;
        rows[threadIdx.x] = *at;
    }
    __syncthreads();
    *best = sizes[0];
    *at = rows[0];
    for (unsigned t = 1; t < 32; ++t)
        if (sizes[t] > *best || (sizes[t] == *best && rows[t] < *at)) { *best = sizes[t]; *at = rows[t]; }
}
