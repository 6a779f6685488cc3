/* Numbers of two bytes in files: to the nearest, ties to even. (Kernels narrow by simd/v16_*.h, in whose bf16 what is
 * smaller than 2^-56 is 0; files keep it.) */
#ifndef YK_BASE_HALF_H
#define YK_BASE_HALF_H

#include <stdint.h>
#include <string.h>

static inline uint32_t yk_bits_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* IEEE binary16: gradual underflow, overflow to infinity; any NaN becomes the quiet one. */
static inline uint16_t yk_fp16(float x)
{
    const uint32_t bits = yk_bits_of(x), sign = bits >> 16 & 0x8000, size = bits & 0x7fffffff;
    if (size > 0x7f800000) return (uint16_t)(sign | 0x7e00);
    if (size < (uint32_t)(127 - 14) << 23) { /* a multiple of 2^-24, to which adding 1/2 rounds */
        const float v = x < 0 ? -x : x;
        return (uint16_t)(sign | (uint32_t)(((v + 0.5f) - 0.5f) * 0x1p24f));
    }
    const uint32_t rounded = (size + 0xfff + (size >> 13 & 1) - (112u << 23)) >> 13;
    return (uint16_t)(sign | (rounded < 0x7c00 ? rounded : 0x7c00));
}

/* The upper half of binary32; any NaN becomes the quiet one. */
static inline uint16_t yk_bf16(float x)
{
    const uint32_t bits = yk_bits_of(x);
    if ((bits & 0x7fffffff) > 0x7f800000) return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

#endif
