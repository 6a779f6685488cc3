#include "train/local.h"

#include "base/log.h"
#include "base/mem.h"
#include "train/learner.h"
#include "train/replicas.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What is told of a lane behind its loss, weight and tallies; and once a rank. */
enum { NORM, FLUSHED, OWN_SUMS };
enum { FAILED = 1, STOPS = 2, DUE = 4, NOTHING_HEARD = -1 };

/* --- workers ------------------------------------------------------------------------------------- */

static yk_status open_worker(yk_learner *l, yk_local_worker *x, bool first, yk_error *err)
{
    yk_status st = YK_OK;
    const int64_t bytes = yk_model_floats(l->s->model) * (int64_t)sizeof(float);
    x->optimiser = first ? &l->optimiser : &x->own;
    if (!first) YK_TRY(yk_optimiser_new(&x->own, l->s->model, l->s->k, &l->o.adamw, NULL, err));
    if (!(x->weight = l->s->k->alloc(bytes)))
        YK_FAIL(YK_ERR_MEMORY, "no memory for the weights of each of %lld lanes: %lld bytes",
                (long long)l->lanes.turns, (long long)bytes);
done:
    return st;
}

yk_status yk_local_open(yk_learner *l, yk_error *err)
{
    yk_status st = YK_OK;
    const int64_t lanes = l->job->recipe->lanes;
    if (!l->o.local.steps) return YK_OK;
    YK_NEW(l->local, 1);
    yk_local *x = l->local;
    x->heard = NOTHING_HEARD;
    YK_NEW(x->worker, l->lanes.turns);
    YK_NEW(x->lane, lanes);
    YK_NEW(x->told, lanes * (YK_LANE_SUMS + YK_MOST_TALLIES + OWN_SUMS) + yk_comm_size(l->job->comm));
    YK_TRY(yk_outer_new(&x->outer, yk_model_floats(l->s->model), l->s->k, l->o.local.lr, l->o.local.momentum, err));
    for (int64_t turn = 0; turn < l->lanes.turns; turn++)
        YK_TRY(open_worker(l, &x->worker[turn], turn == 0, err));
    yk_learner_also(l, "outer.velocity.", x->outer.velocity);
done:
    return st;
}

void yk_local_close(yk_learner *l)
{
    yk_local *x = l->local;
    if (!x) return;
    for (int64_t turn = 0; x->worker && turn < l->lanes.turns; turn++) {
        if (x->worker[turn].weight) l->s->k->free(x->worker[turn].weight);
        yk_optimiser_free(&x->worker[turn].own, l->s->k);
    }
    yk_outer_free(&x->outer, l->s->k);
    free(x->worker);
    free(x->lane);
    free(x->told);
    free(x);
    l->local = NULL;
}

bool yk_local_is_next(const yk_learner *l)
{
    return l->local && l->step >= l->o.local.after;
}

bool yk_local_is_between(const yk_learner *l, int64_t step)
{
    return step > l->o.local.after && step < l->o.schedule.steps && step % l->o.local.steps != 0;
}

/* --- a lane's step ------------------------------------------------------------------------------- */

/* What lanes have learnt together is where each begins. */
static void part(yk_learner *l)
{
    for (int64_t i = 0; i < l->job->recipe->lanes; i++)
        l->local->lane[i] = (yk_lane){.applied = l->applied, .loss_scale = l->loss_scale};
    for (int64_t turn = 1; turn < l->lanes.turns; turn++) {
        const yk_optimiser *o = l->local->worker[turn].optimiser;
        yk_weights_copy(l->s->model, o->m, l->optimiser.m);
        yk_weights_copy(l->s->model, o->v, l->optimiser.v);
    }
}

static void begin_round(yk_learner *l)
{
    for (int64_t turn = 0; turn < l->lanes.turns; turn++)
        yk_weights_copy(l->s->model, l->local->worker[turn].weight, l->weights.weight);
}

/* told: loss, weight and tallies, then own sums. A lane whose samples have no targets stays where it is. */
static yk_status step_lane(yk_learner *l, const yk_work *w, int64_t turn, double *told, yk_error *err)
{
    yk_status st = YK_OK;
    yk_model *model = l->s->model;
    const int64_t i = yk_lanes_at(&l->lanes, turn), floats = yk_model_floats(model);
    const yk_lane *lane = &l->local->lane[i];
    const yk_local_worker *x = &l->local->worker[turn];
    double *own = told + YK_LANE_SUMS + w->tallies;
    yk_model_use(model, (yk_weights){x->weight, l->weights.gradient});
    if (l->local->packs) YK_TRY(yk_model_pack(model, true, err));
    l->scale = lane->loss_scale.value;
    YK_TRY(yk_learner_lane(l, w, i, told, err));
    yk_model_finish_gradients(model, 0, floats);
    own[FLUSHED] = l->counts_flushed ? (double)yk_learner_count_flushed(l, l->weights.gradient, floats) : 0;
    own[NORM] = 0;
    if (told[YK_LANE_WEIGHT] == 0) goto done;
    const double unit = w->unit > 0 ? w->unit / (double)l->job->recipe->lanes : told[YK_LANE_WEIGHT];
    const double scale = isfinite(told[YK_LANE_LOSS]) ? 1 / (unit * l->scale) : NAN;
    const double began = yk_now();
    yk_optimiser_step(x->optimiser, l->s->k, &l->s->team, scale, l->rate, lane->applied + 1, &own[NORM]);
    l->times.update += yk_now() - began;
done:
    return st;
}

/* --- what ranks tell each other ------------------------------------------------------------------ */

static int64_t lane_width(const yk_work *w)
{
    return YK_LANE_SUMS + w->tallies + OWN_SUMS;
}

static double *told_of(const yk_learner *l, const yk_work *w, int64_t lane)
{
    const int64_t turns = l->lanes.turns;
    return l->local->told + lane / turns * (turns * lane_width(w) + 1) + lane % turns * lane_width(w);
}

/* The one exchange of a step. */
static yk_status tell(yk_learner *l, const yk_work *w, yk_status st, yk_error *err)
{
    yk_local *x = l->local;
    yk_comm *comm = l->job->comm;
    const int ranks = yk_comm_size(comm), rank = yk_comm_rank(comm);
    const int64_t lanes = l->job->recipe->lanes, behind = l->lanes.turns * lane_width(w);
    const int mine = (st != YK_OK ? FAILED : 0) | (yk_job_stops(l->job) ? STOPS : 0) |
                     (yk_comm_leads(comm) && yk_learner_save_is_late(l) ? DUE : 0);
    x->told[rank * (behind + 1) + behind] = mine;
    yk_comm_gather_doubles(comm, x->told, lanes * lane_width(w) + ranks);
    x->heard = 0;
    for (int r = 0; r < ranks; r++) x->heard |= (int)x->told[r * (behind + 1) + behind];
    return x->heard & FAILED ? yk_comm_agree(comm, st, err) : YK_OK;
}

bool yk_local_heard(const yk_learner *l, bool *stops, bool *due)
{
    if (!l->local || l->local->heard == NOTHING_HEARD) return false;
    *stops = l->local->heard & STOPS;
    *due = l->local->heard & DUE && !yk_local_is_between(l, l->step);
    return true;
}

/* As all ranks do for all lanes. */
static yk_status count_lane(yk_learner *l, int64_t i, const double *told, double norm, yk_error *err)
{
    yk_lane *lane = &l->local->lane[i];
    const long long step = l->step;
    if (told[YK_LANE_WEIGHT] == 0) return YK_OK;
    if (isfinite(told[YK_LANE_LOSS]) && isfinite(norm)) {
        lane->applied++;
        lane->skipped_in_a_row = 0;
        yk_loss_scale_good(&lane->loss_scale);
        return YK_OK;
    }
    l->step_skipped = true;
    if (isfinite(told[YK_LANE_LOSS]) && yk_loss_scale_overflow(&lane->loss_scale)) {
        yk_log("%-10s lane %lld skips step %lld: a gradient overflowed; its loss scale is now %.0f", l->o.kind,
               (long long)i, step, lane->loss_scale.value);
        return YK_OK;
    }
    yk_warn("step %lld: loss or gradient of lane %lld is not finite; it skips the step", step, (long long)i);
    if (++lane->skipped_in_a_row < l->spikes.o.give_up_after) return YK_OK;
    return yk_fail(err, YK_ERR_NUMERIC, "%lld steps of lane %lld in a row were not finite, the last is %lld; lower "
                   "%s.lr and run again: it goes on from the last checkpoint", (long long)l->spikes.o.give_up_after,
                   (long long)i, step, l->o.kind);
}

/* Lanes of all ranks, in order. */
static yk_status conclude(yk_learner *l, const yk_work *w, yk_error *err)
{
    yk_status st = YK_OK;
    const int64_t lanes = l->job->recipe->lanes, recorded = YK_LANE_SUMS + w->tallies;
    double loss = 0, weight = 0, norm = 0, flushed = 0;
    for (int i = 0; i < w->tallies; i++) w->tally[i] = 0;
    l->step++;
    l->step_skipped = false;
    l->remedy = YK_REMEDY_NONE;
    l->scale = l->local->lane[0].loss_scale.value;
    for (int64_t i = 0; i < lanes; i++) {
        const double *told = told_of(l, w, i), *own = told + YK_LANE_SUMS + w->tallies;
        memcpy(l->record + i * recorded, told, (size_t)recorded * sizeof *told);
        loss += told[YK_LANE_LOSS];
        weight += told[YK_LANE_WEIGHT];
        for (int j = 0; j < w->tallies; j++) w->tally[j] += told[YK_LANE_SUMS + j];
        norm += own[NORM];
        flushed += own[FLUSHED];
        l->scale = fmin(l->scale, l->local->lane[i].loss_scale.value);
        if (st == YK_OK) st = count_lane(l, i, told, own[NORM], err);
    }
    yk_learner_count_balance(l, w);
    l->loss = loss / weight;
    l->norm = norm / (double)lanes;
    l->flushed = (int64_t)(flushed / (double)lanes);
    *(l->step_skipped ? &l->skipped : &l->applied) += 1;
    return st;
}

/* --- the outer step ------------------------------------------------------------------------------ */

static void meet(yk_learner *l)
{
    const yk_kernels *k = l->s->k;
    const yk_team *team = &l->s->team;
    yk_local *x = l->local;
    const int64_t floats = yk_model_floats(l->s->model);
    for (int64_t turn = 0; turn < l->lanes.turns; turn++) {
        yk_outer_way(&x->outer, k, team, l->weights.gradient, l->weights.weight, x->worker[turn].weight);
        yk_lanes_merge(&l->lanes, turn);
    }
    yk_comm_gather_slices(l->job->comm, team, l->weights.gradient, floats, floats);
    yk_outer_step(&x->outer, k, team, l->weights.weight, l->weights.gradient, l->job->recipe->lanes);
    k->zero(team, l->weights.gradient, yk_model_gradient_floats(l->s->model) * (int64_t)sizeof(float));
    yk_model_weights_changed(l->s->model);
}

yk_status yk_local_step(yk_learner *l, const yk_work *w, yk_error *err)
{
    yk_status st = YK_OK;
    yk_local *x = l->local;
    if (l->step == l->o.local.after) part(l);
    if (!yk_local_is_between(l, l->step)) begin_round(l);
    l->rate = l->o.local.share * yk_learning_rate(&l->o.schedule, l->step + 1);
    l->places = l->passes = 0;
    for (int64_t turn = 0; turn < l->lanes.turns && st == YK_OK; turn++)
        st = step_lane(l, w, turn, told_of(l, w, yk_lanes_at(&l->lanes, turn)), err);
    YK_TRY(tell(l, w, st, err));
    x->packs = l->passes > l->lanes.turns;
    YK_TRY(conclude(l, w, err));
    YK_TRY(yk_replicas_step(l, err));
    yk_model_use(l->s->model, l->weights);
    if (!yk_local_is_between(l, l->step)) meet(l);
done:
    return st;
}
