#include "base/math64.h"
#include "base/mem.h"
#include "optim/optim.h"

#include <math.h>
#include <stdlib.h>

yk_status yk_optimiser_new(yk_optimiser *o, yk_model *model, const yk_kernels *k, const yk_adamw_options *options,
                           yk_error *err)
{
    yk_status st = YK_OK;
    int64_t floats = yk_model_floats(model);
    *o = (yk_optimiser){.model = model, .o = *options};
    YK_NEW(o->partial, (floats + YK_SUM_BLOCK - 1) / YK_SUM_BLOCK);
    o->m = k->alloc(floats * (int64_t)sizeof(float));
    o->v = k->alloc(floats * (int64_t)sizeof(float));
    if (!o->m || !o->v)
        YK_FAIL(YK_ERR_MEMORY, "no memory for the optimiser: %lld bytes", (long long)floats * 8);
done:
    return st;
}

void yk_optimiser_free(yk_optimiser *o, const yk_kernels *k)
{
    if (o->m) k->free(o->m);
    if (o->v) k->free(o->v);
    free(o->partial);
    *o = (yk_optimiser){0};
}

static double gradient_norm(const yk_optimiser *o, const yk_kernels *k, const yk_team *team, double scale)
{
    int64_t floats = yk_model_floats(o->model);
    k->sum_squares(team, &(yk_sum_squares){yk_model_gradients(o->model), floats, o->partial});
    double sum = 0;
    for (int64_t b = 0; b < (floats + YK_SUM_BLOCK - 1) / YK_SUM_BLOCK; b++) sum += o->partial[b];
    return sqrt(sum) * scale;
}

bool yk_optimiser_step(yk_optimiser *o, const yk_kernels *k, const yk_team *team, double scale, double lr,
                       int64_t step, double *norm)
{
    float *weight = yk_model_weights(o->model), *gradient = yk_model_gradients(o->model);
    *norm = gradient_norm(o, k, team, scale);
    if (!isfinite(*norm)) {
        k->zero(team, gradient, yk_model_floats(o->model) * (int64_t)sizeof(float));
        return false;
    }
    if (o->o.clip > 0 && *norm > o->o.clip) scale *= o->o.clip / *norm;
    int count;
    const yk_param *param = yk_model_params(o->model, &count);
    yk_adamw a = {.scale = (float)scale, .lr = (float)lr, .beta1 = (float)o->o.beta1, .beta2 = (float)o->o.beta2,
                  .eps = (float)o->o.eps, .bias1 = (float)(1.0 - yk_pow64(o->o.beta1, (double)step)),
                  .bias2 = (float)(1.0 - yk_pow64(o->o.beta2, (double)step))};
    for (int i = 0; i < count; i++) { /* runs of equal decay are one range */
        int last = i;
        while (last + 1 < count && param[last + 1].decay == param[i].decay) last++;
        int64_t from = param[i].offset, to = param[last].offset + param[last].count;
        a.weight = weight + from, a.gradient = gradient + from, a.m = o->m + from, a.v = o->v + from;
        a.n = to - from;
        a.decay = param[i].decay ? (float)o->o.decay : 0.0f;
        k->adamw(team, &a);
        i = last;
    }
    yk_model_weights_changed(o->model);
    return true;
}
