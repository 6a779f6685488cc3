#include "align/course.h"

#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/rng.h"
#include "train/balance.h"

#include <stdlib.h>

static yk_status open_as(yk_course *c, const yk_job *job, const char *name, const yk_session_options *o, yk_error *err)
{
    yk_status st = YK_OK;
    const yk_recipe *r = job->recipe;
    *c = (yk_course){.job = job, .comm = job->comm, .r = r, .name = name, .context = r->pretrain_seq};
    if (!job->model)
        YK_FAIL(YK_ERR_INPUT, "there is no model to begin with; put `pretrain` before `%s` into `stages`", name);
    c->dir = yk_path("%s/%s", job->dir, name);
    c->checkpoints = yk_path("%s/%s/checkpoints", job->dir, name);
    c->path = yk_path("%s/%s/model.h5", job->dir, name);
    if (!c->dir || !c->checkpoints || !c->path) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    if (o->training && yk_comm_leads(job->comm)) YK_TRY(yk_mkdirs(c->checkpoints, err));
    yk_session_options enough = *o;
    enough.comm = job->comm;
    if (enough.rows < c->context + 1) enough.rows = c->context + 1;
    YK_TRY(yk_session_open(&c->s, r, job->dir, job->team, &enough, err));
    YK_TRY(yk_session_load(&c->s, job->model, false, err));
    YK_TRY(yk_chat_new(&c->chat, r->sft_template, c->s.tokenizer, err));
done:
    if (st != YK_OK) yk_course_close(c);
    return st;
}

yk_status yk_course_open(yk_course *c, const yk_job *job, const char *name, int64_t rows, bool score, yk_error *err)
{
    return open_as(c, job, name, &(yk_session_options){.rows = rows, .training = true, .score = score}, err);
}

yk_status yk_course_open_to_measure(yk_course *c, const yk_job *job, const char *name, int64_t rows, yk_error *err)
{
    return open_as(c, job, name, &(yk_session_options){.rows = rows}, err);
}

void yk_course_close(yk_course *c)
{
    yk_metrics_close(&c->metrics);
    yk_chat_free(c->chat);
    yk_session_close(&c->s);
    free(c->dir);
    free(c->checkpoints);
    free(c->path);
    *c = (yk_course){0};
}

yk_status yk_course_paths(const yk_course *c, const yk_list *named, const char *key, const char *file, yk_list *paths,
                          yk_error *err)
{
    yk_status st = YK_OK;
    *paths = (yk_list){0};
    YK_NEW(paths->item, named->n ? named->n : 1);
    for (size_t i = 0; i < named->n; i++)
        if (!(paths->item[paths->n++] = yk_path("%s", named->item[i]))) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    if (named->n) goto done;
    if (!(paths->item[paths->n++] = yk_path("%s/questions/%s", c->job->dir, file)))
        YK_FAIL(YK_ERR_MEMORY, "out of memory");
    if (!yk_exists(paths->item[0]))
        YK_FAIL(YK_ERR_INPUT,
                "%s: there is no such file; put `questions` into `stages`, or name files of your own with `%s`",
                paths->item[0], key);
done:
    if (st != YK_OK) yk_course_free_paths(paths);
    return st;
}

void yk_course_free_paths(yk_list *paths)
{
    for (size_t i = 0; i < paths->n; i++) free(paths->item[i]);
    free(paths->item);
    *paths = (yk_list){0};
}

/* Of several ranks, by rank 0. */
static yk_status answer(yk_course *c, yk_decoder *d, const yk_sampling *how, yk_request *r, yk_error *err)
{
    yk_comm *comm = c->comm;
    return yk_comm_agree(comm, yk_comm_leads(comm) ? yk_decoder_run(d, r, 1, how, NULL, NULL, err) : YK_OK, err);
}

yk_status yk_course_samples(yk_course *c, const yk_prompts *p, int64_t step, yk_error *err)
{
    yk_status st = YK_OK;
    yk_decoder *d = NULL;
    yk_sampling how = yk_sampling_of(&c->s);
    yk_chat_ends(c->chat, &how);
    how.tokens = c->context;
    if (yk_comm_leads(c->comm)) st = yk_decoder_new(&d, &c->s, 1, c->context, err);
    YK_TRY(yk_comm_agree(c->comm, st, err));
    for (int64_t i = 0; i < p->n && st == YK_OK; i++) {
        const yk_sequence *q = (const void *)((const char *)p->first + (size_t)i * p->stride);
        yk_request r = {.prompt = q->ids.id, .length = q->prompt, .number = (uint64_t)i};
        st = answer(c, d, &how, &r, err);
        if (st == YK_OK) st = yk_metrics_sample(&c->metrics, step, p->asked[i], &r.text, err);
        yk_request_free(&r);
    }
done:
    yk_decoder_free(d);
    return st;
}

void yk_course_add_digest(const yk_course *c, const char hex[33])
{
    char all[33];
    const char *before = json_string_value(json_object_get(c->job->summary, "digest"));
    yk_hash128_join(before ? before : "", hex, all);
    json_object_set_new(c->job->summary, "digest", json_string(all));
}

yk_status yk_course_finish(yk_course *c, const yk_learner *l, bool with_score, json_t *summary, yk_error *err)
{
    yk_status st = YK_OK;
    char hex[33];
    json_t *document = json_pack("{s:s, s:I}", "kind", c->name, "step", (json_int_t)l->step);
    if (!document || !summary) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    const yk_weights before = yk_model_use(c->s.model, l->weights);
    if (yk_comm_leads(c->comm)) st = yk_session_save(&c->s, c->path, with_score, document, err);
    yk_model_use(c->s.model, before);
    YK_TRY(yk_comm_agree(c->comm, st, err));
    YK_TRY(yk_comm_agree(c->job->comm, st, err));
    YK_TRY(yk_learner_balance(l, summary, err));
    YK_TRY(yk_learner_digest(l, hex, err));
    json_object_set_new(summary, "digest", json_string(hex));
    yk_course_add_digest(c, hex);
    json_object_set(c->job->summary, c->name, summary);
done:
    json_decref(document);
    json_decref(summary);
    return st;
}

int64_t yk_steps_of(double epochs, int64_t n, int64_t batch)
{
    double steps = epochs * (double)n / (double)batch;
    return steps < 1 ? 1 : (int64_t)steps;
}

yk_status yk_deal_new(yk_deal *d, uint64_t seed, uint64_t deal, int64_t total, yk_error *err)
{
    yk_status st = YK_OK;
    *d = (yk_deal){.seed = seed, .deal = deal, .total = total, .epoch = -1};
    YK_NEW(d->order, total);
done:
    return st;
}

void yk_deal_free(yk_deal *d)
{
    free(d->order);
    d->order = NULL;
}

int64_t yk_deal_item(yk_deal *d, int64_t position)
{
    if (position / d->total != d->epoch) {
        d->epoch = position / d->total;
        const yk_rng rng = yk_rng_make(d->seed, YK_STREAM_DEAL, d->deal << 32 | (uint64_t)d->epoch);
        yk_rng_permutation(&rng, d->order, (uint64_t)d->total);
    }
    return (int64_t)d->order[position % d->total];
}
