/* The coefficient of a divergence that is held near a target (Ziegler et al. 2019, arXiv 1909.08593, section 2.2). */
#ifndef YK_ALIGN_KL_CONTROL_H
#define YK_ALIGN_KL_CONTROL_H

#include <stdint.h>

typedef struct yk_kl_control {
    double coefficient;
    double target;  /* nats a sequence; 0: the coefficient stays */
    double horizon; /* sequences */
} yk_kl_control;

/* After n sequences that were `kl` from the reference on average:
 *   coefficient *= 1 + n / horizon clip(kl / target - 1, -0.2, 0.2);
 * the paper's K is n / horizon, 0.1 there. The coefficient is multiplied by at most e^0.2 a horizon, so that the
 * paper's horizon of 10^4 sequences suits its 10^6 sequences a run; one of some thousands needs hundreds. */
void yk_kl_control_update(yk_kl_control *c, double kl, int64_t n);

#endif
