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

/* What of a parameter's elements lies in the slice of a bucket: [begin, end) of the flat index. */
static yk_slice own_of(const yk_optimiser *o, const yk_param *p, int bucket)
{
    return yk_cut(slice_of(o, bucket), p->offset, p->offset + p->count);
}

static yk_status take_loads(yk_optimiser *o, yk_error *err)
{
    yk_status st = YK_OK;
    int count;
    int64_t elements = 0;
    const yk_param *param = yk_model_params(o->model, &count);
    for (int i = 0; i < count; i++) {
        o->counting += param[i].counts;
        if (param[i].counts) elements += param[i].count;
    }
    if (o->counting == 0) return YK_OK;
    YK_NEW(o->load, elements);
    YK_NEW(o->total, o->counting);
done:
    return st;
}

yk_status yk_optimiser_new(yk_optimiser *o, yk_model *model, const yk_kernels *k, const yk_adamw_options *options,
                           yk_comm *comm, yk_error *err)
{
    yk_status st = YK_OK;
    int64_t floats = yk_model_floats(model);
    *o = (yk_optimiser){.model = model, .o = *options, .comm = comm, .most_norm = INFINITY,
                        .owned = yk_comm_owned(comm, floats, floats, yk_comm_rank(comm))};
    YK_NEW(o->partial, (floats + YK_SUM_BLOCK - 1) / YK_SUM_BLOCK);
    YK_TRY(take_loads(o, err));
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
    free(o->load);
    free(o->total);
    *o = (yk_optimiser){0};
}

/* Takes the counts of a parameter's own elements out of the gradients; their sum. */
static double take_counts(const yk_optimiser *o, const yk_param *p, double **load)
{
    float *gradient = yk_model_gradients(o->model);
    double sum = 0;
    for (int b = 0; b < buckets_of(o); b++) {
        const yk_slice own = own_of(o, p, b);
        for (int64_t j = own.begin; j < own.end; j++) {
            sum += *(*load)++ = (double)gradient[j];
            gradient[j] = 0;
        }
    }
    return sum;
}

/* The gradients are then those of what is learnt, and all ranks know the sums of the counts. */
static void collect_loads(yk_optimiser *o)
{
    int count;
    const yk_param *param = yk_model_params(o->model, &count);
    double *load = o->load;
    int64_t *total = o->total;
    if (o->counting == 0) return;
    for (int i = 0; i < count; i++)
        if (param[i].counts) *total++ = (int64_t)take_counts(o, &param[i], &load);
    yk_comm_add_counts(o->comm, o->total, o->counting);
}

/* Moves a parameter's own elements, of whose counts the sum over all elements is known. */
static void even(const yk_optimiser *o, const yk_param *p, double sum, const double **load)
{
    float *weight = yk_model_weights(o->model);
    for (int b = 0; b < buckets_of(o); b++) {
        const yk_slice own = own_of(o, p, b);
        for (int64_t j = own.begin; j < own.end; j++) {
            const double more = *(*load)++ * (double)p->count - sum;
            weight[j] -= (float)(more > 0 ? o->o.expert_rate : more < 0 ? -o->o.expert_rate : 0);
        }
    }
}

static void even_loads(const yk_optimiser *o)
{
    int count;
    const yk_param *param = yk_model_params(o->model, &count);
    const double *load = o->load;
    const int64_t *total = o->total;
    for (int i = 0; i < count; i++)
        if (param[i].counts) even(o, &param[i], (double)*total++, &load);
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
    const yk_slice here = yk_cut(own, from, to);
    if (here.begin >= here.end) return;
    a.weight = yk_model_weights(o->model) + here.begin;
    a.gradient = yk_model_gradients(o->model) + here.begin;
    a.m = o->m + at + (here.begin - own.begin);
    a.v = o->v + at + (here.begin - own.begin);
    a.n = here.end - here.begin;
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

static bool alike(const yk_param *a, const yk_param *b)
{
    return a->decay == b->decay && a->rate == b->rate && a->counts == b->counts;
}

/* All parameters but those that count; runs of equal rate and decay are one range. */
static void update_learnt(const yk_optimiser *o, const yk_kernels *k, const yk_team *team, yk_adamw a, double lr)
{
    int count, last;
    const yk_param *param = yk_model_params(o->model, &count);
    for (int i = 0; i < count; i = last + 1) {
        last = i;
        while (last + 1 < count && alike(&param[last + 1], &param[i])) last++;
        if (param[i].counts) continue;
        a.lr = (float)(lr * param[i].rate);
        a.decay = param[i].decay ? (float)(o->o.decay / param[i].rate) : 0.0f;
        update_slices(o, k, team, a, param[i].offset, param[last].offset + param[last].count);
    }
}

bool yk_optimiser_step(yk_optimiser *o, const yk_kernels *k, const yk_team *team, double scale, double lr,
                       int64_t step, double *norm)
{
    const int64_t floats = yk_model_floats(o->model);
    collect_loads(o);
    *norm = gradient_norm(o, k, team, scale);
    if (!isfinite(*norm) || *norm > o->most_norm) {
        clear_gradients(o, k, team);
        return false;
    }
    if (o->o.clip > 0 && *norm > o->o.clip) scale *= o->o.clip / *norm;
    const yk_adamw a = {.scale = (float)scale, .beta1 = (float)o->o.beta1, .beta2 = (float)o->o.beta2,
                        .eps = (float)o->o.eps, .bias1 = (float)(1.0 - yk_pow64(o->o.beta1, (double)step)),
                        .bias2 = (float)(1.0 - yk_pow64(o->o.beta2, (double)step))};
    even_loads(o);
    update_learnt(o, k, team, a, lr);
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
