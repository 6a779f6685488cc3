/* What a checkpoint holds of a learner: saving, going on, the digest. */
#include "train/learner.h"

#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "store/checkpoint.h"

#include <stdlib.h>
#include <string.h>

enum { SECONDS_BETWEEN_SAVES = 60, PARTS = 3 };

/* Weights, then both moments, then what else belongs to them, then what lanes hold on their own. */
typedef struct state {
    yk_tensor *tensor;
    size_t n;
    yk_buf *names; /* [parts] */
    int64_t parts;
} state;

static void state_free(state *x)
{
    for (int64_t i = 0; x->names && i < x->parts; i++) yk_buf_free(&x->names[i]);
    free(x->names);
    free(x->tensor);
}

static yk_status state_of(const yk_learner *l, const yk_moments *moments, const yk_lane_parts *lanes, state *x,
                          yk_error *err)
{
    yk_status st = YK_OK;
    int count;
    yk_model_params(l->s->model, &count);
    yk_also part[PARTS + YK_MOST_ALSO] = {{"", l->weights.weight}, {"optimizer.m.", moments->m},
                                          {"optimizer.v.", moments->v}};
    for (int i = 0; i < l->alsos; i++) part[PARTS + i] = l->also[i];
    const int64_t shared = PARTS + l->alsos;
    x->parts = shared + lanes->n;
    x->n = (size_t)(x->parts * count);
    YK_NEW(x->tensor, x->n);
    YK_NEW(x->names, x->parts);
    for (int64_t i = 0; i < x->parts; i++) {
        const yk_lane_part *own = i < shared ? NULL : &lanes->part[i - shared];
        const yk_also p = own ? (yk_also){own->prefix, own->base} : part[i];
        YK_TRY(yk_session_tensors(l->s, p.base, p.prefix, x->tensor + i * count, &x->names[i], err));
    }
done:
    return st;
}

void yk_learner_also(yk_learner *l, const char *prefix, float *base)
{
    l->also[l->alsos++] = (yk_also){prefix, base};
}

json_t *yk_learner_counters(const yk_learner *l)
{
    json_t *lanes = yk_local_counters(l), *counters =
        json_pack("{s:I, s:I, s:I, s:{s:f, s:I}, s:s, s:f}", "step", (json_int_t)l->step, "applied",
                  (json_int_t)l->applied, "skipped", (json_int_t)l->skipped, "loss_scale", "value",
                  l->loss_scale.value, "good", (json_int_t)l->loss_scale.good, "losses", l->chain, "seconds",
                  l->seconds);
    if (lanes) json_object_set_new(counters, "lanes", lanes);
    return counters;
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

static yk_status write_checkpoint(const yk_learner *l, const yk_moments *moments, const yk_lane_parts *lanes,
                                  const char *path, const json_t *extra, yk_error *err)
{
    yk_status st = YK_OK;
    state x = {0};
    json_t *document = document_of(l, extra);
    if (!document || !path) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    YK_TRY(state_of(l, moments, lanes, &x, err));
    YK_TRY(yk_checkpoint_save(path, x.tensor, x.n, document, err));
done:
    state_free(&x);
    json_decref(document);
    return st;
}

/* What other ranks hold alone, for rank 0. */
static yk_status begin_parts(const yk_learner *l, yk_moments *moments, yk_lane_parts *lanes, yk_error *err)
{
    yk_status st = yk_moments_begin(moments, &l->optimiser, l->s->k, err);
    if (st == YK_OK) st = yk_lane_parts_begin(lanes, l, l->step, err);
    YK_TRY(yk_comm_agree(l->job->comm, st, err));
    yk_moments_collect(moments, &l->optimiser);
    yk_lane_parts_collect(lanes, l);
done:
    return st;
}

yk_status yk_learner_save(yk_learner *l, const char *path, const json_t *extra, yk_error *err)
{
    yk_status st = YK_OK;
    yk_comm *comm = l->job->comm;
    yk_moments moments;
    yk_lane_parts lanes = {0};
    YK_TRY(begin_parts(l, &moments, &lanes, err));
    if (yk_comm_leads(comm)) st = write_checkpoint(l, &moments, &lanes, path, extra, err);
    st = yk_comm_agree(comm, st, err);
done:
    yk_lane_parts_end(&lanes, l);
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

bool yk_learner_save_is_late(const yk_learner *l)
{
    return yk_now() - l->saved > SECONDS_BETWEEN_SAVES;
}

bool yk_learner_save_is_due(const yk_learner *l)
{
    bool stops, due;
    if (l->o.checkpoint_every) return l->step % l->o.checkpoint_every == 0;
    if (yk_local_heard(l, &stops, &due)) return due;
    return yk_comm_any(l->job->comm, yk_comm_leads(l->job->comm) && yk_learner_save_is_late(l));
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
    return yk_local_take_counters(l, json_object_get(d, "lanes"), err);
}

/* Rank 0's part: the newest checkpoint into the model and whole moments; *document is NULL when there is none. */
static yk_status read_checkpoint(yk_learner *l, const yk_moments *moments, yk_lane_parts *lanes, json_t **document,
                                 yk_error *err)
{
    yk_status st = YK_OK;
    char *path = NULL;
    state x = {0};
    json_t *d = NULL;
    YK_TRY(yk_checkpoint_latest(l->o.folder, &path, err));
    if (!path) goto done;
    YK_TRY(yk_checkpoint_document(path, &d, err));
    YK_TRY(same_beginning(l, d, path, err));
    YK_TRY(yk_lane_parts_begin(lanes, l, json_integer_value(json_object_get(d, "step")), err));
    YK_TRY(state_of(l, moments, lanes, &x, err));
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
static yk_status share_checkpoint(yk_learner *l, const yk_moments *moments, yk_lane_parts *lanes, json_t **document,
                                  yk_error *err)
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
    if (!*document) {
        st = (*document = json_loads(text, 0, NULL)) ? yk_learner_take_counters(l, *document, err)
                                                     : yk_fail(err, YK_ERR_MEMORY, "out of memory");
        if (st == YK_OK) st = yk_lane_parts_begin(lanes, l, l->step, err);
    }
    YK_TRY(yk_comm_agree(comm, st, err));
    yk_lane_parts_deal(lanes, l);
done:
    free(text);
    return st;
}

yk_status yk_learner_resume(yk_learner *l, json_t **document, yk_error *err)
{
    yk_status st = YK_OK;
    yk_comm *comm = l->job->comm;
    yk_moments moments;
    yk_lane_parts lanes = {0};
    *document = NULL;
    st = yk_moments_begin(&moments, &l->optimiser, l->s->k, err);
    if (st == YK_OK && yk_comm_leads(comm)) st = read_checkpoint(l, &moments, &lanes, document, err);
    YK_TRY(yk_comm_agree(comm, st, err));
    if (comm) YK_TRY(share_checkpoint(l, &moments, &lanes, document, err));
    yk_model_weights_changed(l->s->model);
done:
    if (st != YK_OK) {
        json_decref(*document);
        *document = NULL;
    }
    yk_lane_parts_end(&lanes, l);
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
    yk_lane_parts lanes = {0};
    int count;
    const yk_param *p = yk_model_params(l->s->model, &count);
    memset(hex, 0, 33);
    YK_TRY(begin_parts(l, &moments, &lanes, err));
    if (yk_comm_leads(comm)) {
        yk_digest *d = yk_digest_new();
        add_tensors(d, p, count, l->weights.weight);
        add_tensors(d, p, count, moments.m);
        add_tensors(d, p, count, moments.v);
        if (l->local) add_tensors(d, p, count, l->local->outer.velocity);
        for (int64_t i = 0; i < lanes.n; i++) add_tensors(d, p, count, lanes.part[i].base);
        yk_digest_add(d, l->chain, sizeof l->chain - 1);
        yk_digest_hex(d, hex);
        yk_digest_free(d);
    }
    yk_comm_share(comm, hex, 33);
done:
    yk_lane_parts_end(&lanes, l);
    yk_moments_end(&moments, l->s->k);
    return st;
}
