// The matrix [A | b] of HPL 2.3, generated where it is used: bit-identical to the host's generator on any grid.
//
// One stream of random numbers runs down the columns: entry (i, j) of an n-row matrix is h(X_e), e = 1 + i + j n,
//     X_e = A^e X_0 + (A^(e-1) + ... + A + 1)  mod 2^64,   A = 6364136223846793005,  X_0 = seed
//     h(X) = 0.5 - X 2^-64,  X rounded to double first                                    (HPL 2.3, HPL_rand.c)
// A thread jumps to its first row in at most 64 squarings and from there by a fixed stride: no table, no memory.

typedef unsigned long long u64;
typedef long long i64;

struct Affine { u64 mul, add; };  // x -> mul x + add

__device__ __forceinline__ Affine hpl_jump(u64 steps) {
    Affine total = {1ULL, 0ULL};
    Affine power = {6364136223846793005ULL, 1ULL};
    for (; steps; steps >>= 1) {
        if (steps & 1ULL) {
            total.add = power.mul * total.add + power.add;
            total.mul = power.mul * total.mul;
        }
        power.add = power.mul * power.add + power.add;
        power.mul = power.mul * power.mul;
    }
    return total;
}

// Local rows [0, rows) x columns [0, cols) of `a` (column-major, leading dimension lda) from the global block whose upper left
// entry is (row0, col0). Grid: x over rows, y over columns; stride_mul, stride_add jump by gridDim.x * blockDim.x rows.
extern "C" __global__ void hpl_fill(double* a, i64 lda, i64 rows, i64 cols, i64 row0, i64 col0, i64 n, u64 seed,
                                    u64 stride_mul, u64 stride_add) {
    const i64 first = (i64)blockIdx.x * blockDim.x + threadIdx.x;
    const i64 stride = (i64)gridDim.x * blockDim.x;
    for (i64 j = blockIdx.y; j < cols; j += gridDim.y) {
        if (first >= rows) continue;
        const Affine at = hpl_jump(1ULL + (u64)(row0 + first) + (u64)(col0 + j) * (u64)n);
        u64 x = at.mul * seed + at.add;
        double* column = a + j * lda;
        for (i64 i = first; i < rows; i += stride) {
            column[i] = 0.5 - (double)x * 5.42101086242752217e-20;  // 2^-64, so the product is exact
            x = stride_mul * x + stride_add;
        }
    }
}
