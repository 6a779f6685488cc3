/* v16 as four NEON registers (AArch64). Meaning: v16_portable.h. */
#ifndef YK_SIMD_V16_H
#define YK_SIMD_V16_H

#include <arm_neon.h>
#include <stdint.h>
#include <string.h>

typedef struct v16 {
    float32x4_t q[4];
} v16;

/* f(register i) for the four registers; the index stays a constant, or the compiler keeps v16 in memory. */
#define YK_V16_QUARTERS(f) ((v16){{f(0), f(1), f(2), f(3)}})

static inline v16 v16_set1(float x)
{
    const float32x4_t all = vdupq_n_f32(x);
    return (v16){{all, all, all, all}};
}
static inline v16 v16_load(const float *p)
{
#define YK_V16_LOAD(i) vld1q_f32(p + 4 * (i))
    return YK_V16_QUARTERS(YK_V16_LOAD);
#undef YK_V16_LOAD
}
static inline void v16_store(float *p, v16 a)
{
    vst1q_f32(p, a.q[0]);
    vst1q_f32(p + 4, a.q[1]);
    vst1q_f32(p + 8, a.q[2]);
    vst1q_f32(p + 12, a.q[3]);
}
/* Parts go through memory: only the last step of a row has fewer than 16 lanes. */
static inline v16 v16_load_part(const float *p, int n, float fill)
{
    float lane[16];
    if (n >= 16) return v16_load(p);
    for (int i = 0; i < 16; i++) lane[i] = fill;
    for (int i = 0; i < n; i++) lane[i] = p[i];
    return v16_load(lane);
}
static inline void v16_store_part(float *p, int n, v16 a)
{
    float lane[16];
    if (n >= 16) {
        v16_store(p, a);
        return;
    }
    v16_store(lane, a);
    for (int i = 0; i < n; i++) p[i] = lane[i];
}

#define YK_V16_OF_1(name, op)            \
    static inline v16 name(v16 a)        \
    {                                    \
        return YK_V16_QUARTERS(op);      \
    }
#define YK_V16_OF_2(name, op)            \
    static inline v16 name(v16 a, v16 b) \
    {                                    \
        return YK_V16_QUARTERS(op);      \
    }
#define YK_V16_OF_3(name, op)                   \
    static inline v16 name(v16 a, v16 b, v16 c) \
    {                                           \
        return YK_V16_QUARTERS(op);             \
    }
#define YK_ADD(i) vaddq_f32(a.q[i], b.q[i])
#define YK_SUB(i) vsubq_f32(a.q[i], b.q[i])
#define YK_MUL(i) vmulq_f32(a.q[i], b.q[i])
#define YK_DIV(i) vdivq_f32(a.q[i], b.q[i])
#define YK_SQRT(i) vsqrtq_f32(a.q[i])
#define YK_FMA(i) vfmaq_f32(c.q[i], a.q[i], b.q[i])
#define YK_FNMA(i) vfmsq_f32(c.q[i], a.q[i], b.q[i])
/* Not fmax and fmin: those order the zeros and hand on every NaN. */
#define YK_MAX(i) vbslq_f32(vcgtq_f32(a.q[i], b.q[i]), a.q[i], b.q[i])
#define YK_MIN(i) vbslq_f32(vcltq_f32(a.q[i], b.q[i]), a.q[i], b.q[i])
#define YK_ROUND(i) vrndnq_f32(a.q[i])
YK_V16_OF_2(v16_add, YK_ADD)
YK_V16_OF_2(v16_sub, YK_SUB)
YK_V16_OF_2(v16_mul, YK_MUL)
YK_V16_OF_2(v16_div, YK_DIV)
YK_V16_OF_1(v16_sqrt, YK_SQRT)
YK_V16_OF_3(v16_fma, YK_FMA)
YK_V16_OF_3(v16_fnma, YK_FNMA)
YK_V16_OF_2(v16_max, YK_MAX)
YK_V16_OF_2(v16_min, YK_MIN)
YK_V16_OF_1(v16_round, YK_ROUND)
#undef YK_ADD
#undef YK_SUB
#undef YK_MUL
#undef YK_DIV
#undef YK_SQRT
#undef YK_FMA
#undef YK_FNMA
#undef YK_MAX
#undef YK_MIN
#undef YK_ROUND

static inline v16 v16_select_less(v16 a, v16 b, v16 x, v16 y)
{
#define YK_SELECT(i) vbslq_f32(vcltq_f32(a.q[i], b.q[i]), x.q[i], y.q[i])
    return YK_V16_QUARTERS(YK_SELECT);
#undef YK_SELECT
}
static inline float32x4_t v16_exp2_quarter(float32x4_t n)
{
    int32x4_t biased = vaddq_s32(vcvtq_s32_f32(n), vdupq_n_s32(127));
    return vreinterpretq_f32_s32(vshlq_n_s32(biased, 23));
}
static inline float32x4_t v16_split_quarter(float32x4_t a, float32x4_t *exponent)
{
    const int32x4_t root = vdupq_n_s32(0x3f3504f3), above = vsubq_s32(vreinterpretq_s32_f32(a), root);
    *exponent = vcvtq_f32_s32(vshrq_n_s32(above, 23));
    return vreinterpretq_f32_s32(vaddq_s32(vandq_s32(above, vdupq_n_s32(0x7fffff)), root));
}
static inline v16 v16_split(v16 a, v16 *exponent)
{
#define YK_SPLIT(i) v16_split_quarter(a.q[i], &exponent->q[i])
    return YK_V16_QUARTERS(YK_SPLIT);
#undef YK_SPLIT
}
static inline float32x4_t v16_to_bf16_quarter(float32x4_t a)
{
    const uint32x4_t bits = vreinterpretq_u32_f32(a), size = vandq_u32(bits, vdupq_n_u32(0x7fffffff));
    uint32x4_t odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
    uint32x4_t r = vaddq_u32(vaddq_u32(bits, odd), vdupq_n_u32(0x7fff));
    r = vandq_u32(r, vdupq_n_u32(0xffff0000));
    r = vandq_u32(r, vcgeq_u32(size, vdupq_n_u32((uint32_t)(127 - 56) << 23)));
    r = vbslq_u32(vcgtq_u32(size, vdupq_n_u32(0x7f800000)), vdupq_n_u32(0x7fc00000), r);
    return vreinterpretq_f32_u32(r);
}
/* To four IEEE halves. The conversion keeps a NaN's payload; the contract has one NaN of each sign. */
static inline uint16x4_t v16_half_quarter(float32x4_t a)
{
    uint16x4_t half = vreinterpret_u16_f16(vcvt_f16_f32(a)), nan = vorr_u16(half, vdup_n_u16(0x3ff));
    nan = vand_u16(nan, vdup_n_u16(0xfe00));
    return vbsl_u16(vmovn_u32(vceqq_f32(a, a)), half, nan);
}
static inline float32x4_t v16_widen_quarter(uint16x4_t half)
{
    return vcvt_f32_f16(vreinterpret_f16_u16(half));
}
#define YK_EXP2(i) v16_exp2_quarter(a.q[i])
#define YK_BF16(i) v16_to_bf16_quarter(a.q[i])
#define YK_FP16(i) v16_widen_quarter(v16_half_quarter(a.q[i]))
YK_V16_OF_1(v16_exp2_integer, YK_EXP2)
YK_V16_OF_1(v16_to_bf16, YK_BF16)
YK_V16_OF_1(v16_to_fp16, YK_FP16)
#undef YK_EXP2
#undef YK_BF16
#undef YK_FP16
#undef YK_V16_OF_1
#undef YK_V16_OF_2
#undef YK_V16_OF_3

/* Numbers of two bytes. */
static inline v16 v16_load_bf16(const uint16_t *p)
{
#define YK_WIDEN(i) vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p + 4 * (i)), 16))
    return YK_V16_QUARTERS(YK_WIDEN);
#undef YK_WIDEN
}
static inline v16 v16_load_fp16(const uint16_t *p)
{
#define YK_WIDEN(i) v16_widen_quarter(vld1_u16(p + 4 * (i)))
    return YK_V16_QUARTERS(YK_WIDEN);
#undef YK_WIDEN
}
#undef YK_V16_QUARTERS
static inline void v16_store_bf16(uint16_t *p, v16 a)
{
    const v16 rounded = v16_to_bf16(a);
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) vst1_u16(p + 4 * i, vshrn_n_u32(vreinterpretq_u32_f32(rounded.q[i]), 16));
}
static inline void v16_store_fp16(uint16_t *p, v16 a)
{
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) vst1_u16(p + 4 * i, v16_half_quarter(a.q[i]));
}

/* r: four rows of one block of 4 x 4. */
static inline void v16_transpose4(float32x4_t r[4])
{
    float32x4_t low = vzip1q_f32(r[0], r[2]), high = vzip2q_f32(r[0], r[2]);
    float32x4_t low1 = vzip1q_f32(r[1], r[3]), high1 = vzip2q_f32(r[1], r[3]);
    r[0] = vzip1q_f32(low, low1);
    r[1] = vzip2q_f32(low, low1);
    r[2] = vzip1q_f32(high, high1);
    r[3] = vzip2q_f32(high, high1);
}
static inline void v16_transpose(v16 r[16])
{
    for (int i = 0; i < 4; i++)
        for (int j = i; j < 4; j++) { /* the block of rows 4 i, lanes 4 j and its mirror image change places */
            float32x4_t upper[4], lower[4];
#pragma GCC unroll 4
            for (int k = 0; k < 4; k++) {
                upper[k] = r[4 * i + k].q[j];
                lower[k] = r[4 * j + k].q[i];
            }
            v16_transpose4(upper);
            v16_transpose4(lower);
#pragma GCC unroll 4
            for (int k = 0; k < 4; k++) {
                r[4 * i + k].q[j] = lower[k];
                r[4 * j + k].q[i] = upper[k];
            }
        }
}
static inline float v16_sum(v16 a)
{
    float32x4_t s4 = vaddq_f32(vaddq_f32(a.q[0], a.q[2]), vaddq_f32(a.q[1], a.q[3]));
    float32x2_t s2 = vadd_f32(vget_low_f32(s4), vget_high_f32(s4));
    return vget_lane_f32(s2, 0) + vget_lane_f32(s2, 1);
}
/* fmax knows no NaN to skip and no order of equal zeros; those cases go lane by lane. */
static inline float v16_highest(v16 a)
{
    float lane[16], m = vmaxvq_f32(vmaxq_f32(vmaxq_f32(a.q[0], a.q[1]), vmaxq_f32(a.q[2], a.q[3])));
    if (m < 0.0f || m > 0.0f) return m;
    v16_store(lane, a);
    m = lane[0];
    for (int i = 1; i < 16; i++) m = lane[i] > m ? lane[i] : m;
    return m;
}

#endif
