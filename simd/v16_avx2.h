/* v16 as two AVX2 registers (with FMA3). Meaning: v16_portable.h. */
#ifndef YK_SIMD_V16_H
#define YK_SIMD_V16_H

#include <immintrin.h>
#include <stdint.h>

typedef struct v16 {
    __m256 low, high;
} v16;

static inline v16 v16_set1(float x) { return (v16){_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
static inline v16 v16_load(const float *p) { return (v16){_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
static inline void v16_store(float *p, v16 a)
{
    _mm256_storeu_ps(p, a.low);
    _mm256_storeu_ps(p + 8, a.high);
}
static inline __m256i v16_mask(int n)
{
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), lane);
}
static inline v16 v16_load_part(const float *p, int n, float fill)
{
    const __m256i low = v16_mask(n), high = v16_mask(n - 8);
    const __m256 rest = _mm256_set1_ps(fill);
    return (v16){_mm256_blendv_ps(rest, _mm256_maskload_ps(p, low), _mm256_castsi256_ps(low)),
                 _mm256_blendv_ps(rest, _mm256_maskload_ps(p + 8, high), _mm256_castsi256_ps(high))};
}
static inline void v16_store_part(float *p, int n, v16 a)
{
    _mm256_maskstore_ps(p, v16_mask(n), a.low);
    _mm256_maskstore_ps(p + 8, v16_mask(n - 8), a.high);
}
static inline v16 v16_add(v16 a, v16 b)
{
    return (v16){_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)};
}
static inline v16 v16_sub(v16 a, v16 b)
{
    return (v16){_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high)};
}
static inline v16 v16_mul(v16 a, v16 b)
{
    return (v16){_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)};
}
static inline v16 v16_div(v16 a, v16 b)
{
    return (v16){_mm256_div_ps(a.low, b.low), _mm256_div_ps(a.high, b.high)};
}
static inline v16 v16_sqrt(v16 a) { return (v16){_mm256_sqrt_ps(a.low), _mm256_sqrt_ps(a.high)}; }
static inline v16 v16_fma(v16 a, v16 b, v16 c)
{
    return (v16){_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
}
static inline v16 v16_fnma(v16 a, v16 b, v16 c)
{
    return (v16){_mm256_fnmadd_ps(a.low, b.low, c.low), _mm256_fnmadd_ps(a.high, b.high, c.high)};
}
static inline v16 v16_max(v16 a, v16 b)
{
    return (v16){_mm256_max_ps(a.low, b.low), _mm256_max_ps(a.high, b.high)};
}
static inline v16 v16_min(v16 a, v16 b)
{
    return (v16){_mm256_min_ps(a.low, b.low), _mm256_min_ps(a.high, b.high)};
}
static inline v16 v16_select_less(v16 a, v16 b, v16 x, v16 y)
{
    return (v16){_mm256_blendv_ps(y.low, x.low, _mm256_cmp_ps(a.low, b.low, _CMP_LT_OQ)),
                 _mm256_blendv_ps(y.high, x.high, _mm256_cmp_ps(a.high, b.high, _CMP_LT_OQ))};
}
static inline v16 v16_round(v16 a)
{
    return (v16){_mm256_round_ps(a.low, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC),
                 _mm256_round_ps(a.high, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
static inline __m256 v16_exp2_half(__m256 n)
{
    __m256i biased = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
    return _mm256_castsi256_ps(_mm256_slli_epi32(biased, 23));
}
static inline v16 v16_exp2_integer(v16 n) { return (v16){v16_exp2_half(n.low), v16_exp2_half(n.high)}; }
static inline __m256 v16_split_half(__m256 a, __m256 *exponent)
{
    const __m256i root = _mm256_set1_epi32(0x3f3504f3), above = _mm256_sub_epi32(_mm256_castps_si256(a), root);
    *exponent = _mm256_cvtepi32_ps(_mm256_srai_epi32(above, 23));
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_and_si256(above, _mm256_set1_epi32(0x7fffff)), root));
}
static inline v16 v16_split(v16 a, v16 *exponent)
{
    return (v16){v16_split_half(a.low, &exponent->low), v16_split_half(a.high, &exponent->high)};
}
static inline void v16_transpose8(__m256 r[8])
{
    __m256 t[8];
#pragma GCC unroll 8
    for (int i = 0; i < 8; i += 2) {
        t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
#pragma GCC unroll 8
    for (int i = 0; i < 8; i += 4)
#pragma GCC unroll 2
        for (int j = 0; j < 2; j++) {
            r[i + 2 * j] = _mm256_shuffle_ps(t[i + j], t[i + j + 2], 0x44);
            r[i + 2 * j + 1] = _mm256_shuffle_ps(t[i + j], t[i + j + 2], 0xee);
        }
#pragma GCC unroll 4
    for (int c = 0; c < 4; c++) {
        t[c] = _mm256_permute2f128_ps(r[c], r[4 + c], 0x20);
        t[4 + c] = _mm256_permute2f128_ps(r[c], r[4 + c], 0x31);
    }
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) r[i] = t[i];
}
static inline void v16_transpose(v16 r[16])
{
    __m256 quarter[4][8];
    for (int i = 0; i < 8; i++) {
        quarter[0][i] = r[i].low;
        quarter[1][i] = r[i].high;
        quarter[2][i] = r[i + 8].low;
        quarter[3][i] = r[i + 8].high;
    }
    for (int q = 0; q < 4; q++) v16_transpose8(quarter[q]);
    for (int i = 0; i < 8; i++) {
        r[i] = (v16){quarter[0][i], quarter[2][i]};
        r[i + 8] = (v16){quarter[1][i], quarter[3][i]};
    }
}
static inline __m256 v16_to_bf16_half(__m256 a)
{
    const __m256i bits = _mm256_castps_si256(a), size = _mm256_and_si256(bits, _mm256_set1_epi32(0x7fffffff));
    __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    __m256i r = _mm256_add_epi32(_mm256_add_epi32(bits, odd), _mm256_set1_epi32(0x7fff));
    r = _mm256_and_si256(r, _mm256_set1_epi32((int)0xffff0000));
    r = _mm256_andnot_si256(_mm256_cmpgt_epi32(_mm256_set1_epi32((127 - 56) << 23), size), r);
    __m256i nan = _mm256_cmpgt_epi32(size, _mm256_set1_epi32(0x7f800000));
    return _mm256_castsi256_ps(_mm256_blendv_epi8(r, _mm256_set1_epi32(0x7fc00000), nan));
}
static inline v16 v16_to_bf16(v16 a) { return (v16){v16_to_bf16_half(a.low), v16_to_bf16_half(a.high)}; }
static inline v16 v16_to_fp16(v16 a)
{
    enum { NEAREST = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC };
    return (v16){_mm256_cvtph_ps(_mm256_cvtps_ph(a.low, NEAREST)), _mm256_cvtph_ps(_mm256_cvtps_ph(a.high, NEAREST))};
}
static inline v16 v16_load_bf16(const uint16_t *p)
{
    __m256i low = _mm256_cvtepu16_epi32(_mm_loadu_si128((const void *)p));
    __m256i high = _mm256_cvtepu16_epi32(_mm_loadu_si128((const void *)(p + 8)));
    return (v16){_mm256_castsi256_ps(_mm256_slli_epi32(low, 16)), _mm256_castsi256_ps(_mm256_slli_epi32(high, 16))};
}
static inline void v16_store_bf16(uint16_t *p, v16 a)
{
    a = v16_to_bf16(a);
    __m256i low = _mm256_srli_epi32(_mm256_castps_si256(a.low), 16);
    __m256i high = _mm256_srli_epi32(_mm256_castps_si256(a.high), 16);
    _mm256_storeu_si256((void *)p, _mm256_permute4x64_epi64(_mm256_packus_epi32(low, high), 0xd8));
}
static inline v16 v16_load_fp16(const uint16_t *p)
{
    return (v16){_mm256_cvtph_ps(_mm_loadu_si128((const void *)p)),
                 _mm256_cvtph_ps(_mm_loadu_si128((const void *)(p + 8)))};
}
static inline void v16_store_fp16(uint16_t *p, v16 a)
{
    enum { NEAREST = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC };
    _mm_storeu_si128((void *)p, _mm256_cvtps_ph(a.low, NEAREST));
    _mm_storeu_si128((void *)(p + 8), _mm256_cvtps_ph(a.high, NEAREST));
}
static inline float v16_sum(v16 a)
{
    __m256 s8 = _mm256_add_ps(a.low, a.high);
    __m128 s4 = _mm_add_ps(_mm256_castps256_ps128(s8), _mm256_extractf128_ps(s8, 1));
    __m128 s2 = _mm_add_ps(s4, _mm_movehl_ps(s4, s4));
    return _mm_cvtss_f32(_mm_add_ss(s2, _mm_shuffle_ps(s2, s2, 1)));
}
static inline float v16_highest(v16 a)
{
    __m256 s8 = _mm256_max_ps(a.low, a.high);
    __m128 s4 = _mm_max_ps(_mm256_castps256_ps128(s8), _mm256_extractf128_ps(s8, 1));
    __m128 s2 = _mm_max_ps(s4, _mm_movehl_ps(s4, s4));
    return _mm_cvtss_f32(_mm_max_ss(s2, _mm_shuffle_ps(s2, s2, 1)));
}

#endif
