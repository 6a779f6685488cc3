/* What a checkpoint holds of a learner: its document, going on, the digest. */
#include "train/saving.h"

#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "base/watch.h"
#include "store/archive.h"

#include <stdlib.h>
#include <string.h>

enum { NEWEST = -1 };

void yk_learner_also(yk_learner *l, const char *prefix, float *base)
{
    l->also[l->alsos++] = (yk_also){prefix, base};
}

json_t *yk_learner_counters(const yk_learner *l)
{
    json_t *lanes = yk_local_counters(l), *counters =
        json_pack("{s:I, s:I, s:I, s:{s:f, s:I}, s:o, s:s, s:f, s:f}", "step", (json_int_t)l->step, "applied",
                  (json_int_t)l->applied, "skipped", (json_int_t)l->skipped, "loss_scale", "value",
                  l->loss_scale.value, "good", (json_int_t)l->loss_scale.good, "spikes", yk_spikes_json(&l->spikes),
                  "losses", l->chain, "seconds", l->seconds, "checkpoint_seconds", l->waited);
    if (lanes) json_object_set_new(counters, "lanes", lanes);
    return counters;
}

json_t *yk_learner_document(const yk_learner *l, const json_t *extra)
{
    yk_buf recipe = {0};
    yk_recipe_canonical(l->job->recipe, l->o.keys, &recipe);
    json_t *d = json_pack("{s:s, s:s, s:s, s:s, s:s, s:b, s:s}", "kind", l->o.kind, "data", l->o.data,
                          "began_with", l->began_with, "isa", l->s->k->name, "numerics", yk_contract_of(l->job->recipe),
                          "openblas", l->s->openblas, "recipe", recipe.data ? recipe.data : "");
    json_t *counters = yk_learner_counters(l);
    if (d && counters) json_object_update(d, counters);
    json_t *own = json_deep_copy(extra); /* what is written aside shares nothing */
    if (d && own) json_object_update(d, own);
    json_decref(own);
    json_decref(counters);
    yk_buf_free(&recipe);
    return d;
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
    l->waited = json_real_value(json_object_get(d, "checkpoint_seconds"));
    strcpy(l->chain, chain);
    const yk_status st = yk_spikes_take(&l->spikes, json_object_get(d, "spikes"), err);
    return st == YK_OK ? yk_local_take_counters(l, json_object_get(d, "lanes"), err) : st;
}

/* The newest checkpoint, or that of a step; *path is NULL when there is none. */
static yk_status find_checkpoint(const yk_learner *l, int64_t step, char **path, yk_error *err)
{
    if (step == NEWEST) return yk_checkpoint_latest(l->o.folder, path, err);
    for (int other = 0; other < 2; other++) { /* as this many ranks write it, else as it may have been written before */
        *path = (l->job->comm != NULL) != other ? yk_checkpoint_set_path(l->o.folder, step)
                                                : yk_checkpoint_step_path(l->o.folder, step);
        if (*path && yk_exists(*path)) return YK_OK;
        free(*path);
    }
    *path = NULL;
    return YK_OK;
}

/* Rank 0's part: the checkpoint, opened; *document is NULL when there is none. */
static yk_status open_checkpoint(yk_learner *l, int64_t step, yk_archive *a, char **path, json_t **document,
                                 yk_error *err)
{
    yk_status st = YK_OK;
    YK_TRY(find_checkpoint(l, step, path, err));
    if (!*path) goto done;
    YK_TRY(yk_archive_open(a, *path, err));
    YK_TRY(yk_archive_document(a, document, err));
    YK_TRY(same_beginning(l, *document, *path, err));
    yk_log("%-10s going on from step %lld (%s)", l->o.kind,
           (long long)json_integer_value(json_object_get(*document, "step")), *path);
done:
    return st;
}

/* Rank 0's, for all; NULL stays NULL. */
static yk_status share_document(yk_learner *l, json_t **document, yk_error *err)
{
    yk_status st = YK_OK;
    yk_comm *comm = l->job->comm;
    char *text = *document ? json_dumps(*document, JSON_COMPACT) : NULL;
    YK_TRY(yk_comm_agree(comm, *document && !text ? yk_fail(err, YK_ERR_MEMORY, "out of memory") : YK_OK, err));
    YK_TRY(yk_comm_share_text(comm, &text, err));
    if (!text) goto done;
    if (!*document && !(*document = json_loads(text, 0, NULL))) st = yk_fail(err, YK_ERR_MEMORY, "out of memory");
    st = yk_comm_agree(comm, st, err);
done:
    free(text);
    return st;
}

static yk_status read_tensor(const yk_archive *a, const char *prefix, const yk_param *p, float *out, yk_error *err)
{
    yk_status st = YK_OK;
    char name[YK_MAX_TENSOR_NAME + 1];
    const yk_stored *e;
    snprintf(name, sizeof name, "%s%s", prefix, p->name);
    YK_TRY(yk_archive_expect(a, &(yk_tensor){.name = name, .rank = p->rank, .shape = {p->shape[0], p->shape[1]}}, &e,
                             err));
    YK_TRY(yk_archive_read(a, e, out, err));
done:
    return st;
}

/* What this rank has of a whole tensor. */
static void take_own(const yk_learner *l, const yk_state_part *part, const yk_slice *own, int slices,
                     const yk_param *p, const float *x)
{
    float *to = part->base;
    if (part->owner != YK_EVERY_RANK && part->owner != yk_comm_rank(l->job->comm)) return;
    if (!part->is_packed) {
        memcpy(to + p->offset, x, (size_t)p->count * sizeof *x);
        return;
    }
    for (int i = 0; i < slices; i++) {
        const yk_slice here = yk_cut(own[i], p->offset, p->offset + p->count);
        if (here.begin < here.end)
            memcpy(to + (here.begin - own[i].begin), x + (here.begin - p->offset),
                   (size_t)(here.end - here.begin) * sizeof *x);
        to += own[i].end - own[i].begin;
    }
}

/* Rank 0 reads one tensor after another, for all: of the moments alone or of all parts. */
static yk_status take_tensors(yk_learner *l, const yk_archive *a, bool moments_alone, yk_error *err)
{
    yk_status st = YK_OK;
    yk_comm *comm = l->job->comm;
    int parts, params, slices;
    yk_state_part *part = yk_state_parts(l, &parts);
    int64_t most = 0;
    const yk_param *p = yk_model_params(l->s->model, &params);
    for (int i = 0; i < params; i++) most = p[i].count > most ? p[i].count : most;
    float *x = yk_calloc((size_t)most, sizeof *x, err);
    yk_slice *own = yk_learner_slices(l, &slices);
    if (!part || !x || !own) st = yk_fail(err, YK_ERR_MEMORY, "out of memory");
    YK_TRY(yk_comm_agree(comm, st, err));
    for (int k = moments_alone; k < (moments_alone ? YK_STATE_PARTS : parts); k++)
        for (int i = 0; i < params; i++) {
            if (yk_comm_leads(comm)) st = read_tensor(a, part[k].prefix, &p[i], x, err);
            YK_TRY(yk_comm_agree(comm, st, err));
            yk_comm_share(comm, x, p[i].count * (int64_t)sizeof *x);
            take_own(l, &part[k], own, slices, &p[i], x);
        }
done:
    free(part);
    free(own);
    free(x);
    return st;
}

static yk_status go_on_from(yk_learner *l, int64_t step, json_t **document, yk_error *err)
{
    yk_status st = YK_OK;
    yk_comm *comm = l->job->comm;
    yk_archive a = {.file = -1, .tensors = -1};
    char *path = NULL;
    *document = NULL;
    yk_watch_phase("reading a checkpoint", -1);
    yk_learner_whole(l);
    YK_TRY(yk_learner_finish_save(l, err));
    if (yk_comm_leads(comm)) st = open_checkpoint(l, step, &a, &path, document, err);
    YK_TRY(yk_comm_agree(comm, st, err));
    YK_TRY(share_document(l, document, err));
    if (!*document) goto done;
    YK_TRY(yk_comm_agree(comm, yk_learner_take_counters(l, *document, err), err));
    YK_TRY(take_tensors(l, &a, false, err));
    l->saved_step = l->step;
    yk_model_weights_changed(l->s->model);
done:
    if (st != YK_OK) {
        json_decref(*document);
        *document = NULL;
    }
    yk_archive_close(&a);
    free(path);
    return st;
}

yk_status yk_learner_resume(yk_learner *l, json_t **document, yk_error *err)
{
    return go_on_from(l, NEWEST, document, err);
}

yk_status yk_learner_return(yk_learner *l, int64_t step, json_t **document, yk_error *err)
{
    const int64_t rollbacks = l->spikes.rollbacks;
    yk_status st = go_on_from(l, step, document, err);
    l->spikes.rollbacks = rollbacks;
    return st;
}

yk_status yk_learner_inherit(yk_learner *l, const char *path, json_t **document, yk_error *err)
{
    yk_status st = YK_OK;
    yk_comm *comm = l->job->comm;
    yk_archive a = {.file = -1, .tensors = -1};
    *document = NULL;
    if (yk_comm_leads(comm)) st = yk_archive_open(&a, path, err);
    if (yk_comm_leads(comm) && st == YK_OK) st = yk_archive_document(&a, document, err);
    YK_TRY(yk_comm_agree(comm, st, err));
    YK_TRY(share_document(l, document, err));
    if (!json_is_integer(json_object_get(*document, "applied"))) goto done;
    YK_TRY(take_tensors(l, &a, true, err));
    l->applied = json_integer_value(json_object_get(*document, "applied"));
done:
    yk_archive_close(&a);
    return st;
}

static void add_tensors(yk_digest *d, const yk_param *p, int count, const float *base)
{
    for (int i = 0; i < count; i++) yk_digest_add(d, base + p[i].offset, (size_t)p[i].count * sizeof(float));
}

/* What the outer optimiser and lanes on their own hold, part after part through `room` [floats] of rank 0. */
static void add_local(const yk_learner *l, const yk_state_part *part, int parts, float *room, yk_digest *d)
{
    int count;
    yk_comm *comm = l->job->comm;
    const yk_param *p = yk_model_params(l->s->model, &count);
    const int64_t bytes = yk_model_floats(l->s->model) * (int64_t)sizeof(float);
    if (d) add_tensors(d, p, count, l->local->outer.velocity);
    for (int i = YK_STATE_PARTS + l->alsos; i < parts; i++) {
        float *x = d && part[i].owner > 0 ? room : part[i].base;
        yk_comm_pass(comm, part[i].owner, 0, x, bytes);
        if (d) add_tensors(d, p, count, x);
    }
}

static yk_status digest_local(const yk_learner *l, yk_digest *d, yk_error *err)
{
    yk_status st = YK_OK;
    int parts;
    float *room = NULL;
    yk_state_part *part = yk_state_parts(l, &parts);
    if (!part || (d && !(room = l->s->k->alloc(yk_model_floats(l->s->model) * (int64_t)sizeof(float)))))
        st = yk_fail(err, YK_ERR_MEMORY, "out of memory");
    YK_TRY(yk_comm_agree(l->job->comm, st, err));
    add_local(l, part, parts, room, d);
done:
    if (room) l->s->k->free(room);
    free(part);
    return st;
}

yk_status yk_learner_digest(const yk_learner *l, char hex[33], yk_error *err)
{
    yk_status st = YK_OK;
    yk_comm *comm = l->job->comm;
    yk_moments moments;
    yk_digest *d = NULL;
    int count;
    const yk_param *p = yk_model_params(l->s->model, &count);
    memset(hex, 0, 33);
    YK_TRY(yk_comm_agree(comm, yk_moments_begin(&moments, &l->optimiser, l->s->k, err), err));
    yk_moments_collect(&moments, &l->optimiser);
    if (yk_comm_leads(comm)) {
        d = yk_digest_new();
        add_tensors(d, p, count, l->weights.weight);
        add_tensors(d, p, count, moments.m);
        add_tensors(d, p, count, moments.v);
    }
    if (l->local) YK_TRY(digest_local(l, d, err));
    if (d) {
        yk_digest_add(d, l->chain, sizeof l->chain - 1);
        yk_digest_hex(d, hex);
    }
    yk_comm_share(comm, hex, 33);
done:
    if (d) yk_digest_free(d);
    yk_moments_end(&moments, l->s->k);
    return st;
}
