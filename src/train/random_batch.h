/* Sequences of random tokens, for what is measured and is not to depend on a corpus. */
#ifndef YK_TRAIN_RANDOM_BATCH_H
#define YK_TRAIN_RANDOM_BATCH_H

#include "model/model.h"

typedef struct yk_random_batch {
    yk_batch batch;                      /* of all, over the arrays below */
    int32_t *token, *target, *position; /* [sequences T]; token i and its target are numbers 2 i and 2 i + 1 of `seed` */
    float *weight, *loss;               /* [sequences T], 1 and 0 */
    yk_segment *segment;                /* [sequences] causal */
} yk_random_batch;

/* Of T tokens below vocab each. yk_random_batch_free also after an error. */
yk_status yk_random_batch_new(yk_random_batch *x, uint64_t seed, int64_t vocab, int64_t sequences, int64_t T,
                              yk_error *err);
void yk_random_batch_free(yk_random_batch *x);

#endif
