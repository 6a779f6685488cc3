/* Numbers from integer arithmetic, which Python makes too: `numbers` of tests/peers/reference.py. */
#ifndef TESTS_MODEL_NUMBERS_H
#define TESTS_MODEL_NUMBERS_H

#include <stdint.h>

/* The i-th number of a stream, in [-0.5, 0.5). */
static inline double number(uint32_t stream, uint32_t i)
{
    uint32_t x = i * 2654435761u + stream * 974711u + 12345u;
    x ^= x >> 16;
    x *= 2246822519u;
    x ^= x >> 13;
    x *= 3266489917u;
    x ^= x >> 16;
    return (double)(x >> 8) / 0x1p24 - 0.5;
}

#endif
