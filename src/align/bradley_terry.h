/* The objective of a reward model (Bradley, Terry 1952; Christiano et al. 2017): of a pair, yk_preference_loss of
 *     score(chosen) - score(rejected) - scale margin
 * where a side's score is that of the last id that the assistant said, and margin how much the chosen one is better. */
#ifndef YK_ALIGN_BRADLEY_TERRY_H
#define YK_ALIGN_BRADLEY_TERRY_H

#include "align/losses.h"
#include "align/pair_course.h"

typedef struct yk_bradley_terry {
    yk_pair_course *x;
    double scale; /* of the pairs' margins */
} yk_bradley_terry;

/* The loss at the scores of a pair of p, and its slope by chosen - rejected. */
yk_slope yk_bradley_terry_loss(const yk_bradley_terry *b, const yk_pairs *p, int64_t pair, double chosen,
                               double rejected);

/* The weigh of a yk_objective on scores; context: a yk_bradley_terry. */
void yk_bradley_terry_weigh(void *context, const yk_batch *batch, const float *value, const float *entropy,
                            float *weight, float *loss);

#endif
