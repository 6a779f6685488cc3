#include "train/learner.h"

#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "base/watch.h"
#include "train/memory.h"
#include "train/replicas.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

yk_adamw_options yk_adamw_of(const yk_recipe *r)
{
    return (yk_adamw_options){.beta1 = r->pretrain_beta1, .beta2 = r->pretrain_beta2, .eps = r->pretrain_eps,
                              .decay = r->pretrain_weight_decay, .clip = r->pretrain_clip,
                              .expert_rate = r->model_expert_bias_rate};
}

yk_status yk_learner_open(yk_learner *l, const yk_job *job, yk_session *s, const yk_weights *weights,
                          const yk_learner_options *o, yk_error *err)
{
    yk_status st = YK_OK;
    *l = (yk_learner){.job = job, .s = s, .o = *o, .turn = -1, .loss_scale = yk_loss_scale_of(job->recipe),
                      .saved = yk_now(), .saved_step = -1};
    l->weights = weights ? *weights
                         : (yk_weights){yk_model_weights(s->model), yk_model_gradients(s->model)};
    memset(l->chain, '0', sizeof l->chain - 1);
    yk_weights_hash(s->model, l->weights.weight, l->began_with);
    const int64_t zero = job->recipe->zero;
    const yk_spikes_options spikes = yk_spikes_of(job->recipe, o->judges_spikes);
    YK_TRY(yk_spikes_new(&l->spikes, &spikes, err));
    YK_TRY(yk_optimiser_new(&l->optimiser, s->model, s->k, &o->adamw, zero >= 1 && !o->whole ? job->comm : NULL, err));
    YK_TRY(yk_lanes_new(&l->lanes, s->model, s->k, job->team, job->comm, job->recipe->lanes, zero >= 2,
                        strcmp(job->recipe->pretrain_gradients, "bf16") == 0, err));
    l->optimiser.weights_stay = zero >= 3 && o->deals_weights && job->comm;
    if (l->optimiser.weights_stay)
        YK_TRY(yk_dealt_new(&l->dealt, s->model, s->k, job->team, job->comm, l->weights.weight, err));
    YK_TRY(yk_local_open(l, err));
    YK_NEW(l->record, job->recipe->lanes * (YK_LANE_SUMS + YK_MOST_TALLIES));
done:
    if (st != YK_OK) yk_learner_close(l);
    return st;
}

void yk_learner_close(yk_learner *l)
{
    if (!l->s) return;
    yk_learner_drop_save(l);
    yk_local_close(l);
    free(l->copy);
    free(l->place);
    free(l->record);
    yk_spikes_free(&l->spikes);
    yk_optimiser_free(&l->optimiser, l->s->k);
    yk_lanes_free(&l->lanes);
    yk_dealt_free(&l->dealt);
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

/* Of the gradients, of which a rank may know its slices alone. */
static void count_flushed(yk_learner *l)
{
    yk_comm *comm = l->optimiser.comm;
    const int64_t floats = yk_model_floats(l->s->model);
    l->flushed = 0;
    for (int i = 0; i < yk_comm_buckets(comm, floats); i++) {
        const yk_slice own = yk_comm_slice(comm, floats, floats, yk_comm_rank(comm), i);
        l->flushed += yk_learner_count_flushed(l, l->weights.gradient + own.begin, own.end - own.begin);
    }
    yk_comm_add_counts(comm, &l->flushed, 1);
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

double yk_learner_talking(const yk_learner *l)
{
    const yk_comm_times t = yk_comm_since(l->job->comm, (yk_comm_times){0});
    return t.waited + t.agreed;
}

/* What the model's clocks of passes show is added or taken away. */
static void count_passes(yk_learner *l, double sign)
{
    const yk_phase *p;
    for (int i = 0; (p = yk_model_phase(l->s->model, i)); i++) {
        l->times.forward += sign * p->forward;
        l->times.backward += sign * p->backward;
    }
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
    l->times.rows += (double)s->rows;
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

/* All items of a lane, the rows of the last ones not passed yet. */
static yk_status gather_lane(yk_learner *l, const yk_work *w, int64_t lane, sums *sum, yk_error *err)
{
    yk_status st = YK_OK;
    const int64_t lanes = l->job->recipe->lanes;
    for (int i = 0; i < w->tallies; i++) w->tally[i] = 0;
    for (int64_t i = lane * w->items / lanes; i < (lane + 1) * w->items / lanes; i++) {
        bool fits;
        YK_TRY(add_item(l, w, i, &fits, err));
        if (fits) continue;
        flush(l, w, sum);
        YK_TRY(add_item(l, w, i, &fits, err));
        if (!fits) YK_FAIL(YK_ERR_INTERNAL, "an item of a step is longer than %lld rows", (long long)l->s->max_rows);
    }
done:
    return st;
}

/* A lane, and where the learner's clocks stood when it began. */
typedef struct lane_run {
    sums sum;
    double began, talked, rows;
} lane_run;

static lane_run lane_begins(const yk_learner *l)
{
    return (lane_run){.began = yk_now(), .talked = yk_learner_talking(l), .rows = l->times.rows};
}

static void record_lane(const yk_learner *l, const yk_work *w, const lane_run *x, double *record)
{
    record[YK_LANE_LOSS] = x->sum.loss;
    record[YK_LANE_WEIGHT] = x->sum.weight;
    record[YK_LANE_SECONDS] = yk_now() - x->began - (yk_learner_talking(l) - x->talked);
    record[YK_LANE_ROWS] = l->times.rows - x->rows;
    for (int i = 0; i < w->tallies; i++) record[YK_LANE_SUMS + i] = w->tally[i];
}

yk_status yk_learner_lane(yk_learner *l, const yk_work *w, int64_t lane, double *record, yk_error *err)
{
    lane_run x = lane_begins(l);
    const yk_status st = gather_lane(l, w, lane, &x.sum, err);
    if (st != YK_OK) return st;
    flush(l, w, &x.sum);
    record_lane(l, w, &x, record);
    return YK_OK;
}

/* The last pass, during which ranks that meet begin to sum up: those that failed have said so before. */
static yk_status run_turn(yk_learner *l, const yk_work *w, int64_t turn, yk_status st, yk_error *err)
{
    lane_run x = lane_begins(l);
    const int64_t lane = yk_lanes_at(&l->lanes, turn);
    if (st == YK_OK) st = gather_lane(l, w, lane, &x.sum, err);
    if (yk_lanes_meet(&l->lanes, turn)) {
        st = yk_comm_agree(l->job->comm, st, err);
        l->turn = turn;
    }
    if (st == YK_OK) flush(l, w, &x.sum);
    l->turn = -1;
    if (st != YK_OK) return st;
    record_lane(l, w, &x, record_of(l, w, lane));
    yk_lanes_merge(&l->lanes, turn);
    return YK_OK;
}

static yk_status run_lanes(yk_learner *l, const yk_work *w, yk_error *err)
{
    yk_status st = l->passes > 1 && !l->dealt.comm ? yk_model_pack(l->s->model, true, err) : YK_OK;
    l->places = l->passes = 0;
    for (int64_t turn = 0; turn < l->lanes.turns; turn++) st = run_turn(l, w, turn, st, err);
    return st;
}

static void node_begins(void *context, int node, bool backward)
{
    yk_learner *l = context;
    (void)node, (void)backward;
    yk_dealt_begins(&l->dealt);
}

static void node_ended(void *context, int node, bool backward)
{
    yk_learner *l = context;
    yk_dealt_ended(&l->dealt);
    if (backward && l->turn >= 0) yk_lanes_backward(&l->lanes, l->turn, node);
}

void yk_learner_whole(yk_learner *l)
{
    yk_dealt_whole(&l->dealt);
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

/* Of seconds or rows: how many the rank with most of them had above the mean. */
static double most_above_mean(const yk_learner *l, const yk_work *w, int figure)
{
    const int64_t lanes = l->job->recipe->lanes, turns = l->lanes.turns;
    double all = 0, most = 0, rank = 0;
    for (int64_t place = 0; place < lanes; place++) {
        const double x = l->record[place * (YK_LANE_SUMS + w->tallies) + figure];
        rank = place % turns == 0 ? x : rank + x;
        all += x;
        if (rank > most) most = rank;
    }
    return most - all * (double)turns / (double)lanes;
}

void yk_learner_count_balance(yk_learner *l, const yk_work *w)
{
    l->times.lost += most_above_mean(l, w, YK_LANE_SECONDS);
    l->times.uneven += most_above_mean(l, w, YK_LANE_ROWS);
}

/* The step was not applied. One whose gradient alone overflowed is the loss scale's affair. */
static yk_status reject_step(yk_learner *l, yk_error *err)
{
    const bool finite = isfinite(l->loss) && isfinite(l->norm);
    const long long step = l->step;
    l->skipped++;
    if (isfinite(l->loss) && !finite && yk_loss_scale_overflow(&l->loss_scale)) {
        yk_log("%-10s step %lld is skipped: a gradient overflowed; the loss scale is now %.0f", l->o.kind, step,
               l->loss_scale.value);
        return YK_OK;
    }
    if (finite)
        yk_warn("step %lld: loss %.4g (at most %.4g) or gradient norm %.4g (at most %.4g) is a spike; the step is not "
                "applied", step, l->loss, l->spikes.loss_limit, l->norm, l->spikes.norm_limit);
    else
        yk_warn("step %lld: loss or gradient is not finite; the step is not applied", step);
    l->remedy = yk_spikes_bad(&l->spikes);
    if (l->remedy != YK_REMEDY_GIVE_UP) return YK_OK;
    return yk_fail(err, YK_ERR_NUMERIC, "%lld steps in a row went wrong, or %lld rollbacks did not help; the last is "
                   "step %lld: lower %s.lr and run again: it goes on from the last checkpoint",
                   (long long)l->spikes.in_a_row, (long long)l->spikes.rollbacks, step, l->o.kind);
}

static void accept_step(yk_learner *l)
{
    l->applied++;
    yk_spikes_good(&l->spikes, l->loss, l->norm);
    yk_loss_scale_good(&l->loss_scale);
}

static yk_status step_together(yk_learner *l, const yk_work *w, yk_error *err)
{
    yk_status st = YK_OK;
    const int64_t floats = yk_model_floats(l->s->model);
    yk_model_watch(l->s->model, &(yk_watcher){node_begins, node_ended, l});
    l->scale = l->loss_scale.value;
    yk_dealt_part(&l->dealt);
    YK_TRY(run_lanes(l, w, err));
    if (!l->optimiser.comm)
        yk_comm_gather_slices(l->job->comm, &l->s->team, l->weights.gradient, floats, floats);
    const sums all = add_up(l, w);
    yk_learner_count_balance(l, w);
    l->step++;
    const double unit = w->unit > 0 ? w->unit : all.weight;
    l->loss = all.loss / unit;
    l->rate = yk_learning_rate(&l->o.schedule, l->step);
    YK_TRY(yk_replicas_step(l, err));
    if (l->counts_flushed) count_flushed(l);
    const double updates = yk_now(), talked = yk_learner_talking(l);
    l->optimiser.most_norm = yk_spikes_most_norm(&l->spikes, l->loss);
    l->step_skipped = !yk_optimiser_step(&l->optimiser, l->s->k, &l->s->team,
                                         isfinite(l->loss) ? 1 / (unit * l->scale) : NAN, l->rate, l->applied + 1,
                                         &l->norm);
    l->times.update += yk_now() - updates - (yk_learner_talking(l) - talked);
    l->remedy = YK_REMEDY_NONE;
    if (l->step_skipped) YK_TRY(reject_step(l, err));
    else accept_step(l);
done:
    yk_model_watch(l->s->model, NULL);
    return st;
}

yk_status yk_learner_step(yk_learner *l, const yk_work *w, yk_error *err)
{
    yk_status st = yk_learner_poll_save(l, err);
    if (st != YK_OK) return st;
    const double began = yk_now(), talked = yk_learner_talking(l);
    const int64_t sent = yk_comm_sent(l->job->comm);
    const yk_comm_times timed = yk_comm_since(l->job->comm, (yk_comm_times){0});
    const yk_weights before = yk_model_use(l->s->model, l->weights);
    yk_watch_phase("step", l->step + 1);
    yk_session_clear(l->s);
    count_passes(l, -1);
    YK_TRY(yk_local_is_next(l) ? yk_local_step(l, w, err) : step_together(l, w, err));
    count_passes(l, 1);
    chain_loss(l);
    l->exchange = yk_comm_since(l->job->comm, timed);
    l->exchanged.worked += l->exchange.worked;
    l->exchanged.waited += l->exchange.waited;
    l->seconds += yk_now() - began;
    l->times.seconds += yk_now() - began;
    l->times.exchange += yk_learner_talking(l) - talked;
    l->sent += yk_comm_sent(l->job->comm) - sent;
done:
    yk_model_use(l->s->model, before);
    return st;
}

/* Of weights dealt out, those of the others that are there at most are left out: two layers' (yk_needs_of). */
int64_t yk_learner_memory(const yk_learner *l)
{
    const int64_t size = (int64_t)sizeof(float), dealt = yk_model_floats(l->s->model) - l->optimiser.owned;
    const yk_ranks ranks = yk_ranks_of(l->job->comm);
    int64_t waiting = 0;
    for (int i = 0; i < l->lanes.parts; i++) waiting += l->lanes.part[i].end - l->lanes.part[i].begin;
    return yk_memory_sum(yk_model_memory(l->s->model)) - (l->dealt.comm ? dealt * size : 0) +
           (2 * l->optimiser.owned + yk_local_floats(l) + l->lanes.levels * waiting) * size +
           l->s->max_rows * YK_SESSION_ROW_BYTES + yk_comm_bytes(ranks.size, ranks.node);
}

json_t *yk_learner_row(const yk_learner *l, double seconds)
{
    json_t *row = json_pack("{s:s, s:I, s:o, s:f, s:o, s:f, s:b}", "type", "step", "step", (json_int_t)l->step, "loss",
                            yk_json_number_or_null(l->loss), "lr", l->rate, "grad_norm",
                            yk_json_number_or_null(l->norm), "seconds", seconds, "skipped", l->step_skipped);
    if (l->scale != 1) json_object_set_new(row, "loss_scale", json_real(l->scale));
    if (l->job->comm) {
        json_object_set_new(row, "exchange_seconds", json_real(l->exchange.waited));
        json_object_set_new(row, "exchange_hidden", json_real(yk_comm_hidden(l->exchange)));
    }
    return row;
}

bool yk_learner_stops(const yk_learner *l)
{
    bool stops, due;
    return yk_local_heard(l, &stops, &due) ? stops : yk_comm_any(l->job->comm, yk_job_stops(l->job));
}
