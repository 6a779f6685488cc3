#include "train/learner.h"

#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "store/checkpoint.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { GIVE_UP_AFTER = 20, SECONDS_BETWEEN_SAVES = 60, PARTS = 3, SUMS = 2 };

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
    YK_NEW(l->record, job->recipe->lanes * (SUMS + YK_MOST_TALLIES));
done:
    if (st != YK_OK) yk_learner_close(l);
    return st;
}

void yk_learner_close(yk_learner *l)
{
    if (!l->s) return;
    free(l->place);
    free(l->record);
    yk_optimiser_free(&l->optimiser, l->s->k);
    yk_lanes_free(&l->lanes);
    *l = (yk_learner){0};
}

/* --- the step -------------------------------------------------------------------------------- */

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
    return l->record + yk_lanes_place(&l->lanes, lane) * (SUMS + w->tallies);
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

static yk_status run_lane(yk_learner *l, const yk_work *w, int64_t lane, yk_error *err)
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
    double *record = record_of(l, w, lane);
    record[0] = sum.loss;
    record[1] = sum.weight;
    for (int i = 0; i < w->tallies; i++) record[SUMS + i] = w->tally[i];
done:
    return st;
}

/* Ranks that failed say so before an exchange. */
static yk_status run_lanes(yk_learner *l, const yk_work *w, yk_error *err)
{
    yk_status st = l->passes > 1 ? yk_model_pack(l->s->model, true, err) : YK_OK;
    l->places = l->passes = 0;
    for (int64_t turn = 0; turn < l->lanes.turns; turn++) {
        if (st == YK_OK) st = run_lane(l, w, yk_lanes_at(&l->lanes, turn), err);
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
    yk_comm_gather_doubles(l->job->comm, l->record, lanes * (SUMS + w->tallies));
    for (int i = 0; i < w->tallies; i++) w->tally[i] = 0;
    for (int64_t lane = 0; lane < lanes; lane++) {
        const double *record = record_of(l, w, lane);
        all.loss += record[0];
        all.weight += record[1];
        for (int i = 0; i < w->tallies; i++) w->tally[i] += record[SUMS + i];
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
    if (++l->skipped_in_a_row < GIVE_UP_AFTER) return YK_OK;
    return yk_fail(err, YK_ERR_NUMERIC, "%d steps in a row were not finite, the last is %lld; lower %s.lr and run "
                   "again: it goes on from the last checkpoint", GIVE_UP_AFTER, (long long)l->step, l->o.kind);
}

yk_status yk_learner_step(yk_learner *l, const yk_work *w, yk_error *err)
{
    yk_status st = YK_OK;
    const double began = yk_now();
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
    chain_loss(l);
    l->seconds += yk_now() - began;
done:
    yk_model_use(l->s->model, before);
    return st;
}

json_t *yk_learner_row(const yk_learner *l, double seconds)
{
    json_t *row = json_pack("{s:s, s:I, s:o, s:f, s:o, s:f, s:b}", "type", "step", "step", (json_int_t)l->step, "loss",
                            yk_json_number_or_null(l->loss), "lr", l->rate, "grad_norm",
                            yk_json_number_or_null(l->norm), "seconds", seconds, "skipped", l->step_skipped);
    if (l->scale != 1) json_object_set_new(row, "loss_scale", json_real(l->scale));
    return row;
}

/* --- checkpoints ----------------------------------------------------------------------------- */

/* Weights, then both moments, then what else belongs to them. */
typedef struct state {
    yk_tensor *tensor;
    size_t n;
    yk_buf names[PARTS + YK_MOST_ALSO];
} state;

static void state_free(state *x)
{
    for (int i = 0; i < PARTS + YK_MOST_ALSO; i++) yk_buf_free(&x->names[i]);
    free(x->tensor);
}

static yk_status state_of(const yk_learner *l, const yk_moments *moments, state *x, yk_error *err)
{
    yk_status st = YK_OK;
    int count;
    yk_model_params(l->s->model, &count);
    yk_also part[PARTS + YK_MOST_ALSO] = {{"", l->weights.weight}, {"optimizer.m.", moments->m},
                                          {"optimizer.v.", moments->v}};
    for (int i = 0; i < l->alsos; i++) part[PARTS + i] = l->also[i];
    x->n = (size_t)(PARTS + l->alsos) * (size_t)count;
    YK_NEW(x->tensor, x->n);
    for (int i = 0; i < PARTS + l->alsos; i++)
        YK_TRY(yk_session_tensors(l->s, part[i].base, part[i].prefix, x->tensor + i * count, &x->names[i], err));
done:
    return st;
}

void yk_learner_also(yk_learner *l, const char *prefix, float *base)
{
    l->also[l->alsos++] = (yk_also){prefix, base};
}

json_t *yk_learner_counters(const yk_learner *l)
{
    return json_pack("{s:I, s:I, s:I, s:{s:f, s:I}, s:s, s:f}", "step", (json_int_t)l->step, "applied",
                     (json_int_t)l->applied, "skipped", (json_int_t)l->skipped, "loss_scale", "value",
                     l->loss_scale.value, "good", (json_int_t)l->loss_scale.good, "losses", l->chain, "seconds",
                     l->seconds);
}

static json_t *document_of(const yk_learner *l, const json_t *extra)
{
    yk_buf recipe = {0};
    yk_recipe_canonical(l->job->recipe, l->o.keys, &recipe);
    json_t *d = json_pack("{s:s, s:s, s:s, s:s, s:s, s:b, s:s}", "kind", l->o.kind, "data", l->o.data,
                          "began_with", l->began_with, "isa", l->s->k->name, "numerics", yk_contract_of(l->job->recipe),
                          "openblas", l->s->openblas, "recipe", recipe.data ? recipe.data : "");
    json_t *counters = yk_learner_counters(l);
    if (d && counters) json_object_update(d, counters);
    if (d && extra) json_object_update(d, (json_t *)extra);
    json_decref(counters);
    yk_buf_free(&recipe);
    return d;
}

static yk_status write_checkpoint(const yk_learner *l, const yk_moments *moments, const char *path,
                                  const json_t *extra, yk_error *err)
{
    yk_status st = YK_OK;
    state x = {0};
    json_t *document = document_of(l, extra);
    if (!document || !path) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    YK_TRY(state_of(l, moments, &x, err));
    YK_TRY(yk_checkpoint_save(path, x.tensor, x.n, document, err));
done:
    state_free(&x);
    json_decref(document);
    return st;
}

yk_status yk_learner_save(yk_learner *l, const char *path, const json_t *extra, yk_error *err)
{
    yk_status st = YK_OK;
    yk_comm *comm = l->job->comm;
    yk_moments moments;
    YK_TRY(yk_comm_agree(comm, yk_moments_begin(&moments, &l->optimiser, l->s->k, err), err));
    yk_moments_collect(&moments, &l->optimiser);
    if (yk_comm_leads(comm)) st = write_checkpoint(l, &moments, path, extra, err);
    st = yk_comm_agree(comm, st, err);
done:
    yk_moments_end(&moments, l->s->k);
    return st;
}

yk_status yk_learner_save_step(yk_learner *l, const json_t *extra, yk_error *err)
{
    yk_comm *comm = l->job->comm;
    char *path = yk_checkpoint_step_path(l->o.folder, l->step);
    yk_status st = yk_learner_save(l, path, extra, err);
    if (st == YK_OK && yk_comm_leads(comm)) st = yk_checkpoint_prune(l->o.folder, (int)l->o.keep, err);
    l->saved = yk_now();
    free(path);
    return yk_comm_agree(comm, st, err);
}

bool yk_learner_save_is_due(const yk_learner *l)
{
    if (l->o.checkpoint_every) return l->step % l->o.checkpoint_every == 0;
    return yk_comm_any(l->job->comm, yk_comm_leads(l->job->comm) && yk_now() - l->saved > SECONDS_BETWEEN_SAVES);
}

bool yk_learner_stops(const yk_learner *l)
{
    return yk_comm_any(l->job->comm, yk_job_stops(l->job));
}

/* The first line in which two canonical recipes differ, for the message. */
static yk_status same_recipe(const yk_learner *l, const char *theirs, const char *path, yk_error *err)
{
    yk_buf mine = {0};
    yk_recipe_canonical(l->job->recipe, l->o.keys, &mine);
    const char *a = theirs, *b = mine.data ? mine.data : "";
    yk_status st = YK_OK;
    while (*a && strcmp(a, b) != 0) {
        size_t na = strcspn(a, "\n"), nb = strcspn(b, "\n");
        if (na != nb || memcmp(a, b, na) != 0) {
            st = yk_fail(err, YK_ERR_SHAPE,
                         "%s: was made with `%.*s`, the recipe now has `%.*s`; choose another --run-dir, or remove %s "
                         "to train anew", path, (int)na, a, (int)nb, b, l->o.folder);
            break;
        }
        a += na + (a[na] != 0);
        b += nb + (b[nb] != 0);
    }
    yk_buf_free(&mine);
    return st;
}

static yk_status same_hash(const yk_learner *l, const char *theirs, const char *mine, const char *differs,
                           const char *path, yk_error *err)
{
    if (theirs && strcmp(theirs, mine) == 0) return YK_OK;
    return yk_fail(err, YK_ERR_SHAPE, "%s: %s than there is now; choose another --run-dir, or remove %s to train anew",
                   path, differs, l->o.folder);
}

static yk_status same_beginning(const yk_learner *l, const json_t *d, const char *path, yk_error *err)
{
    yk_status st = YK_OK;
    const char *recipe = json_string_value(json_object_get(d, "recipe"));
    if (!recipe) YK_FAIL(YK_ERR_DAMAGED, "%s: is no checkpoint of training", path);
    YK_TRY(same_recipe(l, recipe, path, err));
    YK_TRY(same_hash(l, json_string_value(json_object_get(d, "data")), l->o.data, "was trained on other text",
                     path, err));
    YK_TRY(same_hash(l, json_string_value(json_object_get(d, "began_with")), l->began_with, "began with another model",
                     path, err));
done:
    return st;
}

yk_status yk_learner_take_counters(yk_learner *l, const json_t *d, yk_error *err)
{
    const json_t *scale = json_object_get(d, "loss_scale");
    const char *chain = json_string_value(json_object_get(d, "losses"));
    if (!chain || strlen(chain) != sizeof l->chain - 1)
        return yk_fail(err, YK_ERR_DAMAGED, "the checkpoint says nothing of how far `%s` came", l->o.kind);
    l->step = json_integer_value(json_object_get(d, "step"));
    l->applied = json_integer_value(json_object_get(d, "applied"));
    l->skipped = json_integer_value(json_object_get(d, "skipped"));
    l->loss_scale.value = json_real_value(json_object_get(scale, "value"));
    l->loss_scale.good = json_integer_value(json_object_get(scale, "good"));
    l->seconds = json_real_value(json_object_get(d, "seconds"));
    strcpy(l->chain, chain);
    return YK_OK;
}

/* Rank 0's part: the newest checkpoint into the model and whole moments; *document is NULL when there is none. */
static yk_status read_checkpoint(yk_learner *l, const yk_moments *moments, json_t **document, yk_error *err)
{
    yk_status st = YK_OK;
    char *path = NULL;
    state x = {0};
    json_t *d = NULL;
    YK_TRY(yk_checkpoint_latest(l->o.folder, &path, err));
    if (!path) goto done;
    YK_TRY(yk_checkpoint_document(path, &d, err));
    YK_TRY(same_beginning(l, d, path, err));
    YK_TRY(state_of(l, moments, &x, err));
    YK_TRY(yk_checkpoint_load(path, x.tensor, x.n, document, err));
    YK_TRY(yk_context(err, yk_learner_take_counters(l, *document, err), "%s", path));
    yk_log("%-10s going on from step %lld (%s)", l->o.kind, (long long)l->step, path);
done:
    state_free(&x);
    free(path);
    json_decref(d);
    return st;
}

/* What rank 0 has read, for all. */
static yk_status share_checkpoint(yk_learner *l, const yk_moments *moments, json_t **document, yk_error *err)
{
    yk_status st = YK_OK;
    yk_comm *comm = l->job->comm;
    const int64_t bytes = yk_model_floats(l->s->model) * (int64_t)sizeof(float);
    char *text = *document ? json_dumps(*document, JSON_COMPACT) : NULL;
    YK_TRY(yk_comm_agree(comm, *document && !text ? yk_fail(err, YK_ERR_MEMORY, "out of memory") : YK_OK, err));
    YK_TRY(yk_comm_share_text(comm, &text, err));
    if (!text) goto done;
    yk_comm_share(comm, l->weights.weight, bytes);
    for (int i = 0; i < l->alsos; i++) yk_comm_share(comm, l->also[i].base, bytes);
    if (moments->is_copy) {
        yk_moments_deal(moments, &l->optimiser);
    } else {
        yk_comm_share(comm, moments->m, bytes);
        yk_comm_share(comm, moments->v, bytes);
    }
    if (!*document) st = (*document = json_loads(text, 0, NULL)) ? yk_learner_take_counters(l, *document, err)
                                                                 : yk_fail(err, YK_ERR_MEMORY, "out of memory");
    st = yk_comm_agree(comm, st, err);
done:
    free(text);
    return st;
}

yk_status yk_learner_resume(yk_learner *l, json_t **document, yk_error *err)
{
    yk_status st = YK_OK;
    yk_comm *comm = l->job->comm;
    yk_moments moments;
    *document = NULL;
    st = yk_moments_begin(&moments, &l->optimiser, l->s->k, err);
    if (st == YK_OK && yk_comm_leads(comm)) st = read_checkpoint(l, &moments, document, err);
    YK_TRY(yk_comm_agree(comm, st, err));
    if (comm) YK_TRY(share_checkpoint(l, &moments, document, err));
    yk_model_weights_changed(l->s->model);
done:
    if (st != YK_OK) {
        json_decref(*document);
        *document = NULL;
    }
    yk_moments_end(&moments, l->s->k);
    return st;
}

static void add_tensors(yk_digest *d, const yk_param *p, int count, const float *base)
{
    for (int i = 0; i < count; i++) yk_digest_add(d, base + p[i].offset, (size_t)p[i].count * sizeof(float));
}

yk_status yk_learner_digest(const yk_learner *l, char hex[33], yk_error *err)
{
    yk_status st = YK_OK;
    yk_comm *comm = l->job->comm;
    yk_moments moments;
    int count;
    const yk_param *p = yk_model_params(l->s->model, &count);
    memset(hex, 0, 33);
    YK_TRY(yk_comm_agree(comm, yk_moments_begin(&moments, &l->optimiser, l->s->k, err), err));
    yk_moments_collect(&moments, &l->optimiser);
    if (yk_comm_leads(comm)) {
        yk_digest *d = yk_digest_new();
        add_tensors(d, p, count, l->weights.weight);
        add_tensors(d, p, count, moments.m);
        add_tensors(d, p, count, moments.v);
        yk_digest_add(d, l->chain, sizeof l->chain - 1);
        yk_digest_hex(d, hex);
        yk_digest_free(d);
    }
    yk_comm_share(comm, hex, 33);
done:
    yk_moments_end(&moments, l->s->k);
    return st;
}
