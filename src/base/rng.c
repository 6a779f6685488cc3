#include "base/rng.h"

#include "base/math64.h"

#include <math.h>

yk_rng yk_rng_make(uint64_t seed, yk_stream stream, uint64_t major)
{
    uint64_t k = seed ^ ((uint64_t)stream * 0x9E3779B97F4A7C15u);
    return (yk_rng){{(uint32_t)k, (uint32_t)(k >> 32)}, major};
}

void yk_rng_block(const yk_rng *r, uint64_t index, uint32_t out[4])
{
    uint32_t k0 = r->key[0], k1 = r->key[1];
    uint32_t c0 = (uint32_t)index, c1 = (uint32_t)(index >> 32);
    uint32_t c2 = (uint32_t)r->major, c3 = (uint32_t)(r->major >> 32);
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

uint64_t yk_rng_bits(const yk_rng *r, uint64_t index)
{
    uint32_t b[4];
    yk_rng_block(r, index, b);
    return (uint64_t)b[1] << 32 | b[0];
}

double yk_rng_uniform(const yk_rng *r, uint64_t index)
{
    return (double)(yk_rng_bits(r, index) >> 11) * 0x1p-53;
}

uint64_t yk_rng_below(const yk_rng *r, uint64_t index, uint64_t n)
{
    return (uint64_t)(((unsigned __int128)yk_rng_bits(r, index) * n) >> 64);
}

double yk_rng_normal(const yk_rng *r, uint64_t index)
{
    uint32_t b[4];
    yk_rng_block(r, index, b);
    double u = ((double)b[0] + 0.5) * 0x1p-32, v = ((double)b[1] + 0.5) * 0x1p-32, s, c;
    yk_sincos64(6.28318530717958647692 * v, &s, &c);
    return sqrt(-2.0 * yk_log64(u)) * c;
}

void yk_rng_permutation(const yk_rng *r, uint64_t *perm, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) perm[i] = i;
    for (uint64_t i = n; i > 1; i--) {
        uint64_t j = yk_rng_below(r, i, i), t = perm[i - 1];
        perm[i - 1] = perm[j];
        perm[j] = t;
    }
}
