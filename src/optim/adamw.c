#include "base/math64.h"
#include "base/mem.h"
#include "optim/optim.h"

#include <math.h>
#include <stdlib.h>

static yk_slice slice_of(const yk_optimiser *o, int bucket)
{
    const int64_t floats = yk_model_floats(o->model);
    return yk_comm_slice(o->comm, floats, floats, yk_comm_rank(o->comm), bucket);
}

static int buckets_of(const yk_optimiser *o)
{
    return yk_comm_buckets(o->comm, yk_model_floats(o->model));
}

yk_status yk_optimiser_new(yk_optimiser *o, yk_model *model, const yk_kernels *k, const yk_adamw_options *options,
                           yk_comm *comm, yk_error *err)
{
    yk_status st = YK_OK;
    int64_t floats = yk_model_floats(model);
    *o = (yk_optimiser){.model = model, .o = *options, .comm = comm, .most_norm = INFINITY,
                        .owned = yk_comm_owned(comm, floats, floats, yk_comm_rank(comm))};
    YK_NEW(o->partial, (floats + YK_SUM_BLOCK - 1) / YK_SUM_BLOCK);
    o->m = k->alloc(o->owned * (int64_t)sizeof(float));
    o->v = k->alloc(o->owned * (int64_t)sizeof(float));
    if (!o->m || !o->v)
        YK_FAIL(YK_ERR_MEMORY, "no memory for the optimiser: %lld bytes", (long long)o->owned * 8);
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
    for (int i = 0; i < buckets_of(o); i++) {
        const yk_slice own = slice_of(o, i);
        k->sum_squares(team, &(yk_sum_squares){yk_model_gradients(o->model) + own.begin, own.end - own.begin,
                                               o->partial + own.begin / YK_SUM_BLOCK});
    }
    yk_comm_gather_blocks(o->comm, o->partial, floats);
    double sum = 0;
    for (int64_t b = 0; b < (floats + YK_SUM_BLOCK - 1) / YK_SUM_BLOCK; b++) sum += o->partial[b];
    return sqrt(sum) * scale;
}

static void clear_gradients(const yk_optimiser *o, const yk_kernels *k, const yk_team *team)
{
    k->zero(team, yk_model_gradients(o->model), yk_model_floats(o->model) * (int64_t)sizeof(float));
}

/* Of the flat index [from, to), of one rate and decay, what lies in a slice whose moments begin at `at`. */
static void update(const yk_optimiser *o, const yk_kernels *k, const yk_team *team, yk_adamw a, yk_slice own,
                   int64_t at, int64_t from, int64_t to)
{
    if (from < own.begin) from = own.begin;
    if (to > own.end) to = own.end;
    if (from >= to) return;
    a.weight = yk_model_weights(o->model) + from;
    a.gradient = yk_model_gradients(o->model) + from;
    a.m = o->m + at + (from - own.begin);
    a.v = o->v + at + (from - own.begin);
    a.n = to - from;
    k->adamw(team, &a);
}

/* The same of all slices. */
static void update_slices(const yk_optimiser *o, const yk_kernels *k, const yk_team *team, yk_adamw a, int64_t from,
                          int64_t to)
{
    int64_t at = 0;
    for (int i = 0; i < buckets_of(o); i++) {
        const yk_slice own = slice_of(o, i);
        update(o, k, team, a, own, at, from, to);
        at += own.end - own.begin;
    }
}

bool yk_optimiser_step(yk_optimiser *o, const yk_kernels *k, const yk_team *team, double scale, double lr,
                       int64_t step, double *norm)
{
    const int64_t floats = yk_model_floats(o->model);
    *norm = gradient_norm(o, k, team, scale);
    if (!isfinite(*norm) || *norm > o->most_norm) {
        clear_gradients(o, k, team);
        return false;
    }
    if (o->o.clip > 0 && *norm > o->o.clip) scale *= o->o.clip / *norm;
    int count;
    const yk_param *param = yk_model_params(o->model, &count);
    yk_adamw a = {.scale = (float)scale, .beta1 = (float)o->o.beta1, .beta2 = (float)o->o.beta2,
                  .eps = (float)o->o.eps, .bias1 = (float)(1.0 - yk_pow64(o->o.beta1, (double)step)),
                  .bias2 = (float)(1.0 - yk_pow64(o->o.beta2, (double)step))};
    for (int i = 0; i < count; i++) { /* runs of equal rate and decay are one range */
        int last = i;
        while (last + 1 < count && param[last + 1].decay == param[i].decay && param[last + 1].rate == param[i].rate)
            last++;
        a.lr = (float)(lr * param[i].rate);
        a.decay = param[i].decay ? (float)(o->o.decay / param[i].rate) : 0.0f;
        update_slices(o, k, team, a, param[i].offset, param[last].offset + param[last].count);
        i = last;
    }
    if (o->comm) {
        if (!o->weights_stay) yk_comm_gather_slices(o->comm, team, yk_model_weights(o->model), floats, floats);
        clear_gradients(o, k, team); /* those of the others' slices */
    }
    yk_model_weights_changed(o->model);
    return true;
}

yk_status yk_moments_begin(yk_moments *x, const yk_optimiser *o, const yk_kernels *k, yk_error *err)
{
    const int64_t bytes = yk_model_floats(o->model) * (int64_t)sizeof(float);
    *x = (yk_moments){.m = o->m, .v = o->v, .is_copy = o->comm};
    if (!o->comm) return YK_OK;
    x->m = yk_comm_leads(o->comm) ? k->alloc(bytes) : NULL;
    x->v = yk_comm_leads(o->comm) ? k->alloc(bytes) : NULL;
    if (!yk_comm_leads(o->comm) || (x->m && x->v)) return YK_OK;
    return yk_fail(err, YK_ERR_MEMORY, "no memory for all ranks' moments: %lld bytes", 2 * (long long)bytes);
}

void yk_moments_collect(yk_moments *x, const yk_optimiser *o)
{
    if (!x->is_copy) return;
    yk_comm_collect_slices(o->comm, x->m, o->m, yk_model_floats(o->model));
    yk_comm_collect_slices(o->comm, x->v, o->v, yk_model_floats(o->model));
}

void yk_moments_end(yk_moments *x, const yk_kernels *k)
{
    if (x->is_copy && x->m) k->free(x->m);
    if (x->is_copy && x->v) k->free(x->v);
    *x = (yk_moments){0};
}
