// Rows of a column-major FP64 matrix: pack, unpack, and interchange. All indices are 64 bits wide: a matrix of n = 46341 already has more
// than 2^31 entries.

typedef long long i64;

// packed(r, j) = a(rows[r], j) for r < count, j < cols; packed is column-major with leading dimension ldp.
extern "C" __global__ void rows_gather(const double* a, i64 lda, const i64* rows, i64 count, i64 cols, double* packed, i64 ldp) {
    for (i64 j = blockIdx.y; j < cols; j += gridDim.y)
        for (i64 r = (i64)blockIdx.x * blockDim.x + threadIdx.x; r < count; r += (i64)gridDim.x * blockDim.x)
            packed[r + j * ldp] = a[rows[r] + j * lda];
}

// a(rows[r], j) = packed(r, j); the rows must differ from each other.
extern "C" __global__ void rows_scatter(double* a, i64 lda, const i64* rows, i64 count, i64 cols, const double* packed, i64 ldp) {
    for (i64 j = blockIdx.y; j < cols; j += gridDim.y)
        for (i64 r = (i64)blockIdx.x * blockDim.x + threadIdx.x; r < count; r += (i64)gridDim.x * blockDim.x)
            a[rows[r] + j * lda] = packed[r + j * ldp];
}

// Interchange row k + i with row k + pivots[i] - 1 for i = 0 .. count-1, in that order: what LAPACK's dlaswp does, with the 1-based pivots
// relative to row k that cuSOLVER's getrf gives. One thread a column.
extern "C" __global__ void rows_swap(double* a, i64 lda, i64 cols, const int* pivots, i64 k, i64 count) {
    const i64 step = (i64)gridDim.x * blockDim.x;
    for (i64 j = (i64)blockIdx.x * blockDim.x + threadIdx.x; j < cols; j += step) {
        double* column = a + j * lda + k;
        for (i64 i = 0; i < count; ++i) {
            const i64 p = (i64)pivots[i] - 1;
            if (p != i) {
                const double held = column[i];
                column[i] = column[p];
                column[p] = held;
            }
        }
    }
}
