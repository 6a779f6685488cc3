/* The objectives of proximal policy optimisation (Schulman et al. 2017), and an optimiser step that descends them: of
 * the policy the mean over ids of yk_policy_loss, of the value model that of yk_value_loss. */
#ifndef YK_ALIGN_PROXIMAL_H
#define YK_ALIGN_PROXIMAL_H

#include "align/experience.h"

typedef struct yk_proximal {
    double clip, value_clip;
    const yk_experience *e;
    double clipped, tokens; /* ids of the policy's steps, counted up: those that the clip took the slope from; all */
    const yk_learner *l;    /* private, as is what follows: of the step */
    const uint64_t *item;
    double tally[2];        /* of those two, of a lane and then of all */
} yk_proximal;

/* One optimiser step of the policy, then one of the critic, both on the answers item[n] of the experience. */
yk_status yk_proximal_step(yk_proximal *p, yk_learner *policy, yk_learner *critic, const uint64_t *item, int64_t n,
                           yk_error *err);

#endif
