/* The objective of group relative policy optimisation (Shao et al., DeepSeekMath, arXiv 2402.03300; DeepSeek-AI, DeepSeek-R1,
 * arXiv 2501.12948), in the form that is minimised. With the ratio p = exp(logp - old) of a token and its advantage A
 *
 *     loss = -min(p A, clip(p, 1 - low, 1 + high) A) + kl (exp(reference - logp) - (reference - logp) - 1)
 *
 * The first term is that of PPO (Schulman et al. 2017), with two sides of the clip as in DAPO (Yu et al. 2025); the second
 * estimates the divergence from a reference without bias and is never negative (k3: Schulman, Approximating KL divergence,
 * 2020). */
#ifndef YK_ALIGN_CLIPPED_H
#define YK_ALIGN_CLIPPED_H

#include "model/model.h"

/* Advantages of one group of n rewards: reward - mean, divided by the standard deviation (of n, not n - 1) if `scale`. All
 * are 0 when the rewards are equal; false then: there is nothing to learn from the group. */
bool yk_group_advantages(const double *reward, int64_t n, bool scale, double *advantage);

/* exp(reference - logp) - (reference - logp) - 1 */
double yk_kl_k3(double logp, double reference);

typedef struct yk_clipped {
    double low, high, kl; /* kl 0: `reference` is not read */
} yk_clipped;

typedef struct yk_clipped_token {
    double loss, slope; /* slope: d loss / d logp */
    bool clipped;       /* the clip has taken the gradient of the first term away */
} yk_clipped_token;
yk_clipped_token yk_clipped_of(const yk_clipped *o, double logp, double old, double reference, double advantage);

/* The same for rows of a micro-batch, as a yk_objective: the loss of row r counts `share[r]` times. Rows whose weight in
 * the batch is 0 are left alone. */
typedef struct yk_clipped_rows {
    yk_clipped o;
    double *advantage, *share;
    float *old, *reference;    /* [rows] in */
    float *entropy;            /* [rows] out: nats */
    bool *clipped;             /* [rows] out */
} yk_clipped_rows;
yk_status yk_clipped_rows_new(yk_clipped_rows *x, const yk_clipped *o, int64_t rows, yk_error *err);
void yk_clipped_rows_free(yk_clipped_rows *x);

/* yk_objective.weigh; `context` is a yk_clipped_rows. */
void yk_clipped_weigh(void *context, const yk_batch *batch, const float *value, const float *entropy, float *weight,
                      float *loss);

#endif
