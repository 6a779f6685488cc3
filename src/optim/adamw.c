#include "base/math64.h"
#include "base/mem.h"
#include "optim/optim.h"

#include <math.h>
#include <stdlib.h>

static int64_t owned(const yk_optimiser *o)
{
    return o->own.end - o->own.begin;
}

/* What of a parameter's elements lies in the own slice: [begin, end) of the flat index. */
static yk_slice own_of(const yk_optimiser *o, const yk_param *p)
{
    const int64_t begin = p->offset > o->own.begin ? p->offset : o->own.begin;
    const int64_t end = p->offset + p->count < o->own.end ? p->offset + p->count : o->own.end;
    return (yk_slice){begin, end > begin ? end : begin};
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
    YK_NEW(o->total, yk_comm_size(o->comm) * o->counting);
done:
    return st;
}

yk_status yk_optimiser_new(yk_optimiser *o, yk_model *model, const yk_kernels *k, const yk_adamw_options *options,
                           yk_comm *comm, yk_error *err)
{
    yk_status st = YK_OK;
    int64_t floats = yk_model_floats(model);
    *o = (yk_optimiser){.model = model, .o = *options, .comm = comm,
                        .own = yk_comm_slice(comm, floats, floats, yk_comm_rank(comm))};
    YK_NEW(o->partial, (floats + YK_SUM_BLOCK - 1) / YK_SUM_BLOCK);
    YK_TRY(take_loads(o, err));
    o->m = k->alloc(owned(o) * (int64_t)sizeof(float));
    o->v = k->alloc(owned(o) * (int64_t)sizeof(float));
    if (!o->m || !o->v)
        YK_FAIL(YK_ERR_MEMORY, "no memory for the optimiser: %lld bytes", (long long)owned(o) * 8);
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

/* Takes the counts of the slice out of the gradients, which are then those of what is learnt, and lets all ranks know
 * their sums. They are whole numbers: no order of theirs changes a bit. */
static void collect_loads(yk_optimiser *o)
{
    int count;
    const yk_param *param = yk_model_params(o->model, &count);
    float *gradient = yk_model_gradients(o->model);
    double *load = o->load, *sum = o->total + yk_comm_rank(o->comm) * o->counting;
    for (int i = 0; i < count; i++) {
        if (!param[i].counts) continue;
        const yk_slice own = own_of(o, &param[i]);
        *sum = 0;
        for (int64_t j = own.begin; j < own.end; j++) {
            *sum += *load++ = (double)gradient[j];
            gradient[j] = 0;
        }
        sum++;
    }
    if (o->counting > 0) yk_comm_gather_doubles(o->comm, o->total, yk_comm_size(o->comm) * o->counting);
}

static void even_loads(const yk_optimiser *o)
{
    int count, at = 0;
    const yk_param *param = yk_model_params(o->model, &count);
    float *weight = yk_model_weights(o->model);
    const double *load = o->load;
    for (int i = 0; i < count; i++) {
        if (!param[i].counts) continue;
        const yk_slice own = own_of(o, &param[i]);
        double sum = 0;
        for (int r = 0; r < yk_comm_size(o->comm); r++) sum += o->total[r * o->counting + at];
        for (int64_t j = own.begin; j < own.end; j++) {
            const double more = *load++ * (double)param[i].count - sum;
            weight[j] -= (float)(more > 0 ? o->o.expert_rate : more < 0 ? -o->o.expert_rate : 0);
        }
        at++;
    }
}

static double gradient_norm(const yk_optimiser *o, const yk_kernels *k, const yk_team *team, double scale)
{
    int64_t floats = yk_model_floats(o->model);
    k->sum_squares(team, &(yk_sum_squares){yk_model_gradients(o->model) + o->own.begin, owned(o),
                                           o->partial + o->own.begin / YK_SUM_BLOCK});
    yk_comm_gather_blocks(o->comm, team, o->partial, floats);
    double sum = 0;
    for (int64_t b = 0; b < (floats + YK_SUM_BLOCK - 1) / YK_SUM_BLOCK; b++) sum += o->partial[b];
    return sqrt(sum) * scale;
}

static void clear_gradients(const yk_optimiser *o, const yk_kernels *k, const yk_team *team)
{
    k->zero(team, yk_model_gradients(o->model), yk_model_floats(o->model) * (int64_t)sizeof(float));
}

/* The part of the flat index [from, to), all of which decays or does not, that is updated here. */
static void update(const yk_optimiser *o, const yk_kernels *k, const yk_team *team, yk_adamw a, int64_t from,
                   int64_t to)
{
    if (from < o->own.begin) from = o->own.begin;
    if (to > o->own.end) to = o->own.end;
    if (from >= to) return;
    a.weight = yk_model_weights(o->model) + from;
    a.gradient = yk_model_gradients(o->model) + from;
    a.m = o->m + (from - o->own.begin);
    a.v = o->v + (from - o->own.begin);
    a.n = to - from;
    k->adamw(team, &a);
}

bool yk_optimiser_step(yk_optimiser *o, const yk_kernels *k, const yk_team *team, double scale, double lr,
                       int64_t step, double *norm)
{
    const int64_t floats = yk_model_floats(o->model);
    collect_loads(o);
    *norm = gradient_norm(o, k, team, scale);
    if (!isfinite(*norm)) {
        clear_gradients(o, k, team);
        return false;
    }
    if (o->o.clip > 0 && *norm > o->o.clip) scale *= o->o.clip / *norm;
    int count;
    const yk_param *param = yk_model_params(o->model, &count);
    yk_adamw a = {.scale = (float)scale, .lr = (float)lr, .beta1 = (float)o->o.beta1, .beta2 = (float)o->o.beta2,
                  .eps = (float)o->o.eps, .bias1 = (float)(1.0 - yk_pow64(o->o.beta1, (double)step)),
                  .bias2 = (float)(1.0 - yk_pow64(o->o.beta2, (double)step))};
    even_loads(o);
    for (int i = 0; i < count; i++) { /* runs of equal decay are one range */
        int last = i;
        if (param[i].counts) continue;
        while (last + 1 < count && param[last + 1].decay == param[i].decay && !param[last + 1].counts) last++;
        a.decay = param[i].decay ? (float)o->o.decay : 0.0f;
        update(o, k, team, a, param[i].offset, param[last].offset + param[last].count);
        i = last;
    }
    if (o->comm) {
        yk_comm_gather_slices(o->comm, team, yk_model_weights(o->model), floats, floats);
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

void yk_moments_deal(const yk_moments *x, yk_optimiser *o)
{
    if (!x->is_copy) return;
    yk_comm_deal_slices(o->comm, x->m, o->m, yk_model_floats(o->model));
    yk_comm_deal_slices(o->comm, x->v, o->v, yk_model_floats(o->model));
}

void yk_moments_end(yk_moments *x, const yk_kernels *k)
{
    if (x->is_copy && x->m) k->free(x->m);
    if (x->is_copy && x->v) k->free(x->v);
    *x = (yk_moments){0};
}
