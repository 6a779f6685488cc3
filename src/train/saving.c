#include "train/saving.h"

#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/room.h"
#include "base/task.h"
#include "base/watch.h"
#include "store/set.h"
#include "train/replicas.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { SECONDS_BETWEEN_SAVES = 60, LINE = 16 };

/* Where a tensor of the file belongs: its first element begins a line of the whole tensor. */
typedef struct place {
    int64_t tensor; /* part x parameters + parameter */
    uint64_t line;
} place;

/* What the manifest says of a rank's file; no bytes: it owns nothing, and there is none. */
typedef struct entry {
    int64_t bytes;
    char sha256[65];
} entry;

struct yk_saving {
    int64_t step;   /* -1: no checkpoint of a step, but the best model */
    char *path;     /* of the file that this rank writes */
    char *manifest; /* of the set that it belongs to; NULL: to none */
    yk_slice *own;
    int slices;
    int rank;
    yk_slice whole; /* what is here of a part that this rank alone has */
    yk_state_part *part;
    int parts;
    const yk_param *param;
    int params;
    yk_tensor *tensor; /* of the learner's copy, which has part after part, packed; or of the parts themselves */
    place *place;
    size_t n;
    yk_buf names;
    json_t *document;
    yk_task *task; /* NULL: this rank writes nothing */
    /* of a set: */
    entry file;
    yk_hash_sum *sum; /* [parts][parameters]: what is here of each tensor's hash */
};

yk_slice *yk_learner_slices(const yk_learner *l, int *slices)
{
    yk_comm *comm = l->job->comm;
    const int64_t floats = yk_model_floats(l->s->model);
    *slices = yk_comm_buckets(comm, floats);
    yk_slice *own = calloc((size_t)*slices + 1, sizeof *own);
    for (int i = 0; own && i < *slices; i++) own[i] = yk_comm_slice(comm, floats, floats, yk_comm_rank(comm), i);
    return own;
}

yk_state_part *yk_state_parts(const yk_learner *l, int *parts)
{
    const bool is_packed = l->optimiser.comm;
    const int moments = yk_local_parted(l) ? 0 : YK_EVERY_RANK; /* lane 0's */
    yk_state_part *part = calloc((size_t)(YK_STATE_PARTS + l->alsos + yk_local_most_parts(l)), sizeof *part);
    if (!part) return NULL;
    part[0] = (yk_state_part){"", l->weights.weight, false, YK_EVERY_RANK};
    part[1] = (yk_state_part){"optimizer.m.", l->optimiser.m, is_packed, moments};
    part[2] = (yk_state_part){"optimizer.v.", l->optimiser.v, is_packed, moments};
    for (int i = 0; i < l->alsos; i++) {
        yk_state_part *x = &part[YK_STATE_PARTS + i];
        *x = (yk_state_part){.base = l->also[i].base, .owner = YK_EVERY_RANK};
        snprintf(x->prefix, sizeof x->prefix, "%s", l->also[i].prefix);
    }
    *parts = YK_STATE_PARTS + l->alsos;
    *parts += yk_local_parts(l, part + *parts);
    return part;
}

int64_t yk_saving_bytes(int64_t whole, int64_t owned)
{
    return (owned > whole ? owned : whole) * (int64_t)sizeof(float);
}

static void free_saving(yk_saving *s)
{
    if (!s) return;
    free(s->path);
    free(s->manifest);
    free(s->own);
    free(s->part);
    free(s->tensor);
    free(s->place);
    yk_buf_free(&s->names);
    free(s->sum);
    json_decref(s->document);
    free(s);
}

/* --- what is written ------------------------------------------------------------------------- */

/* Elements [begin, end) of the flat index, all of parameter i, which lie at x. */
static void add_tensor(yk_saving *s, int part, int i, yk_slice here, float *x)
{
    char whole[YK_MAX_TENSOR_NAME + 1], *name = s->names.data + s->names.len;
    const yk_param *p = &s->param[i];
    const int64_t first = here.begin - p->offset;
    yk_tensor *t = &s->tensor[s->n];
    snprintf(whole, sizeof whole, "%s%s", s->part[part].prefix, p->name);
    *t = (yk_tensor){.name = name, .rank = p->rank, .shape = {p->shape[0], p->shape[1]}, .data = x};
    s->place[s->n++] = (place){part * s->params + i, (uint64_t)first / LINE};
    if (s->manifest) {
        yk_part_name(name, whole, first, here.end - p->offset);
        t->rank = 1;
        t->shape[0] = here.end - here.begin;
        t->shape[1] = 0;
    } else {
        strcpy(name, whole);
    }
    s->names.len += strlen(name) + 1;
}

/* What this rank writes of a part. */
static const yk_slice *slices_of(const yk_saving *s, const yk_state_part *part, int *slices)
{
    const bool is_shared = part->owner == YK_EVERY_RANK;
    *slices = is_shared ? s->slices : part->owner == s->rank;
    return is_shared ? s->own : &s->whole;
}

/* Those of a part whose slices lie one after another at x, or (NULL) in the part itself; returns their length. */
static int64_t add_part(yk_saving *s, int part, const float *packed)
{
    int64_t at = 0;
    int slices;
    const yk_state_part *from = &s->part[part];
    const yk_slice *slice = slices_of(s, from, &slices);
    const bool is_packed = packed || from->is_packed;
    float *x = packed ? (float *)(uintptr_t)packed : from->base;
    for (int k = 0; k < slices; k++) {
        const yk_slice own = slice[k];
        for (int i = 0; i < s->params; i++) {
            const yk_param *p = &s->param[i];
            const yk_slice here = yk_cut(own, p->offset, p->offset + p->count);
            if (here.begin < here.end)
                add_tensor(s, part, i, here, x + (is_packed ? at + here.begin - own.begin : here.begin));
        }
        at += own.end - own.begin;
    }
    return at;
}

static yk_status list_tensors(yk_saving *s, const float *copy, yk_error *err)
{
    yk_status st = YK_OK;
    const size_t most = (size_t)(s->parts * (s->params + s->slices)); /* a slice's begin cuts one tensor of a part */
    YK_NEW(s->tensor, most);
    YK_NEW(s->place, most);
    YK_NEW(s->sum, s->parts * s->params);
    yk_buf_reserve(&s->names, most * (YK_MAX_TENSOR_NAME + 1)); /* no growth below: names stay where they are */
    for (int x = 0; x < s->parts; x++) {
        const int64_t n = add_part(s, x, copy);
        if (copy) copy += n;
    }
done:
    return st;
}

/* The thread's part. */
static yk_status write_file(void *saving, yk_error *err)
{
    yk_status st = YK_OK;
    yk_saving *s = saving;
    struct stat info;
    YK_TRY(yk_checkpoint_save(s->path, s->tensor, s->n, s->document, err));
    if (!s->manifest) goto done;
    for (size_t i = 0; i < s->n; i++)
        yk_hash_sum_add(&s->sum[s->place[i].tensor], s->tensor[i].data, (size_t)s->tensor[i].shape[0] * sizeof(float),
                        s->place[i].line);
    if (stat(s->path, &info) != 0) YK_FAIL(YK_ERR_IO, "%s: cannot read: %s", s->path, strerror(errno));
    s->file.bytes = info.st_size;
    YK_TRY(yk_sha256_file(s->path, s->file.sha256, err));
done:
    return st;
}

/* --- the manifest ---------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
    return strcmp(((const yk_stored *)a)->name, ((const yk_stored *)b)->name);
}

/* sum[ranks][parts][parameters] */
static void list_tensors_of_set(const yk_saving *s, int ranks, const yk_hash_sum *sum, yk_set *set)
{
    const int64_t tensors = (int64_t)s->parts * s->params;
    for (int64_t i = 0; i < tensors; i++) {
        const yk_param *p = &s->param[i % s->params];
        yk_stored *e = &set->tensor[set->tensors++];
        yk_hash_sum all = {0};
        for (int64_t at = i; at < ranks * tensors; at += tensors) all.high += sum[at].high, all.low += sum[at].low;
        *e = (yk_stored){.rank = p->rank, .shape = {p->shape[0], p->shape[1]}};
        snprintf(e->name, sizeof e->name, "%s%s", s->part[i / s->params].prefix, p->name);
        yk_hash_sum_hex(all, e->hash);
    }
    qsort(set->tensor, set->tensors, sizeof *set->tensor, by_name);
}

static yk_status list_files_of_set(const yk_saving *s, int ranks, const entry *file, yk_set *set, yk_error *err)
{
    for (int r = 0; r < ranks; r++) {
        yk_set_file *f = &set->file[set->files];
        if (file[r].bytes == 0) continue;
        char *path = yk_checkpoint_rank_path("", s->step, r, ranks);
        if (path) f->name = yk_path("%s", path + 1);
        free(path);
        if (!f->name) return yk_fail(err, YK_ERR_MEMORY, "out of memory");
        f->bytes = file[r].bytes;
        memcpy(f->sha256, file[r].sha256, sizeof f->sha256);
        set->files++;
    }
    return YK_OK;
}

/* When the files of all ranks are there. */
static yk_status publish_set(const yk_learner *l, yk_error *err)
{
    yk_status st = YK_OK;
    const yk_saving *s = l->saving;
    yk_comm *comm = l->job->comm;
    const int ranks = yk_comm_size(comm);
    const int64_t tensors = (int64_t)s->parts * s->params, bytes = tensors * (int64_t)sizeof *s->sum;
    yk_set set = {.step = s->step};
    entry *file = yk_calloc((size_t)ranks, sizeof *file, err);
    yk_hash_sum *sum = yk_calloc((size_t)(ranks * tensors), sizeof *sum, err);
    YK_TRY(yk_comm_agree(comm, file && sum ? YK_OK : YK_ERR_MEMORY, err));
    yk_comm_gather(comm, &s->file, file, sizeof *file);
    yk_comm_gather(comm, s->sum, sum, bytes);
    if (!yk_comm_leads(comm)) goto done;
    YK_NEW(set.file, ranks);
    YK_NEW(set.tensor, tensors);
    YK_TRY(list_files_of_set(s, ranks, file, &set, err));
    list_tensors_of_set(s, ranks, sum, &set);
    YK_TRY(yk_set_write(s->manifest, &set, err));
done:
    free(file);
    free(sum);
    yk_set_free(&set);
    return st;
}

/* --- from begin to end ----------------------------------------------------------------------- */

/* Waits for the thread, then for all ranks'. */
static yk_status end_saving(yk_learner *l, yk_error *err)
{
    yk_saving *s = l->saving;
    yk_comm *comm = l->job->comm;
    yk_status st = s->task ? yk_task_end(s->task, err) : YK_OK;
    s->task = NULL;
    st = yk_comm_agree(comm, st, err);
    if (st == YK_OK && s->manifest) st = publish_set(l, err);
    if (st == YK_OK && s->step >= 0 && yk_comm_leads(comm))
        st = yk_checkpoint_prune(l->o.folder, (int)l->o.keep, err);
    st = yk_comm_agree(comm, st, err);
    free_saving(s);
    l->saving = NULL;
    return st;
}

yk_status yk_learner_finish_save(yk_learner *l, yk_error *err)
{
    if (!l->saving) return YK_OK;
    const double began = yk_now();
    const yk_status st = end_saving(l, err);
    l->waited += yk_now() - began;
    return st;
}

yk_status yk_learner_poll_save(yk_learner *l, yk_error *err)
{
    const yk_saving *s = l->saving;
    if (!s || yk_comm_any(l->job->comm, s->task && !yk_task_is_done(s->task))) return YK_OK;
    return yk_learner_finish_save(l, err);
}

void yk_learner_drop_save(yk_learner *l)
{
    yk_error err;
    yk_saving *s = l->saving;
    if (s && s->task && yk_task_end(s->task, &err) != YK_OK) yk_warn("%s", err.text);
    free_saving(s);
    l->saving = NULL;
}

/* Of the copy, which is kept; it must leave as much memory again, for what the file takes in the system's cache. Its
 * pages come with the first copy, by all threads: huge ones, which kernels' alloc asks for, can take seconds to find. */
static void find_room(yk_learner *l)
{
    yk_comm *comm = l->job->comm;
    const int64_t floats = yk_model_floats(l->s->model);
    const int64_t owns = yk_comm_owned(comm, floats, floats, yk_comm_rank(comm));
    const int64_t saved = l->local ? (1 + l->alsos) * owns + yk_local_owned_of(l->lanes.turns, floats)
                                   : (YK_STATE_PARTS + l->alsos) * owns;
    const int64_t bytes = yk_saving_bytes(yk_comm_leads(comm) ? floats : 0, saved);
    if (l->copy || l->says_waits) return;
    if (bytes <= yk_room_left("").bytes / (2 * yk_comm_node(comm))) l->copy = aligned_alloc(64, (size_t)bytes + 64);
    if (l->copy) return;
    l->says_waits = true;
    yk_warn("no memory for a copy of what a checkpoint holds, %lld bytes: training waits while one is written",
            (long long)bytes);
}

/* Slices are of whole lines. */
static void copy_slices(const yk_learner *l, const yk_saving *s)
{
    const int64_t width = LINE * (int64_t)sizeof(float);
    float *to = l->copy;
    for (int x = 0; x < s->parts; x++) {
        const float *packed = s->part[x].base;
        int slices;
        const yk_slice *own = slices_of(s, &s->part[x], &slices);
        for (int k = 0; k < slices; k++) {
            const int64_t n = own[k].end - own[k].begin;
            const float *from = s->part[x].is_packed ? packed : s->part[x].base + own[k].begin;
            l->s->k->copy_rows(&l->s->team, &(yk_copy_rows){.y = to, .x = from, .rows = n / LINE, .width = width,
                                                            .y_row = width, .x_row = width});
            to += n;
            packed += n;
        }
    }
}

static yk_status begin_saving(yk_learner *l, yk_saving *s, const json_t *extra, yk_error *err)
{
    yk_status st = YK_OK;
    yk_comm *comm = l->job->comm;
    if (!s->path || !s->own || !s->part) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    s->param = yk_model_params(l->s->model, &s->params);
    find_room(l);
    if (l->copy) copy_slices(l, s);
    YK_TRY(list_tensors(s, l->copy, err));
    if (s->n == 0) goto done;
    s->document = yk_comm_leads(comm) ? yk_learner_document(l, extra)
                                      : json_pack("{s:i, s:i}", "rank", yk_comm_rank(comm), "ranks",
                                                  yk_comm_size(comm));
    if (!s->document) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    s->task = l->copy ? yk_task_begin(write_file, s) : yk_task_at_once(write_file, s);
    if (!s->task) YK_FAIL(YK_ERR_MEMORY, "out of memory");
done:
    return st;
}

yk_status yk_learner_save_model(yk_learner *l, const char *path, const json_t *extra, yk_error *err)
{
    yk_status st = YK_OK;
    YK_TRY(yk_learner_finish_save(l, err));
    yk_learner_whole(l);
    const double began = yk_now();
    if ((l->saving = yk_calloc(1, sizeof *l->saving, err))) {
        yk_saving *s = l->saving;
        *s = (yk_saving){.step = -1, .path = yk_path("%s", path), .parts = 1, .slices = 1};
        int parts;
        s->part = yk_state_parts(l, &parts);
        if ((s->own = calloc(1, sizeof *s->own)) && yk_comm_leads(l->job->comm))
            s->own->end = yk_model_floats(l->s->model);
        st = begin_saving(l, s, extra, err);
    } else {
        st = YK_ERR_MEMORY;
    }
    l->waited += yk_now() - began;
    st = yk_comm_agree(l->job->comm, st, err);
done:
    return st;
}

static yk_saving *saving_of_step(const yk_learner *l)
{
    yk_comm *comm = l->job->comm;
    yk_saving *s = calloc(1, sizeof *s);
    if (!s) return NULL;
    s->step = l->step;
    s->rank = yk_comm_rank(comm);
    s->whole.end = yk_model_floats(l->s->model);
    s->part = yk_state_parts(l, &s->parts);
    s->own = yk_learner_slices(l, &s->slices);
    s->path = comm ? yk_checkpoint_rank_path(l->o.folder, l->step, yk_comm_rank(comm), yk_comm_size(comm))
                   : yk_checkpoint_step_path(l->o.folder, l->step);
    s->manifest = comm ? yk_checkpoint_set_path(l->o.folder, l->step) : NULL;
    return s;
}

yk_status yk_learner_save_step(yk_learner *l, const json_t *extra, yk_error *err)
{
    yk_status st = YK_OK;
    yk_comm *comm = l->job->comm;
    /* a checkpoint that is there is not written again: until its manifest is, a set of other files would be no set */
    if (l->saved_step != l->step) {
        yk_watch_phase("checkpoint of step", l->step);
        YK_TRY(yk_replicas_check(l, err));
        YK_TRY(yk_learner_finish_save(l, err));
        const double began = yk_now();
        l->saving = saving_of_step(l);
        st = l->saving ? begin_saving(l, l->saving, extra, err) : yk_fail(err, YK_ERR_MEMORY, "out of memory");
        l->saved = yk_now();
        l->waited += l->saved - began;
        l->saved_step = l->step;
        YK_TRY(yk_comm_agree(comm, st, err));
    }
    /* after the last one a stage goes on to what may read and write files */
    if (yk_comm_any(comm, l->step >= l->o.schedule.steps || yk_job_stops(l->job))) st = yk_learner_finish_save(l, err);
done:
    return st;
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
