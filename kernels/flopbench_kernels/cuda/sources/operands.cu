// Random operands of a matrix product, from a counter: entry e of an operand depends on (seed, e) and on nothing else.
//
// The counter is mixed by SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA 2014). Floating-point
// entries are uniform in [-0.5, 0.5) and fill the whole significand of their type, as zeros and short numbers would flatter a power-limited
// chip; 8-bit integers are uniform in [-127, 127]. Narrow floats are cut from the float's bits, so that no rounding mode matters.

typedef unsigned long long u64;
typedef long long i64;

__device__ __forceinline__ u64 mixed(u64 seed, u64 counter) {
    u64 z = seed + (counter + 1ULL) * 0x9E3779B97F4A7C15ULL;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
}

union FloatBits { float value; unsigned bits; };

__device__ __forceinline__ float uniform_float(u64 z) {
    return (float)(int)((unsigned)(z >> 40) - 0x800000U) * 5.9604644775390625e-08f;  // 24 bits, 2^-24: exact
}

__device__ __forceinline__ unsigned short half_bits(float value) {  // truncated; below the least normal half: zero
    FloatBits f;
    f.value = value;
    const unsigned exponent = (f.bits >> 23) & 0xFFU;
    if (exponent < 113U) return 0;
    return (unsigned short)((f.bits >> 16 & 0x8000U) | ((exponent - 112U) << 10) | (f.bits >> 13 & 0x3FFU));
}

#define FILL(NAME, TYPE, ENTRY)                                                                                      \
    extern "C" __global__ void NAME(TYPE* a, i64 lda, i64 rows, i64 cols, u64 seed) {                                \
        for (i64 j = blockIdx.y; j < cols; j += gridDim.y)                                                           \
            for (i64 i = (i64)blockIdx.x * blockDim.x + threadIdx.x; i < rows; i += (i64)gridDim.x * blockDim.x) {   \
                const u64 z = mixed(seed, (u64)(i + j * rows));                                                      \
                a[i + j * lda] = (ENTRY);                                                                            \
            }                                                                                                        \
    }

FILL(fill_float64, double, (double)((i64)(z >> 11) - 0x10000000000000LL) * 1.1102230246251565e-16)
FILL(fill_float32, float, uniform_float(z))
FILL(fill_float16, unsigned short, half_bits(uniform_float(z)))
FILL(fill_int8, signed char, (signed char)((int)((z >> 32) * 255ULL >> 32) - 127))
FILL(fill_int32, int, (int)((z >> 32) * 2001ULL >> 32) - 1000)

__device__ __forceinline__ unsigned short bfloat_bits(float value) {
    FloatBits f;
    f.value = value;
    return (unsigned short)(f.bits >> 16);
}
FILL(fill_bfloat16, unsigned short, bfloat_bits(uniform_float(z)))

__device__ __forceinline__ unsigned char e4m3_bits(float value) {  // truncated; for sizes below 448
    FloatBits f;
    f.value = value;
    const unsigned sign = f.bits >> 24 & 0x80U, exponent = f.bits >> 23 & 0xFFU;
    if (exponent >= 121U) return (unsigned char)(sign | (exponent - 120U) << 3 | (f.bits >> 20 & 7U));
    f.bits &= 0x7FFFFFFFU;
    return (unsigned char)(sign | (unsigned)(int)(f.value * 512.0f));  // subnormal, in steps of 2^-9
}
FILL(fill_e4m3, unsigned char, e4m3_bits(uniform_float(z)))
