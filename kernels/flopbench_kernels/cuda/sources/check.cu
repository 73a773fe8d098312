// What the check of a product asks of a matrix that stays on the GPU: weighted sums of its rows, and single elements. No barriers, no
// atomics: each thread adds up a lane, every LANES-th row of one column, and a second kernel adds the lanes in order.
//
// Element (i, j) lies at a[i * step_i + j * step_j]. Consecutive threads run along whichever index is contiguous in memory.

typedef unsigned long long u64;
typedef long long i64;
#define LANES 32
#define GROUPS 4

union FloatBits { unsigned bits; float value; };

__device__ __forceinline__ double wide_bfloat16(unsigned short b) {
    FloatBits f;
    f.bits = (unsigned)b << 16;
    return (double)f.value;
}

__device__ __forceinline__ double wide_float16(unsigned short h) {  // exactly; subnormal numbers, infinities and NaN included
    const unsigned sign = (unsigned)(h & 0x8000U) << 16, exponent = h >> 10 & 0x1FU, rest = h & 0x3FFU;
    FloatBits f;
    if (exponent == 0U) {
        f.value = (float)(int)rest * 5.9604644775390625e-08f;  // 2^-24
        f.bits |= sign;
    } else {
        f.bits = sign | (exponent == 31U ? 255U : exponent + 112U) << 23 | rest << 13;
    }
    return (double)f.value;
}

__device__ __forceinline__ double wide_e4m3(unsigned char e) {  // exactly; subnormal numbers and NaN included
    const unsigned sign = (unsigned)(e & 0x80U) << 24, exponent = e >> 3 & 0xFU, rest = e & 7U;
    FloatBits f;
    if ((e & 0x7FU) == 0x7FU) {
        f.bits = sign | 0x7FC00000U;
    } else if (exponent == 0U) {
        f.value = (float)(int)rest * 0.001953125f;  // 2^-9
        f.bits |= sign;
    } else {
        f.bits = sign | (exponent + 120U) << 23 | rest << 20;
    }
    return (double)f.value;
}

#define FOR_EACH_LANE                                                                                                \
    const bool down = step_i <= step_j;                                                                              \
    for (i64 t = (i64)blockIdx.x * blockDim.x + threadIdx.x; t < LANES * cols; t += (i64)gridDim.x * blockDim.x)
#define LANE (down ? t % LANES : t / cols)
#define COLUMN (down ? t / LANES : t % cols)

// partial(lane, j, g) = sum over the lane's rows of x(i, g) a(i, j), or x(i, g) a(i, j)^2; x is rows x GROUPS, column-major.
#define WEIGH(NAME, TYPE, WIDE)                                                                                      \
    extern "C" __global__ void NAME(const TYPE* a, i64 step_i, i64 step_j, i64 rows, i64 cols, const double* x,      \
                                    i64 squared, double* partial) {                                                  \
        FOR_EACH_LANE {                                                                                              \
            const i64 lane = LANE, j = COLUMN;                                                                       \
            double sum[GROUPS] = {0.0, 0.0, 0.0, 0.0};                                                               \
            for (i64 i = lane; i < rows; i += LANES) {                                                               \
                double value = WIDE(a[i * step_i + j * step_j]);                                                     \
                if (squared) value *= value;                                                                         \
                for (int g = 0; g < GROUPS; ++g) sum[g] += x[i + g * rows] * value;                                  \
            }                                                                                                        \
            for (int g = 0; g < GROUPS; ++g) partial[lane + LANES * (j + g * cols)] = sum[g];                        \
        }                                                                                                            \
    }

WEIGH(weigh_float64, double, (double))
WEIGH(weigh_float32, float, (double))
WEIGH(weigh_float16, unsigned short, wide_float16)
WEIGH(weigh_bfloat16, unsigned short, wide_bfloat16)
WEIGH(weigh_e4m3, unsigned char, wide_e4m3)

// The same for one group of integers, modulo 2^64: exact.
#define COUNT(NAME, TYPE)                                                                                            \
    extern "C" __global__ void NAME(const TYPE* a, i64 step_i, i64 step_j, i64 rows, i64 cols, const u64* x,         \
                                    u64* partial) {                                                                  \
        FOR_EACH_LANE {                                                                                              \
            const i64 lane = LANE, j = COLUMN;                                                                       \
            u64 sum = 0;                                                                                             \
            for (i64 i = lane; i < rows; i += LANES) sum += x[i] * (u64)(i64)a[i * step_i + j * step_j];             \
            partial[lane + LANES * j] = sum;                                                                         \
        }                                                                                                            \
    }

COUNT(count_int8, signed char)
COUNT(count_int32, int)

// result(s) = the lanes of sum s, added in order.
#define ADD_LANES(NAME, TYPE)                                                                                        \
    extern "C" __global__ void NAME(const TYPE* partial, i64 sums, TYPE* result) {                                   \
        for (i64 s = (i64)blockIdx.x * blockDim.x + threadIdx.x; s < sums; s += (i64)gridDim.x * blockDim.x) {       \
            TYPE sum = 0;                                                                                            \
            for (int lane = 0; lane < LANES; ++lane) sum += partial[lane + LANES * s];                               \
            result[s] = sum;                                                                                         \
        }                                                                                                            \
    }

ADD_LANES(add_lanes_float64, double)
ADD_LANES(add_lanes_uint64, u64)

__device__ __forceinline__ void two_sum(double a, double b, double& sum, double& error) {  // Knuth
    sum = a + b;
    const double part = sum - a;
    error = (a - (sum - part)) + (b - part);
}

// One group in twofold FP64, about 106 bits: x_hi + x_lo times a as pairs in partial_hi + partial_lo. Dot2 of Ogita, Rump and Oishi (SIAM
// J. Sci. Comput. 26(6), 2005), products split after Dekker (1971): compiled without fused multiply-add, as are all our kernels.
extern "C" __global__ void twofold_float64(const double* a, i64 step_i, i64 step_j, i64 rows, i64 cols, const double* x_hi,
                                           const double* x_lo, double* partial_hi, double* partial_lo) {
    const double factor = 134217729.0;  // 2^27 + 1
    FOR_EACH_LANE {
        const i64 lane = LANE, j = COLUMN;
        double hi = 0.0, lo = 0.0;
        for (i64 i = lane; i < rows; i += LANES) {
            const double w = x_hi[i], b = a[i * step_i + j * step_j];
            const double w_big = factor * w, b_big = factor * b;
            const double w_top = w_big - (w_big - w), b_top = b_big - (b_big - b);
            const double w_low = w - w_top, b_low = b - b_top;
            const double product = w * b;
            const double product_error = ((w_top * b_top - product) + w_top * b_low + w_low * b_top) + w_low * b_low;
            double sum_error;
            two_sum(hi, product, hi, sum_error);
            lo += sum_error + (product_error + x_lo[i] * b);
        }
        partial_hi[lane + LANES * j] = hi;
        partial_lo[lane + LANES * j] = lo;
    }
}

extern "C" __global__ void add_lanes_twofold(const double* partial_hi, const double* partial_lo, i64 sums, double* result_hi,
                                             double* result_lo) {
    for (i64 s = (i64)blockIdx.x * blockDim.x + threadIdx.x; s < sums; s += (i64)gridDim.x * blockDim.x) {
        double hi = 0.0, lo = 0.0, error;
        for (int lane = 0; lane < LANES; ++lane) {
            two_sum(hi, partial_hi[lane + LANES * s], hi, error);
            lo += error + partial_lo[lane + LANES * s];
        }
        result_hi[s] = hi;
        result_lo[s] = lo;
    }
}

// picked(s) = a(rows[s], cols[s]), for elements of 1, 2, 4 and 8 bytes.
#define PICK(NAME, TYPE)                                                                                             \
    extern "C" __global__ void NAME(const TYPE* a, i64 step_i, i64 step_j, i64 rows, i64 cols, const i64* row,       \
                                    const i64* col, i64 count, TYPE* picked) {                                       \
        for (i64 s = (i64)blockIdx.x * blockDim.x + threadIdx.x; s < count; s += (i64)gridDim.x * blockDim.x)        \
            picked[s] = a[row[s] * step_i + col[s] * step_j];                                                        \
    }

PICK(pick_1, signed char)
PICK(pick_2, unsigned short)
PICK(pick_4, int)
PICK(pick_8, i64)
