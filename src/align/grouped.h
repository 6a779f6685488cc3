/* The objective of group relative policy optimisation (Shao et al., DeepSeekMath, arXiv 2402.03300; DeepSeek-AI,
 * DeepSeek-R1, arXiv 2501.12948), and an optimiser step that descends it.
 *
 * Of an answer with advantage A and n ids, the loss of the id at t is
 *     -min(r_t A, clip(r_t, 1 - low, 1 + high) A) + kl k3(reference_t, logp_t),    r_t = exp(logp_t - old_t)
 * (yk_policy_loss, yk_kl_estimate). A step's loss is its mean over the ids of an answer, then over answers; or its mean
 * over all ids of the step (Yu et al., DAPO, arXiv 2503.14476). */
#ifndef YK_ALIGN_GROUPED_H
#define YK_ALIGN_GROUPED_H

#include "align/passes.h"
#include "align/rollout.h"

typedef struct yk_grouped_terms {
    double low, high, kl; /* kl is not read where there is no reference */
    bool by_sequence;     /* the mean of an answer's ids first */
} yk_grouped_terms;

/* One answer: n log-probabilities that it was drawn with, and the reference's (NULL: none). */
typedef struct yk_grouped_answer {
    const float *old, *reference; /* [n] */
    int64_t n;
    double advantage;
} yk_grouped_answer;

/* loss[n] of the answer's ids at log-probabilities logp[n], over n if by_sequence, and weight[n] = -d loss / d logp, as
 * a yk_objective wants them. Returns how many the clip took the slope from. The arrays may not overlap. */
int64_t yk_grouped_weigh(const yk_grouped_terms *o, const yk_grouped_answer *a, const float *logp, float *weight,
                         float *loss);

/* Graded answers in learning. */
typedef struct yk_grouped {
    yk_grouped_terms terms;
    const yk_rollouts *x;
    float *const *reference;   /* rows of x (yk_rollouts_rows), or NULL: none */
    const double *advantage;   /* [x->n] */
    double clipped, tokens;    /* ids that were learnt from, counted up */
    const yk_learner *l;       /* private, as is what follows: of the step */
    int64_t first;
    double tally[2];           /* of those two, of a lane and then of all */
} yk_grouped;

/* One optimiser step on the answers first to first + n. Empty answers, and without a reference those of advantage 0,
 * teach nothing and are not computed, but count in the mean. */
yk_status yk_grouped_step(yk_grouped *g, yk_learner *l, int64_t first, int64_t n, yk_error *err);

#endif
