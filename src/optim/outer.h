/* The outer optimiser of DiLoCo (Douillard et al. 2023, arXiv 2311.08105).
 *
 * K workers begin with the weights w, each goes its own way for H steps and arrives at w_k. The outer gradient is the
 * mean way back, and the outer optimiser descends it with Nesterov's momentum:
 *   g = 1/K sum over k of (w - w_k);  velocity = momentum velocity + g;  w = w - lr (momentum velocity + g).
 * lr = 1 without momentum is the mean of the workers' weights. */
#ifndef YK_OPTIM_OUTER_H
#define YK_OPTIM_OUTER_H

#include "base/status.h"
#include "simd/kernels.h"

typedef struct yk_outer {
    float *velocity; /* [floats], zeros at first */
    int64_t floats;
    double lr, momentum;
} yk_outer;

yk_status yk_outer_new(yk_outer *o, int64_t floats, const yk_kernels *k, double lr, double momentum, yk_error *err);
void yk_outer_free(yk_outer *o, const yk_kernels *k);

/* One worker's part of the sum: way[floats] = from - to. way may be either. */
void yk_outer_way(const yk_outer *o, const yk_kernels *k, const yk_team *team, float *way, const float *from,
                  const float *to);

/* One step of weight[floats] down sum[floats], the sum over `workers`. */
void yk_outer_step(yk_outer *o, const yk_kernels *k, const yk_team *team, float *weight, const float *sum,
                   int64_t workers);

#endif
