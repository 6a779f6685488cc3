/* The NEON vector, and products of pairs of bf16 (FEAT_BF16). Each of the 16 lanes then holds two terms of k. */
#ifndef YK_SIMD_V16_NEONBF16_H
#define YK_SIMD_V16_NEONBF16_H

#include "simd/v16_neon.h"

#define V16_PAIRS 1

/* Eight consecutive terms to bf16, as v16_to_bf16. Infinities and NaN are not less than 2^-56 and stay. */
static inline bfloat16x8_t v16_narrow_quarter(float32x4_t first, float32x4_t second)
{
    const float32x4_t least = vdupq_n_f32(0x1p-56f);
    const uint32x4_t low = vbicq_u32(vreinterpretq_u32_f32(first), vcaltq_f32(first, least));
    const uint32x4_t high = vbicq_u32(vreinterpretq_u32_f32(second), vcaltq_f32(second, least));
    return vcvtq_high_bf16_f32(vcvtq_low_bf16_f32(vreinterpretq_f32_u32(low)), vreinterpretq_f32_u32(high));
}

/* 32 consecutive terms to bf16 (as v16_to_bf16): lane i holds terms 2 i (low half) and 2 i + 1. */
static inline v16 v16_pairs(v16 first, v16 second)
{
    return (v16){{vreinterpretq_f32_bf16(v16_narrow_quarter(first.q[0], first.q[1])),
                  vreinterpretq_f32_bf16(v16_narrow_quarter(first.q[2], first.q[3])),
                  vreinterpretq_f32_bf16(v16_narrow_quarter(second.q[0], second.q[1])),
                  vreinterpretq_f32_bf16(v16_narrow_quarter(second.q[2], second.q[3]))}};
}

/* Lane i holds term i of even[0..1] (low half) and of odd[0..1], eight terms each. */
static inline v16 v16_zip(uint16x8_t even0, uint16x8_t even1, uint16x8_t odd0, uint16x8_t odd1)
{
    return (v16){{vreinterpretq_f32_u16(vzip1q_u16(even0, odd0)), vreinterpretq_f32_u16(vzip2q_u16(even0, odd0)),
                  vreinterpretq_f32_u16(vzip1q_u16(even1, odd1)), vreinterpretq_f32_u16(vzip2q_u16(even1, odd1))}};
}

/* Of two rows of 16 stored bf16: lane i holds even[i] (low half) and odd[i]. */
static inline v16 v16_pairs_of(const uint16_t *even, const uint16_t *odd)
{
    return v16_zip(vld1q_u16(even), vld1q_u16(even + 8), vld1q_u16(odd), vld1q_u16(odd + 8));
}

/* Lane i holds the terms even[i] (low half) and odd[i]. */
static inline v16 v16_interleave(v16 even, v16 odd)
{
    const v16 p = v16_pairs(even, odd);
    return v16_zip(vreinterpretq_u16_f32(p.q[0]), vreinterpretq_u16_f32(p.q[1]), vreinterpretq_u16_f32(p.q[2]),
                   vreinterpretq_u16_f32(p.q[3]));
}

static inline float32x4_t v16_pair_fma_quarter(float32x4_t a, float32x4_t b, float32x4_t sum)
{
    const bfloat16x8_t x = vreinterpretq_bf16_f32(a), y = vreinterpretq_bf16_f32(b);
    return vbfmlalbq_f32(vbfmlaltq_f32(sum, x, y), x, y);
}

/* sum + odd product, rounded, + even product, rounded. */
static inline v16 v16_pair_fma(v16 a, v16 b, v16 sum)
{
    return (v16){{v16_pair_fma_quarter(a.q[0], b.q[0], sum.q[0]), v16_pair_fma_quarter(a.q[1], b.q[1], sum.q[1]),
                  v16_pair_fma_quarter(a.q[2], b.q[2], sum.q[2]), v16_pair_fma_quarter(a.q[3], b.q[3], sum.q[3])}};
}

#endif
