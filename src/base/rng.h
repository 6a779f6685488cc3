/* Counter-based randomness: Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as
 * easy as 1, 2, 3", SC 2011). A draw is a pure function of (seed, stream, major, index), so it does
 * not matter who computes it, in which order, or after which restart. */
#ifndef YK_BASE_RNG_H
#define YK_BASE_RNG_H

#include <stdint.h>

/* What a draw is for: draws of different streams are independent. Values are part of bits v1. */
typedef enum yk_stream {
    YK_STREAM_INIT = 1,    /* weights; major = parameter, index = element        */
    YK_STREAM_DOMAIN = 2,  /* which domain a sample comes from; index = sample   */
    YK_STREAM_SHUFFLE = 3, /* document order; major = domain and epoch           */
    YK_STREAM_MASK = 4,    /* masked-LM choices; major = sample                  */
    YK_STREAM_SAMPLE = 5,  /* token sampling; major = sequence, index = position */
    YK_STREAM_TEXT = 6,    /* generated corpora; major = document                */
    YK_STREAM_SPLIT = 7,   /* held-out split; major = document hash              */
    YK_STREAM_MINHASH = 8, /* hash function parameters                           */
    YK_STREAM_WINDOW = 9,  /* order of windows; major = domain and epoch         */
    YK_STREAM_PROBLEM = 10, /* generated problems; major = index                */
    YK_STREAM_DEAL = 12,   /* order of examples; major = stage and epoch         */
    YK_STREAM_TUNE = 11,   /* values of trials; major = trial or design    */
    YK_STREAM_PROPOSE = 13, /* examples and openings of proposals; major = proposal */
    YK_STREAM_TEST = 99
} yk_stream;

typedef struct yk_rng {
    uint32_t key[2];
    uint64_t major;
} yk_rng;

yk_rng yk_rng_make(uint64_t seed, yk_stream stream, uint64_t major);

/* The raw block: 128 bits for (key, counter = major:index). */
void yk_rng_block(const yk_rng *r, uint64_t index, uint32_t out[4]);

uint64_t yk_rng_bits(const yk_rng *r, uint64_t index);
double yk_rng_uniform(const yk_rng *r, uint64_t index);                  /* [0, 1), 53 bits */
uint64_t yk_rng_below(const yk_rng *r, uint64_t index, uint64_t n);      /* [0, n), n >= 1  */
double yk_rng_normal(const yk_rng *r, uint64_t index);                   /* Box-Muller      */

/* Fills perm[0..n) with a random permutation of 0..n-1 (Fisher-Yates over the stream). */
void yk_rng_permutation(const yk_rng *r, uint64_t *perm, uint64_t n);

#endif
