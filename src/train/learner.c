#include "train/learner.h"

#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

yk_adamw_options yk_adamw_of(const yk_recipe *r)
{
    return (yk_adamw_options){.beta1 = r->pretrain_beta1, .beta2 = r->pretrain_beta2, .eps = r->pretrain_eps,
                              .decay = r->pretrain_weight_decay, .clip = r->pretrain_clip};
}

yk_status yk_learner_open(yk_learner *l, const yk_job *job, yk_session *s, const yk_weights *weights,
                          const yk_learner_options *o, yk_error *err)
{
    yk_status st = YK_OK;
    *l = (yk_learner){.job = job, .s = s, .o = *o, .loss_scale = yk_loss_scale_of(job->recipe), .saved = yk_now()};
    l->weights = weights ? *weights
                         : (yk_weights){yk_model_weights(s->model), yk_model_gradients(s->model)};
    memset(l->chain, '0', sizeof l->chain - 1);
    yk_weights_hash(s->model, l->weights.weight, l->began_with);
    const int64_t zero = job->recipe->zero;
    YK_TRY(yk_optimiser_new(&l->optimiser, s->model, s->k, &o->adamw, zero >= 1 ? job->comm : NULL, err));
    YK_TRY(yk_lanes_new(&l->lanes, s->model, s->k, job->team, job->comm, job->recipe->lanes, zero >= 2, err));
    YK_TRY(yk_local_open(l, err));
    YK_NEW(l->record, job->recipe->lanes * (YK_LANE_SUMS + YK_MOST_TALLIES));
done:
    if (st != YK_OK) yk_learner_close(l);
    return st;
}

void yk_learner_close(yk_learner *l)
{
    if (!l->s) return;
    yk_local_close(l);
    free(l->place);
    free(l->record);
    yk_optimiser_free(&l->optimiser, l->s->k);
    yk_lanes_free(&l->lanes);
    *l = (yk_learner){0};
}

static void chain_loss(yk_learner *l)
{
    yk_digest *d = yk_digest_new();
    yk_digest_add(d, l->chain, sizeof l->chain - 1);
    yk_digest_add(d, &l->loss, sizeof l->loss);
    yk_digest_hex(d, l->chain);
    yk_digest_free(d);
}

int64_t yk_learner_count_flushed(const yk_learner *l, const float *x, int64_t n)
{
    int64_t count = 0;
    yk_count_below a = {.x = x, .n = n, .bound = 0x1p-56f, .count = &count};
    l->s->k->count_below(&l->s->team, &a);
    return count;
}

/* Of the gradients, of which a rank may know its slice alone. */
static yk_status count_flushed(yk_learner *l, yk_error *err)
{
    yk_status st = YK_OK;
    yk_comm *comm = l->optimiser.comm;
    const yk_slice own = l->optimiser.own;
    double *count = NULL;
    YK_NEW(count, yk_comm_size(comm));
    count[yk_comm_rank(comm)] =
        (double)yk_learner_count_flushed(l, l->weights.gradient + own.begin, own.end - own.begin);
    yk_comm_gather_doubles(comm, count, yk_comm_size(comm));
    l->flushed = 0;
    for (int r = 0; r < yk_comm_size(comm); r++) l->flushed += (int64_t)count[r];
done:
    free(count);
    return st;
}

/* An objective under the loss scale. */
typedef struct scaled {
    const yk_objective *objective;
    float scale;
} scaled;

static void weigh_scaled(void *context, const yk_batch *batch, const float *value, const float *entropy, float *weight,
                         float *loss)
{
    const scaled *x = context;
    x->objective->weigh(x->objective->context, batch, value, entropy, weight, loss);
    for (int64_t r = 0; r < batch->rows; r++) weight[r] *= x->scale;
}

/* Forward and backward of the session's rows. The scale is a power of two, so that dividing by it again is exact. */
static void pass(const yk_learner *l, const yk_work *w)
{
    yk_session *s = l->s;
    const float scale = (float)l->scale;
    yk_batch batch = yk_session_batch(s);
    if (w->objective) {
        scaled x = {w->objective, scale};
        yk_model_descend(s->model, &batch, &(yk_objective){w->objective->score, weigh_scaled, &x}, s->weight, s->loss);
    } else {
        for (int64_t r = 0; r < s->rows; r++) s->weight[r] *= scale;
        if (w->teaching)
            yk_model_distil(s->model, &batch, w->teaching, s->loss);
        else
            yk_model_train(s->model, &batch, (float)w->z_loss, s->loss, NULL);
        for (int64_t r = 0; r < s->rows; r++) s->loss[r] /= scale;
    }
    for (int64_t r = 0; r < s->rows; r++) s->weight[r] /= scale;
}

typedef struct sums {
    double loss, weight;
} sums;

/* Rows of l->record stand in order of ranks. */
static double *record_of(const yk_learner *l, const yk_work *w, int64_t lane)
{
    return l->record + yk_lanes_place(&l->lanes, lane) * (YK_LANE_SUMS + w->tallies);
}

static void flush(yk_learner *l, const yk_work *w, sums *lane)
{
    yk_session *s = l->s;
    if (s->rows == 0) return;
    pass(l, w);
    for (int64_t r = 0; r < s->rows; r++) {
        lane->loss += (double)s->loss[r];
        lane->weight += (double)s->weight[r];
    }
    if (w->passed) w->passed(w->context, s);
    yk_session_clear(s);
    l->places = 0;
    l->passes++;
}

static yk_status add_item(yk_learner *l, const yk_work *w, int64_t item, bool *fits, yk_error *err)
{
    yk_status st = YK_OK;
    const int64_t row = l->s->rows;
    YK_ROOM(l->place, l->places, l->place_room);
    *fits = w->add(w->context, item, l->s);
    if (l->s->rows > row) l->place[l->places++] = (yk_place){item, row};
done:
    return st;
}

yk_status yk_learner_lane(yk_learner *l, const yk_work *w, int64_t lane, double *record, yk_error *err)
{
    yk_status st = YK_OK;
    const int64_t lanes = l->job->recipe->lanes;
    sums sum = {0};
    for (int i = 0; i < w->tallies; i++) w->tally[i] = 0;
    for (int64_t i = lane * w->items / lanes; i < (lane + 1) * w->items / lanes; i++) {
        bool fits;
        YK_TRY(add_item(l, w, i, &fits, err));
        if (fits) continue;
        flush(l, w, &sum);
        YK_TRY(add_item(l, w, i, &fits, err));
        if (!fits) YK_FAIL(YK_ERR_INTERNAL, "an item of a step is longer than %lld rows", (long long)l->s->max_rows);
    }
    flush(l, w, &sum);
    record[YK_LANE_LOSS] = sum.loss;
    record[YK_LANE_WEIGHT] = sum.weight;
    for (int i = 0; i < w->tallies; i++) record[YK_LANE_SUMS + i] = w->tally[i];
done:
    return st;
}

/* Ranks that failed say so before an exchange. */
static yk_status run_lanes(yk_learner *l, const yk_work *w, yk_error *err)
{
    yk_status st = l->passes > 1 ? yk_model_pack(l->s->model, true, err) : YK_OK;
    l->places = l->passes = 0;
    for (int64_t turn = 0; turn < l->lanes.turns; turn++) {
        const int64_t lane = yk_lanes_at(&l->lanes, turn);
        if (st == YK_OK) st = yk_learner_lane(l, w, lane, record_of(l, w, lane), err);
        if (yk_lanes_meet(&l->lanes, turn)) st = yk_comm_agree(l->job->comm, st, err);
        if (st == YK_OK) yk_lanes_merge(&l->lanes, turn);
    }
    return st;
}

/* The lanes of all ranks, in order. */
static sums add_up(yk_learner *l, const yk_work *w)
{
    sums all = {0};
    const int64_t lanes = l->job->recipe->lanes;
    yk_comm_gather_doubles(l->job->comm, l->record, lanes * (YK_LANE_SUMS + w->tallies));
    for (int i = 0; i < w->tallies; i++) w->tally[i] = 0;
    for (int64_t lane = 0; lane < lanes; lane++) {
        const double *record = record_of(l, w, lane);
        all.loss += record[YK_LANE_LOSS];
        all.weight += record[YK_LANE_WEIGHT];
        for (int i = 0; i < w->tallies; i++) w->tally[i] += record[YK_LANE_SUMS + i];
    }
    return all;
}

/* The step was not applied. One whose gradient alone overflowed is the loss scale's affair; the others may not become
 * many in a row. */
static yk_status skip_step(yk_learner *l, yk_error *err)
{
    l->skipped++;
    if (isfinite(l->loss) && yk_loss_scale_overflow(&l->loss_scale)) {
        yk_log("%-10s step %lld is skipped: a gradient overflowed; the loss scale is now %.0f", l->o.kind,
               (long long)l->step, l->loss_scale.value);
        return YK_OK;
    }
    yk_warn("step %lld: loss or gradient is not finite; the step is skipped", (long long)l->step);
    if (++l->skipped_in_a_row < YK_GIVE_UP_AFTER) return YK_OK;
    return yk_fail(err, YK_ERR_NUMERIC, "%d steps in a row were not finite, the last is %lld; lower %s.lr and run "
                   "again: it goes on from the last checkpoint", YK_GIVE_UP_AFTER, (long long)l->step, l->o.kind);
}

static yk_status step_together(yk_learner *l, const yk_work *w, yk_error *err)
{
    yk_status st = YK_OK;
    const int64_t floats = yk_model_floats(l->s->model);
    const yk_weights before = yk_model_use(l->s->model, l->weights);
    l->scale = l->loss_scale.value;
    yk_session_clear(l->s);
    YK_TRY(run_lanes(l, w, err));
    if (!l->optimiser.comm)
        yk_comm_gather_slices(l->job->comm, &l->s->team, l->weights.gradient, floats, floats);
    const sums all = add_up(l, w);
    l->step++;
    const double unit = w->unit > 0 ? w->unit : all.weight;
    l->loss = all.loss / unit;
    l->rate = yk_learning_rate(&l->o.schedule, l->step);
    if (l->counts_flushed) YK_TRY(count_flushed(l, err));
    l->step_skipped = !yk_optimiser_step(&l->optimiser, l->s->k, &l->s->team,
                                         isfinite(l->loss) ? 1 / (unit * l->scale) : NAN, l->rate, l->applied + 1,
                                         &l->norm);
    if (l->step_skipped) {
        YK_TRY(skip_step(l, err));
    } else {
        l->applied++;
        l->skipped_in_a_row = 0;
        yk_loss_scale_good(&l->loss_scale);
    }
done:
    yk_model_use(l->s->model, before);
    return st;
}

yk_status yk_learner_step(yk_learner *l, const yk_work *w, yk_error *err)
{
    const double began = yk_now();
    const int64_t sent = yk_comm_sent(l->job->comm);
    const yk_status st = yk_local_is_next(l) ? yk_local_step(l, w, err) : step_together(l, w, err);
    if (st != YK_OK) return st;
    chain_loss(l);
    l->seconds += yk_now() - began;
    l->sent += yk_comm_sent(l->job->comm) - sent;
    return YK_OK;
}

json_t *yk_learner_row(const yk_learner *l, double seconds)
{
    json_t *row = json_pack("{s:s, s:I, s:o, s:f, s:o, s:f, s:b}", "type", "step", "step", (json_int_t)l->step, "loss",
                            yk_json_number_or_null(l->loss), "lr", l->rate, "grad_norm",
                            yk_json_number_or_null(l->norm), "seconds", seconds, "skipped", l->step_skipped);
    if (l->scale != 1) json_object_set_new(row, "loss_scale", json_real(l->scale));
    return row;
}

bool yk_learner_stops(const yk_learner *l)
{
    bool stops, due;
    return yk_local_heard(l, &stops, &due) ? stops : yk_comm_any(l->job->comm, yk_job_stops(l->job));
}
