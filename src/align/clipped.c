#include "align/clipped.h"

#include "base/math64.h"

#include <math.h>
#include <stdlib.h>

bool yk_group_advantages(const double *reward, int64_t n, bool scale, double *advantage)
{
    double sum = 0, squares = 0;
    bool differ = false;
    for (int64_t i = 0; i < n; i++) {
        differ |= reward[i] != reward[0];
        sum += reward[i];
    }
    const double mean = sum / (double)n;
    for (int64_t i = 0; i < n; i++) squares += (reward[i] - mean) * (reward[i] - mean);
    const double deviation = scale ? sqrt(squares / (double)n) : 1;
    for (int64_t i = 0; i < n; i++) advantage[i] = differ ? (reward[i] - mean) / deviation : 0;
    return differ;
}

double yk_kl_k3(double logp, double reference)
{
    return yk_exp64(reference - logp) - (reference - logp) - 1;
}

yk_clipped_token yk_clipped_of(const yk_clipped *o, double logp, double old, double reference, double advantage)
{
    yk_clipped_token t = {0};
    const double ratio = yk_exp64(logp - old);
    t.clipped = advantage > 0 ? ratio > 1 + o->high : advantage < 0 && ratio < 1 - o->low;
    if (t.clipped) {
        t.loss = -(advantage > 0 ? 1 + o->high : 1 - o->low) * advantage;
    } else {
        t.loss = -ratio * advantage;
        t.slope = t.loss;
    }
    if (o->kl > 0) {
        t.loss += o->kl * yk_kl_k3(logp, reference);
        t.slope += o->kl * (1 - yk_exp64(reference - logp));
    }
    return t;
}

yk_status yk_clipped_rows_new(yk_clipped_rows *x, const yk_clipped *o, int64_t rows, yk_error *err)
{
    yk_status st = YK_OK;
    *x = (yk_clipped_rows){.o = *o};
    YK_NEW(x->advantage, rows);
    YK_NEW(x->share, rows);
    YK_NEW(x->old, rows);
    YK_NEW(x->reference, rows);
    YK_NEW(x->entropy, rows);
    YK_NEW(x->clipped, rows);
done:
    return st;
}

void yk_clipped_rows_free(yk_clipped_rows *x)
{
    free(x->advantage);
    free(x->share);
    free(x->old);
    free(x->reference);
    free(x->entropy);
    free(x->clipped);
    *x = (yk_clipped_rows){0};
}

void yk_clipped_weigh(void *context, const yk_batch *batch, const float *value, const float *entropy, float *weight,
                      float *loss)
{
    yk_clipped_rows *x = context;
    for (int64_t r = 0; r < batch->rows; r++) {
        loss[r] = 0.0f;
        if (batch->weight[r] == 0.0f) continue;
        const yk_clipped_token t = yk_clipped_of(&x->o, (double)value[r], (double)x->old[r], (double)x->reference[r],
                                                 x->advantage[r]);
        loss[r] = (float)(t.loss * x->share[r]);
        weight[r] = (float)(-t.slope * x->share[r]);
        x->entropy[r] = entropy[r];
        x->clipped[r] = t.clipped;
    }
}
