#include "optim/outer.h"

yk_status yk_outer_new(yk_outer *o, int64_t floats, const yk_kernels *k, double lr, double momentum, yk_error *err)
{
    const int64_t bytes = floats * (int64_t)sizeof(float);
    *o = (yk_outer){.velocity = k->alloc(bytes), .floats = floats, .lr = lr, .momentum = momentum};
    if (o->velocity) return YK_OK;
    return yk_fail(err, YK_ERR_MEMORY, "no memory for the outer optimiser: %lld bytes", (long long)bytes);
}

void yk_outer_free(yk_outer *o, const yk_kernels *k)
{
    if (o->velocity) k->free(o->velocity);
    *o = (yk_outer){0};
}

void yk_outer_way(const yk_outer *o, const yk_kernels *k, const yk_team *team, float *way, const float *from,
                  const float *to)
{
    k->subtract(team, &(yk_add){.y = way, .a = from, .b = to, .n = o->floats});
}

void yk_outer_step(yk_outer *o, const yk_kernels *k, const yk_team *team, float *weight, const float *sum,
                   int64_t workers)
{
    k->nesterov(team, &(yk_nesterov){.weight = weight, .velocity = o->velocity, .gradient = sum, .n = o->floats,
                                     .scale = (float)(1.0 / (double)workers), .lr = (float)o->lr,
                                     .momentum = (float)o->momentum});
}
