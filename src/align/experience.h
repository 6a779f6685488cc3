/* Experience: answers of a policy, and what proximal policy optimisation learns from them. An answer is a sequence of
 * actions, one an id; the state that an action is taken in is all the ids before it. */
#ifndef YK_ALIGN_EXPERIENCE_H
#define YK_ALIGN_EXPERIENCE_H

#include "align/rollout.h"

/* Arrays of arrays are rows of x (yk_rollouts_rows): over the ids of a sequence, 0 in the prompt. */
typedef struct yk_experience {
    yk_rollouts x;
    double *score;                      /* [x.n] of the reward model for the whole answer */
    float **reference;                  /* log-probabilities of the reference */
    float **value, **target, **advantage; /* value: of the state before the id */
} yk_experience;

/* Of answers that yk_rollouts_make() put into e->x: their scores at the last id by the weights `reward`, less
 * `unfinished` where an answer did not end, and the log-probabilities of `reference`. The weights in use stay. */
yk_status yk_experience_score(yk_experience *e, yk_session *s, yk_weights reference, yk_weights reward,
                              double unfinished, yk_error *err);
void yk_experience_free(yk_experience *e);

/* How rewards become advantages. */
typedef struct yk_credit {
    double kl;            /* coefficient of the divergence */
    double mean, std;     /* scores are measured from mean in units of std */
    double gamma, lambda; /* yk_gae */
} yk_credit;

/* The reward of an id is -kl (logp - reference), and of the last one (score - mean) / std too; values are those of the
 * weights `value`, targets advantage + value. At last, advantages get mean 0 and deviation 1 over all ids. */
yk_status yk_experience_estimate(yk_experience *e, yk_session *s, yk_weights value, const yk_credit *o, yk_error *err);

/* What scored answers are like. */
typedef struct yk_experience_means {
    double reward, std;   /* of the scores */
    double kl;            /* nats a sequence from the reference: sum over ids of logp - reference */
    double entropy;       /* nats a token, as -logp of what was drawn */
    double length, ended; /* ids; share of 1 */
} yk_experience_means;
yk_experience_means yk_experience_means_of(const yk_experience *e);

/* The share of the targets' variance that the values explain: 1 - var(target - value) / var(target); NAN when it is 0.
 * */
double yk_experience_explained(const yk_experience *e);

#endif
