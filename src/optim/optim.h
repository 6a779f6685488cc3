/* AdamW over the flat arrays of a model, with global-norm clipping, and learning-rate schedules; the biases by which
 * experts are chosen. */
#ifndef YK_OPTIM_OPTIM_H
#define YK_OPTIM_OPTIM_H

#include "base/status.h"
#include "comm/comm.h"
#include "model/model.h"

/* Learning rates over a run of `steps`. */
typedef struct yk_schedule {
    const char *kind; /* cosine, wsd, multistep, constant */
    double peak, end; /* end: share of the peak that is left at the last step */
    double warmup, decay_share; /* shares of the steps */
    int64_t steps;
} yk_schedule;

/* Of step 1..steps: linear warm-up to `peak` over warmup x steps, then
 *   cosine: end + (peak - end) (1 + cos(pi t)) / 2;  wsd: constant, then linear to `end` over the last
 *   decay_share;  multistep: x 0.316 at 80 % and again at 90 % (DeepSeek LLM, arXiv 2401.02954);  constant. */
double yk_learning_rate(const yk_schedule *s, int64_t step);

typedef struct yk_adamw_options {
    double beta1, beta2, eps, decay; /* decay: of the parameters that are declared with it */
    double clip;                     /* largest global norm of the gradient; 0: any */
    double expert_rate;              /* by which biases of experts change a step */
} yk_adamw_options;

typedef struct yk_optimiser {
    yk_model *model;
    yk_comm *comm;    /* ranks that share the moments; NULL: all are here */
    bool weights_stay; /* a step leaves the weights of the others' slices as they are (ZeRO stage 3) */
    int64_t owned;    /* floats of the flat arrays that are updated here: the slices of this rank */
    float *m, *v;     /* [owned] of them: first and second moments */
    double *partial;  /* block sums of the norm */
    double most_norm; /* a gradient with a larger one is not applied; INFINITY at first */
    int counting;     /* parameters that count */
    double *load;     /* their counts in the slices, one behind the other */
    int64_t *total;   /* [counting] sums of them, over all ranks */
    yk_adamw_options o;
} yk_optimiser;

/* comm: every rank holds the moments of its slices (ZeRO stage 1; Rajbhandari et al. 2020); NULL: all of them. */
yk_status yk_optimiser_new(yk_optimiser *o, yk_model *model, const yk_kernels *k, const yk_adamw_options *options,
                           yk_comm *comm, yk_error *err);
void yk_optimiser_free(yk_optimiser *o, const yk_kernels *k);

/* One step of the weights that the model uses with their gradients x scale (1 / sum of target weights); the rate of a
 * parameter is lr x its own (yk_param), its decay lr x decay. *norm is the global norm before clipping: double sums of
 * fixed blocks, added in index order. A norm that is not finite, or above most_norm, leaves weights and moments as they
 * are, clears the gradients and returns false. `step` counts the steps not skipped, from 1. Ranks that share moments
 * read their slices of the gradients, and exchange block sums and weights.
 * Elements of a parameter that counts (yk_param) move by expert_rate, up where they were chosen less often than the
 * mean of all, and down where more often (Wang et al., arXiv 2408.15664); the norm does not know them. */
bool yk_optimiser_step(yk_optimiser *o, const yk_kernels *k, const yk_team *team, double scale, double lr,
                       int64_t step, double *norm);

/* The moments as whole arrays: the optimiser's own, or, where ranks share them, memory of rank 0 (NULL elsewhere) that
 * holds all of them after collect. YK_ERR_MEMORY on rank 0 alone: an agreement must follow begin. */
typedef struct yk_moments {
    float *m, *v;
    bool is_copy;
} yk_moments;
yk_status yk_moments_begin(yk_moments *x, const yk_optimiser *o, const yk_kernels *k, yk_error *err);
void yk_moments_collect(yk_moments *x, const yk_optimiser *o);
void yk_moments_end(yk_moments *x, const yk_kernels *k);

#endif
