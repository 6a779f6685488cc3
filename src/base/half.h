/* Two-byte floats of files: bf16, and IEEE fp16 with subnormal numbers. To nearest, ties to even; NaN stays NaN. */
#ifndef YK_BASE_HALF_H
#define YK_BASE_HALF_H

#include <stdint.h>
#include <string.h>

static inline uint32_t yk_bits_of(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

static inline float yk_float_of(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline uint16_t yk_to_bf16(float x)
{
    uint32_t u = yk_bits_of(x);
    if ((u & 0x7FFFFFFF) > 0x7F800000) return (uint16_t)(u >> 16 | 0x40);
    return (uint16_t)((u + 0x7FFF + (u >> 16 & 1)) >> 16);
}

static inline float yk_from_bf16(uint16_t h)
{
    return yk_float_of((uint32_t)h << 16);
}

/* From 65520 on infinite. */
static inline uint16_t yk_to_fp16(float x)
{
    uint32_t u = yk_bits_of(x), sign = u >> 16 & 0x8000, size = u & 0x7FFFFFFF;
    if (size > 0x7F800000) return (uint16_t)(sign | 0x7E00);
    if (size >= 0x477FF000) return (uint16_t)(sign | 0x7C00);
    if (size < 0x38800000) /* below 2^-14: floats from 1/2 on are as far apart as these, 2^-24 */
        return (uint16_t)(sign | (yk_bits_of(yk_float_of(size) + 0.5f) - yk_bits_of(0.5f)));
    return (uint16_t)(sign | (((size + 0xFFF + (size >> 13 & 1)) >> 13) - (112 << 10)));
}

static inline float yk_from_fp16(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, rest = h & 1023;
    if (exponent == 31) return yk_float_of(sign | 0x7F800000 | rest << 13);
    if (exponent > 0) return yk_float_of(sign | (exponent + 112) << 23 | rest << 13);
    float size = (float)rest * 0x1p-24f;
    return sign ? -size : size;
}

#endif
