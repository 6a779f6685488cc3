/* What a checkpoint holds of lanes that learn on their own. */
#include "train/saving.h"

#include <stdio.h>

int64_t yk_local_floats(const yk_learner *l)
{
    return l->local ? yk_local_floats_of(l->lanes.turns, yk_model_floats(l->s->model)) : 0;
}

bool yk_local_parted(const yk_learner *l)
{
    return l->local && l->step > l->o.local.after;
}

/* The worker of a lane, if it is this rank's. */
static const yk_local_worker *worker_of(const yk_learner *l, int64_t lane)
{
    const int64_t turn = lane - yk_comm_rank(l->job->comm) * l->lanes.turns;
    return turn >= 0 && turn < l->lanes.turns ? &l->local->worker[turn] : NULL;
}

int yk_local_most_parts(const yk_learner *l)
{
    return l->local ? 3 * (int)l->job->recipe->lanes : 0;
}

static void name_part(const yk_learner *l, yk_state_part *part, int64_t lane, const char *what, float *base)
{
    *part = (yk_state_part){.base = base, .owner = (int)(lane / l->lanes.turns)};
    snprintf(part->prefix, sizeof part->prefix, "lane.%lld.%s", (long long)lane, what);
}

int yk_local_parts(const yk_learner *l, yk_state_part *part)
{
    int n = 0;
    if (!yk_local_parted(l)) return 0;
    for (int64_t i = 0; i < l->job->recipe->lanes; i++) {
        const yk_local_worker *w = worker_of(l, i);
        if (i > 0) name_part(l, &part[n++], i, "optimizer.m.", w ? w->optimiser->m : NULL);
        if (i > 0) name_part(l, &part[n++], i, "optimizer.v.", w ? w->optimiser->v : NULL);
        if (yk_local_is_between(l, l->step)) name_part(l, &part[n++], i, "", w ? w->weight : NULL);
    }
    return n;
}

json_t *yk_local_counters(const yk_learner *l)
{
    if (!yk_local_parted(l)) return NULL;
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
    if (!yk_local_parted(l)) return YK_OK;
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
