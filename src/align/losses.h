/* The losses of alignment, as functions of one value: its loss, and the slope of the loss at it. In double precision,
 * by the fixed sequences of base/math64.h. */
#ifndef YK_ALIGN_LOSSES_H
#define YK_ALIGN_LOSSES_H

#include <stdbool.h>
#include <stdint.h>

typedef struct yk_slope {
    double loss, slope;
    bool clipped; /* of the ratio's losses: the slope is 0 because of the clip */
} yk_slope;

/* -log sigmoid(x), with its slope. Of x = r_chosen - r_rejected - margin it is the Bradley-Terry loss (Ouyang et al.
 * 2022; margin: Touvron et al. 2023); of beta times the difference of log-ratios that of DPO (Rafailov et al. 2023). */
yk_slope yk_preference_loss(double x);

/* Clipped policy loss (Schulman et al. 2017) at a log-probability: with r = exp(logp - old),
 *   -min(r A, clip(r, 1 - low, 1 + high) A);  low = high in PPO, low < high is DAPO's clip-higher. */
yk_slope yk_policy_loss(double logp, double old, double advantage, double low, double high);

/* Clipped value loss: max((v - target)^2, (clip(v, old - c, old + c) - target)^2) / 2; c = 0: not clipped. */
yk_slope yk_value_loss(double value, double old, double target, double clip);

/* The estimator k3 of the divergence KL(policy || reference) from one sample of the policy (Schulman 2020; GRPO):
 * exp(ref - logp) - (ref - logp) - 1. */
yk_slope yk_kl_estimate(double logp, double reference);

/* Advantages of a group of n rewards (Shao et al., DeepSeekMath, 2024): reward - mean, over the standard deviation (of
 * n, not n - 1) if `scale`. False, and all 0, when the rewards are equal: there is nothing to learn from the group. */
bool yk_group_advantages(const double *reward, int64_t n, bool scale, double *advantage);

#endif
