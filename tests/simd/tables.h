/* Every table that runs here and room for its results, for tests that hold tables against the portable one and against
 * definitions in double precision. */
#ifndef TESTS_SIMD_TABLES_H
#define TESTS_SIMD_TABLES_H

#include "base/rng.h"
#include "simd/kernels.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { TABLES = 8, ROOM = 1 << 17 };

static const yk_kernels *table[TABLES];
static int tables;
static float *in[4], *out[TABLES][4], *scratch;
static void *stored[4]; /* in[] in the precision of the test */

static int set_up(void **state)
{
    (void)state;
    const yk_kernels *k;
    for (int i = 0; (k = yk_kernels_at(i, YK_FP32)); i++)
        if (yk_kernels_runs_here(k)) table[tables++] = k;
    for (int i = 0; i < 4; i++) {
        in[i] = table[0]->alloc(ROOM * 4);
        stored[i] = table[0]->alloc(ROOM * 4);
        for (int t = 0; t < tables; t++) out[t][i] = table[0]->alloc(ROOM * 4);
    }
    scratch = table[0]->alloc((int64_t)64 << 20);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        table[0]->free(in[i]);
        table[0]->free(stored[i]);
        for (int t = 0; t < tables; t++) table[0]->free(out[t][i]);
    }
    table[0]->free(scratch);
    return 0;
}

static void fill(float *x, int64_t n, uint64_t seed, double scale)
{
    yk_rng r = yk_rng_make(seed, YK_STREAM_TEST, 0);
    for (int64_t i = 0; i < n; i++) x[i] = (float)(scale * yk_rng_normal(&r, (uint64_t)i));
}

/* All tables wrote the same bytes into output `i`. */
static void same_bytes(int i, int64_t bytes)
{
    for (int t = 1; t < tables; t++) {
        if (memcmp(out[t][i], out[0][i], (size_t)bytes) == 0) continue;
        for (int64_t j = 0; j < bytes; j += 2)
            if (memcmp((char *)out[t][i] + j, (char *)out[0][i] + j, 2) != 0)
                fail_msg("%s differs from portable at byte %lld of output %d", table[t]->name, (long long)j, i);
    }
}

static void same_bits(int i, int64_t n)
{
    same_bytes(i, 4 * n);
}

static void same_stored(int i, int64_t n, yk_precision precision)
{
    same_bytes(i, n * yk_type_size(table[0] + precision, YK_STORED));
}

static void close_to(double got, double want, double tolerance)
{
    if (!(fabs(got - want) <= tolerance * (1 + fabs(want)))) fail_msg("%g, wanted %g", got, want);
}

/* x to so many significant bits, ties to even, no finer than `quantum`; independent of the kernels. */
static float rounded(float x, yk_precision precision)
{
    int e;
    if (precision == YK_FP32 || x == 0.0f || !isfinite(x)) return x;
    frexp((double)x, &e);
    if (precision == YK_BF16)
        return fabs((double)x) < 0x1p-56 ? 0.0f : (float)ldexp(rint(ldexp((double)x, 8 - e)), e - 8);
    int unit = e - 11 < -24 ? -24 : e - 11;
    double y = ldexp(rint(ldexp((double)x, -unit)), unit);
    return fabs(y) > 65504 ? copysignf(INFINITY, x) : (float)y;
}

/* x as a tensor of a precision: independent of the kernels. */
static void put(yk_precision precision, void *to, const float *from, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        float x = rounded(from[i], precision);
        uint32_t bits;
        memcpy(&bits, &x, sizeof bits);
        _Float16 half = (_Float16)x;
        if (precision == YK_FP32) ((float *)to)[i] = x;
        if (precision == YK_BF16) ((uint16_t *)to)[i] = (uint16_t)(bits >> 16);
        if (precision == YK_FP16) memcpy((uint16_t *)to + i, &half, sizeof half);
    }
}

static float get(yk_precision precision, const void *from, int64_t i)
{
    _Float16 half;
    if (precision == YK_FP32) return ((const float *)from)[i];
    memcpy(&half, (const uint16_t *)from + i, sizeof half);
    uint32_t bits = (uint32_t)((const uint16_t *)from)[i] << 16;
    float x;
    memcpy(&x, &bits, sizeof x);
    return precision == YK_BF16 ? x : (float)half;
}

#endif
