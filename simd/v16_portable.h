/* The virtual vector of 16 fp32 lanes in portable C: the definition of every operation's bits.
 * The other v16_*.h offer the same functions; what they may differ in is speed alone. */
#ifndef YK_SIMD_V16_H
#define YK_SIMD_V16_H

#include <math.h>
#include <stdint.h>
#include <string.h>

typedef struct v16 {
    float lane[16];
} v16;

#define YK_V16_MAP(expression)                                                                     \
    v16 r;                                                                                         \
    for (int i = 0; i < 16; i++) r.lane[i] = (expression);                                         \
    return r

static inline v16 v16_set1(float x) { YK_V16_MAP(x); }
static inline v16 v16_load(const float *p) { YK_V16_MAP(p[i]); }
static inline v16 v16_load_part(const float *p, int n, float fill) { YK_V16_MAP(i < n ? p[i] : fill); }
static inline void v16_store(float *p, v16 a) { memcpy(p, a.lane, sizeof a.lane); }
static inline void v16_store_part(float *p, int n, v16 a) { memcpy(p, a.lane, (size_t)n * sizeof *p); }

static inline v16 v16_add(v16 a, v16 b) { YK_V16_MAP(a.lane[i] + b.lane[i]); }
static inline v16 v16_sub(v16 a, v16 b) { YK_V16_MAP(a.lane[i] - b.lane[i]); }
static inline v16 v16_mul(v16 a, v16 b) { YK_V16_MAP(a.lane[i] * b.lane[i]); }
static inline v16 v16_div(v16 a, v16 b) { YK_V16_MAP(a.lane[i] / b.lane[i]); }
static inline v16 v16_sqrt(v16 a) { YK_V16_MAP(sqrtf(a.lane[i])); }
static inline v16 v16_fma(v16 a, v16 b, v16 c) { YK_V16_MAP(fmaf(a.lane[i], b.lane[i], c.lane[i])); }
static inline v16 v16_fnma(v16 a, v16 b, v16 c) { YK_V16_MAP(fmaf(-a.lane[i], b.lane[i], c.lane[i])); }

/* a > b ? a : b and a < b ? a : b: the second operand when equal or unordered. */
static inline v16 v16_max(v16 a, v16 b) { YK_V16_MAP(a.lane[i] > b.lane[i] ? a.lane[i] : b.lane[i]); }
static inline v16 v16_min(v16 a, v16 b) { YK_V16_MAP(a.lane[i] < b.lane[i] ? a.lane[i] : b.lane[i]); }

/* Where a < b: x, elsewhere y. */
static inline v16 v16_select_less(v16 a, v16 b, v16 x, v16 y)
{
    YK_V16_MAP(a.lane[i] < b.lane[i] ? x.lane[i] : y.lane[i]);
}

/* To the nearest integer, ties to even; |a| < 2^22. */
static inline v16 v16_round(v16 a) { YK_V16_MAP(rintf(a.lane[i])); }

static inline float v16_bits_to_float(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline uint32_t v16_float_to_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* 2^n for integral -126 <= n <= 127: the sum with 1.5 x 2^23 has n in its low bits. */
static inline v16 v16_exp2_integer(v16 n)
{
    YK_V16_MAP(v16_bits_to_float((v16_float_to_bits(n.lane[i] + 0x1.8p23f) + 127) << 23));
}

/* a = m 2^exponent with m in [sqrt(1/2), sqrt(2)), for normal a > 0; returns m. */
static inline v16 v16_split(v16 a, v16 *exponent)
{
    const uint32_t root = 0x3f3504f3; /* sqrt(1/2) */
    v16 m;
    for (int i = 0; i < 16; i++) {
        uint32_t above = v16_float_to_bits(a.lane[i]) - root;
        exponent->lane[i] = (float)((int32_t)above >> 23);
        m.lane[i] = v16_bits_to_float((above & 0x7fffff) + root);
    }
    return m;
}

/* Rows become columns: lane j of r[i] and lane i of r[j] change places. */
static inline void v16_transpose(v16 r[16])
{
    for (int i = 0; i < 16; i++)
        for (int j = 0; j < i; j++) {
            float t = r[i].lane[j];
            r[i].lane[j] = r[j].lane[i];
            r[j].lane[i] = t;
        }
}

/* To the nearest bf16, ties to even; |x| < 2^-56 becomes +0 (numerics contract, rule 4). */
static inline v16 v16_to_bf16(v16 a)
{
    v16 r;
    for (int i = 0; i < 16; i++) {
        uint32_t bits;
        memcpy(&bits, &a.lane[i], sizeof bits);
        uint32_t size = bits & 0x7fffffff, rounded = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000;
        if (size < (uint32_t)(127 - 56) << 23) rounded = 0;
        if (size > 0x7f800000) rounded = 0x7fc00000;
        r.lane[i] = v16_bits_to_float(rounded);
    }
    return r;
}

/* To the nearest IEEE half, ties to even, gradual underflow, overflow to infinity. */
static inline v16 v16_to_fp16(v16 a)
{
    v16 r;
    for (int i = 0; i < 16; i++) {
        uint32_t bits;
        memcpy(&bits, &a.lane[i], sizeof bits);
        uint32_t size = bits & 0x7fffffff, rounded = (size + 0xfff + (size >> 13 & 1)) & 0xffffe000;
        float x = v16_bits_to_float(rounded);
        if (size < (uint32_t)(127 - 14) << 23) x = (v16_bits_to_float(size) + 0.5f) - 0.5f;
        if (size <= 0x7f800000 && x > 65504.0f) x = INFINITY;
        if (size > 0x7f800000) x = NAN;
        r.lane[i] = bits >> 31 ? -x : x;
    }
    return r;
}

/* 16 numbers of two bytes: widened exactly; rounded as v16_to_bf16 and v16_to_fp16 do. */
static inline v16 v16_load_bf16(const uint16_t *p) { YK_V16_MAP(v16_bits_to_float((uint32_t)p[i] << 16)); }
static inline void v16_store_bf16(uint16_t *p, v16 a)
{
    a = v16_to_bf16(a);
    for (int i = 0; i < 16; i++) {
        uint32_t bits;
        memcpy(&bits, &a.lane[i], sizeof bits);
        p[i] = (uint16_t)(bits >> 16);
    }
}
static inline v16 v16_load_fp16(const uint16_t *p)
{
    v16 r;
    for (int i = 0; i < 16; i++) {
        uint32_t exponent = p[i] >> 10 & 31, fraction = p[i] & 0x3ff, sign = (uint32_t)(p[i] & 0x8000) << 16;
        float x = exponent == 0 ? (float)fraction * 0x1p-24f
                                : v16_bits_to_float((exponent == 31 ? 0xff : exponent + 112) << 23 | fraction << 13);
        r.lane[i] = sign ? -x : x;
    }
    return r;
}
static inline void v16_store_fp16(uint16_t *p, v16 a)
{
    a = v16_to_fp16(a);
    for (int i = 0; i < 16; i++) {
        uint32_t bits;
        memcpy(&bits, &a.lane[i], sizeof bits);
        uint32_t size = bits & 0x7fffffff, half = (size - (112u << 23)) >> 13;
        if (size < (uint32_t)113 << 23) half = (uint32_t)(v16_bits_to_float(size) * 0x1p24f);
        if (size >= 0x7f800000) half = size > 0x7f800000 ? 0x7e00 : 0x7c00;
        p[i] = (uint16_t)(bits >> 31 << 15 | half);
    }
}

/* The fixed tree of the numerics contract: lanes i and i + 8, then 4, 2, 1 apart. */
static inline float v16_sum(v16 a)
{
    for (int half = 8; half >= 1; half /= 2)
        for (int i = 0; i < half; i++) a.lane[i] = a.lane[i] + a.lane[i + half];
    return a.lane[0];
}

static inline float v16_highest(v16 a)
{
    float m = a.lane[0];
    for (int i = 1; i < 16; i++) m = a.lane[i] > m ? a.lane[i] : m;
    return m;
}

#undef YK_V16_MAP
#endif
