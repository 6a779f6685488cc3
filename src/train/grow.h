/* A larger model from a run's, in a run of its own. */
#ifndef YK_TRAIN_GROW_H
#define YK_TRAIN_GROW_H

#include "base/status.h"

#include <stddef.h>

typedef struct yk_grow_options {
    const char *checkpoint;  /* of pretraining; NULL: the run's newest */
    const char *const *set;  /* KEY=VALUE: what the larger model's recipe has instead */
    size_t sets;
    long threads;
} yk_grow_options;

/* Makes the run directory `to`, which appears whole or not at all: the recipe of `from` with `set`, its tokenizer, and
 * as import/model.h5 the grown weights and moments (model/grow.h), with which pretraining begins. *worst is the largest
 * difference of a logit between the two models in fp32, over a sequence of random tokens. YK_ERR_CONFIG names a key that
 * shrinks or changes kind. */
yk_status yk_run_grow(const char *from, const char *to, const yk_grow_options *o, double *worst, yk_error *err);

#endif
