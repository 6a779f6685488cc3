/* What a checkpoint holds of lanes that learn on their own. */
#include "base/mem.h"
#include "train/learner.h"

#include <stdio.h>
#include <stdlib.h>

static int64_t bytes_of(const yk_learner *l)
{
    return yk_model_floats(l->s->model) * (int64_t)sizeof(float);
}

/* The worker of a lane, if it is this rank's. */
static const yk_worker *worker_of(const yk_learner *l, int64_t lane)
{
    const int64_t turn = lane - yk_comm_rank(l->job->comm) * l->lanes.turns;
    return turn >= 0 && turn < l->lanes.turns ? &l->local->worker[turn] : NULL;
}

static void add_part(yk_lane_parts *x, const yk_learner *l, int64_t lane, const char *what, float *base)
{
    yk_lane_part *p = &x->part[x->n++];
    *p = (yk_lane_part){.base = base, .owner = (int)(lane / l->lanes.turns)};
    snprintf(p->prefix, sizeof p->prefix, "lane.%lld.%s", (long long)lane, what);
}

static yk_status make_copies(yk_lane_parts *x, const yk_learner *l, yk_error *err)
{
    yk_status st = YK_OK;
    for (int64_t i = 0; i < x->n; i++) {
        if (x->part[i].owner == 0) continue;
        if (!(x->copy[i] = l->s->k->alloc(bytes_of(l))))
            YK_FAIL(YK_ERR_MEMORY, "no memory for the lanes of other ranks, which checkpoints hold: %lld x %lld bytes",
                    (long long)x->n, (long long)bytes_of(l));
        x->part[i].base = x->copy[i];
    }
done:
    return st;
}

yk_status yk_lane_parts_begin(yk_lane_parts *x, const yk_learner *l, int64_t step, yk_error *err)
{
    yk_status st = YK_OK;
    const int64_t lanes = l->job->recipe->lanes;
    *x = (yk_lane_parts){0};
    if (!l->local || step <= l->o.local.after) return YK_OK;
    YK_NEW(x->part, 3 * lanes);
    YK_NEW(x->copy, 3 * lanes);
    for (int64_t i = 0; i < lanes; i++) {
        const yk_worker *w = worker_of(l, i);
        if (i > 0) add_part(x, l, i, "optimizer.m.", w ? w->optimiser->m : NULL);
        if (i > 0) add_part(x, l, i, "optimizer.v.", w ? w->optimiser->v : NULL);
        if (yk_local_is_between(l, step)) add_part(x, l, i, "", w ? w->weight : NULL);
    }
    if (yk_comm_leads(l->job->comm)) YK_TRY(make_copies(x, l, err));
done:
    return st;
}

void yk_lane_parts_collect(const yk_lane_parts *x, const yk_learner *l)
{
    for (int64_t i = 0; i < x->n; i++)
        yk_comm_pass(l->job->comm, x->part[i].owner, 0, x->part[i].base, bytes_of(l));
}

void yk_lane_parts_deal(const yk_lane_parts *x, const yk_learner *l)
{
    for (int64_t i = 0; i < x->n; i++)
        yk_comm_pass(l->job->comm, 0, x->part[i].owner, x->part[i].base, bytes_of(l));
}

void yk_lane_parts_end(yk_lane_parts *x, const yk_learner *l)
{
    for (int64_t i = 0; x->copy && i < x->n; i++)
        if (x->copy[i]) l->s->k->free(x->copy[i]);
    free(x->copy);
    free(x->part);
    *x = (yk_lane_parts){0};
}

json_t *yk_local_counters(const yk_learner *l)
{
    if (!l->local || l->step <= l->o.local.after) return NULL;
    json_t *all = json_array();
    for (int64_t i = 0; i < l->job->recipe->lanes; i++) {
        const yk_lane *x = &l->local->lane[i];
        json_array_append_new(all, json_pack("{s:I, s:I, s:{s:f, s:I}}", "applied", (json_int_t)x->applied,
                                             "skipped_in_a_row", (json_int_t)x->skipped_in_a_row, "loss_scale",
                                             "value", x->loss_scale.value, "good", (json_int_t)x->loss_scale.good));
    }
    return all;
}

yk_status yk_local_take_counters(yk_learner *l, const json_t *all, yk_error *err)
{
    const int64_t lanes = l->job->recipe->lanes;
    if (!l->local || l->step <= l->o.local.after) return YK_OK;
    if ((int64_t)json_array_size(all) != lanes)
        return yk_fail(err, YK_ERR_DAMAGED, "the checkpoint does not tell of %lld lanes", (long long)lanes);
    for (int64_t i = 0; i < lanes; i++) {
        yk_lane *x = &l->local->lane[i];
        const json_t *d = json_array_get(all, (size_t)i), *scale = json_object_get(d, "loss_scale");
        *x = (yk_lane){.applied = json_integer_value(json_object_get(d, "applied")),
                       .skipped_in_a_row = json_integer_value(json_object_get(d, "skipped_in_a_row")),
                       .loss_scale = l->loss_scale};
        x->loss_scale.value = json_real_value(json_object_get(scale, "value"));
        x->loss_scale.good = json_integer_value(json_object_get(scale, "good"));
    }
    return YK_OK;
}
