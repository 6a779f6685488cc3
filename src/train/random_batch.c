#include "train/random_batch.h"

#include "base/rng.h"

#include <stdlib.h>

yk_status yk_random_batch_new(yk_random_batch *x, uint64_t seed, int64_t vocab, int64_t sequences, int64_t T,
                              yk_error *err)
{
    yk_status st = YK_OK;
    const int64_t rows = sequences * T;
    const yk_rng rng = yk_rng_make(seed, YK_STREAM_TEST, 0);
    *x = (yk_random_batch){0};
    YK_NEW(x->token, rows);
    YK_NEW(x->target, rows);
    YK_NEW(x->position, rows);
    YK_NEW(x->weight, rows);
    YK_NEW(x->loss, rows);
    YK_NEW(x->segment, sequences);
    for (int64_t i = 0; i < rows; i++) {
        x->token[i] = (int32_t)yk_rng_below(&rng, 2 * (uint64_t)i, (uint64_t)vocab);
        x->target[i] = (int32_t)yk_rng_below(&rng, 2 * (uint64_t)i + 1, (uint64_t)vocab);
        x->position[i] = (int32_t)(i % T);
        x->weight[i] = 1;
    }
    for (int64_t i = 0; i < sequences; i++)
        x->segment[i] = (yk_segment){.query = (int32_t)(i * T), .key = (int32_t)(i * T), .count = (int32_t)T,
                                     .keys = (int32_t)T, .causal = 1};
    x->batch = (yk_batch){.rows = rows, .token = x->token, .position = x->position, .target = x->target,
                          .weight = x->weight, .segment = x->segment, .segments = sequences};
done:
    return st;
}

void yk_random_batch_free(yk_random_batch *x)
{
    free(x->token);
    free(x->target);
    free(x->position);
    free(x->weight);
    free(x->loss);
    free(x->segment);
    *x = (yk_random_batch){0};
}
