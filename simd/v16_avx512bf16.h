/* The AVX-512 vector, and products of pairs of bf16. Each of the 16 lanes then holds two terms of k. */
#ifndef YK_SIMD_V16_BF16_H
#define YK_SIMD_V16_BF16_H

#include "simd/v16_avx512.h"

#define V16_PAIRS 1

static inline v16 v16_not_tiny(v16 a)
{
    const __m512i size = _mm512_and_si512(_mm512_castps_si512(a), _mm512_set1_epi32(0x7fffffff));
    return _mm512_maskz_mov_ps(_mm512_cmpge_epi32_mask(size, _mm512_set1_epi32((127 - 56) << 23)), a);
}

/* 32 consecutive terms to bf16 (as v16_to_bf16): lane i holds terms 2 i (low half) and 2 i + 1. */
static inline v16 v16_pairs(v16 first, v16 second)
{
    return _mm512_castsi512_ps((__m512i)_mm512_cvtne2ps_pbh(v16_not_tiny(second), v16_not_tiny(first)));
}

/* Of two rows of 16 stored bf16: lane i holds even[i] (low half) and odd[i]. */
static inline v16 v16_pairs_of(const uint16_t *even, const uint16_t *odd)
{
    const __m512i low = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const void *)even));
    const __m512i high = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const void *)odd));
    return _mm512_castsi512_ps(_mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
}

/* Lane i holds the terms even[i] (low half) and odd[i]. */
static inline v16 v16_interleave(v16 even, v16 odd)
{
    const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6,
                                           21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    return _mm512_castsi512_ps(_mm512_permutexvar_epi16(order, _mm512_castps_si512(v16_pairs(even, odd))));
}

/* sum + odd product, rounded, + even product, rounded. */
static inline v16 v16_pair_fma(v16 a, v16 b, v16 sum)
{
    return _mm512_dpbf16_ps(sum, (__m512bh)_mm512_castps_si512(a), (__m512bh)_mm512_castps_si512(b));
}

#endif
