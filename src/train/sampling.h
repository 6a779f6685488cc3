/* How the next token is chosen. */
#ifndef YK_TRAIN_SAMPLING_H
#define YK_TRAIN_SAMPLING_H

#include "base/rng.h"
#include "simd/kernels.h"

#include <stdint.h>

enum { YK_MOST_ENDS = 4 };

/* Zero is greedy choice among all tokens without an end. */
typedef struct yk_sampling {
    double temperature;        /* logits are divided by it; 0: the likeliest (the lowest such id) */
    int64_t top_k;             /* among the so many likeliest; 0: all (Fan et al. 2018) */
    double top_p;              /* among the fewest that hold this probability; 0 or 1: all (Holtzman et al. 2020) */
    double repetition_penalty; /* logits of tokens seen before: divided by it if positive, else multiplied; 0 or 1: none
                                  (Keskar et al. 2019) */
    int32_t banned;            /* an id that is never chosen, -1: none */
    int32_t end[YK_MOST_ENDS]; /* ids that end a sequence, and are its last */
    int ends;
    int64_t tokens;            /* the most to make */
    const char *const *stop;   /* texts that end a sequence, and do not belong to it */
    size_t stops;
    uint64_t seed;
} yk_sampling;

/* Working memory of one choice. */
typedef struct yk_choices {
    float *logit, *odds; /* [V] */
    struct yk_choice {
        float logit;
        int32_t id;
    } *order; /* [V] */
} yk_choices;

/* An id drawn with the `index`-th random number of the sequence, from logits[V] of which x->logit is a copy that may be
 * changed. The same on every machine. */
int32_t yk_sampling_draw(const yk_sampling *how, const yk_kernels *k, yk_choices *x, int64_t vocab, const yk_rng *rng,
                         uint64_t index);

/* Applies the repetition penalty for the ids of a prompt and of what followed to x->logit; an id that comes twice
 * counts once. `seen` [V] is zero before and after. */
void yk_sampling_penalise(const yk_sampling *how, yk_choices *x, const int32_t *prompt, int64_t length,
                          const int32_t *answer, int64_t n, uint8_t *seen);

#endif
