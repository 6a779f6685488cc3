#include "align/contamination.h"

#include "base/file.h"
#include "base/log.h"
#include "text/documents.h"
#include "text/overlap.h"

#include <stdlib.h>
#include <string.h>

enum { SHOWN = 3 };

/* An item's text, in place of what `out` held. */
static void text_of(const yk_example *e, yk_buf *out)
{
    const char *right = e->choices ? e->choice[e->label] : e->answer;
    yk_buf_clear(out);
    for (size_t i = 0; i < e->turns; i++) yk_buf_printf(out, "%s\n", e->turn[i].content);
    yk_buf_puts(out, right ? right : "");
}

/* --- what was learnt from -------------------------------------------------------------------- */

static yk_status meet(yk_overlap *o, char *path, const yk_job *job, yk_error *err)
{
    yk_status st = YK_OK;
    if (!path) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    if (!yk_exists(path)) goto done;
    yk_progress("evaluate   is it in %s?", path);
    YK_TRY(yk_overlap_meet_file(o, path, job->team, job->comm, err));
done:
    free(path);
    return st;
}

static yk_status meet_all(yk_overlap *o, const yk_job *job, yk_error *err)
{
    const yk_recipe *r = job->recipe;
    const struct {
        const char *stage;
        const yk_list *data;
    } named[] = {{"sft", &r->sft_data}, {"distill", &r->distill_data}, {"reward", &r->reward_data},
                 {"ppo", &r->ppo_data}, {"dpo", &r->dpo_data}, {"grpo", &r->grpo_data}, {"refine", &r->refine_data}};
    static const char *const made[] = {"questions/train.jsonl", "questions/pairs.train.jsonl",
                                       "questions/problems.train.jsonl", "propose/train.jsonl", "distill/data.jsonl",
                                       "refine/data.jsonl"};
    yk_status st = YK_OK;
    for (size_t d = 0; d < r->corpora; d++)
        YK_TRY(meet(o, yk_documents_path(job->dir, r->corpus[d].domain, false), job, err));
    for (size_t i = 0; i < sizeof made / sizeof *made; i++)
        YK_TRY(meet(o, yk_path("%s/%s", job->dir, made[i]), job, err));
    for (size_t i = 0; i < sizeof named / sizeof *named; i++)
        for (size_t j = 0; j < named[i].data->n && yk_recipe_has_stage(r, named[i].stage); j++)
            YK_TRY(meet(o, yk_path("%s", named[i].data->item[j]), job, err));
    YK_TRY(yk_overlap_share(o, job->comm, err));
done:
    return st;
}

/* --- items ----------------------------------------------------------------------------------- */

/* Counts over the items of a set. */
typedef struct count {
    yk_overlap *o;
    int64_t items, overlapping;
    json_t *examples;
} count;

static yk_status add_document(void *context, const yk_document *doc, yk_error *err)
{
    return yk_overlap_add_item(context, doc->text, doc->length, err);
}

static yk_status add_task(yk_overlap *o, const yk_task *t, yk_error *err)
{
    yk_status st = YK_OK;
    yk_buf text = {0};
    for (size_t i = 0; i < t->examples.n; i++) {
        text_of(&t->examples.item[i], &text);
        YK_TRY(yk_overlap_add_item(o, text.data, text.len, err));
    }
done:
    yk_buf_free(&text);
    return st;
}

static yk_status look_up(count *c, const char *text, size_t n, size_t line, bool *hit, yk_error *err)
{
    yk_status st = YK_OK;
    yk_met met;
    YK_TRY(yk_overlap_met(c->o, text, n, &met, err));
    *hit = met.hit;
    c->items++;
    c->overlapping += met.hit;
    if (met.hit && json_array_size(c->examples) < SHOWN)
        json_array_append_new(c->examples, json_pack("{s:I, s:s%}", "line", (json_int_t)line, "ngram", text + met.from,
                                                     met.to - met.from));
done:
    return st;
}

static yk_status look_up_document(void *context, const yk_document *doc, yk_error *err)
{
    count *c = context;
    bool hit;
    return look_up(c, doc->text, doc->length, (size_t)c->items + 1, &hit, err);
}

static yk_status look_up_task(count *c, yk_task *t, yk_error *err)
{
    yk_status st = YK_OK;
    yk_buf text = {0};
    YK_NEW(t->overlaps, t->examples.n);
    for (size_t i = 0; i < t->examples.n; i++) {
        text_of(&t->examples.item[i], &text);
        YK_TRY(look_up(c, text.data, text.len, t->examples.item[i].line, &t->overlaps[i], err));
    }
done:
    yk_buf_free(&text);
    return st;
}

/* Takes the counts into `all` as `name`. */
static void report(count *c, const char *name, json_t *all)
{
    const double share = c->items ? (double)c->overlapping / (double)c->items : 0;
    json_object_set_new(all, name, json_pack("{s:I, s:I, s:f, s:o}", "items", (json_int_t)c->items, "overlapping",
                                             (json_int_t)c->overlapping, "share", share, "examples", c->examples));
    c->examples = NULL;
}

typedef struct finding {
    const yk_recipe *r;
    const char *dir;
    yk_task *task;
    size_t n;
    bool heldout;
    yk_overlap *o;
} finding;

/* Held-out documents of domain d: each to `fn`. */
static yk_status each_heldout(const finding *f, size_t d, yk_document_fn fn, void *context, yk_error *err)
{
    yk_status st = YK_OK;
    char *path = yk_documents_path(f->dir, f->r->corpus[d].domain, true);
    if (!path) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    if (yk_exists(path)) YK_TRY(yk_documents_read(path, fn, context, err));
done:
    free(path);
    return st;
}

static yk_status count_all(const finding *f, json_t *into, yk_error *err)
{
    yk_status st = YK_OK;
    count c = {0};
    char *name = NULL;
    for (size_t i = 0; i < f->n; i++) {
        c = (count){.o = f->o, .examples = json_array()};
        YK_TRY(look_up_task(&c, &f->task[i], err));
        report(&c, f->task[i].name, into);
    }
    for (size_t d = 0; d < f->r->corpora && f->heldout; d++) {
        c = (count){.o = f->o, .examples = json_array()};
        YK_TRY(each_heldout(f, d, look_up_document, &c, err));
        free(name);
        if (!(name = yk_path("heldout/%s", f->r->corpus[d].domain))) YK_FAIL(YK_ERR_MEMORY, "out of memory");
        report(&c, name, into);
    }
done:
    json_decref(c.examples);
    free(name);
    return st;
}

yk_status yk_contamination_find(const yk_job *job, yk_task *task, size_t n, bool heldout, json_t **into, yk_error *err)
{
    yk_status st = YK_OK;
    const yk_recipe *r = job->recipe;
    finding f = {.r = r, .dir = job->dir, .task = task, .n = n, .heldout = heldout};
    *into = json_object();
    if (!*into) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    YK_TRY(yk_overlap_new(&f.o, (size_t)r->evaluate_contamination, err));
    for (size_t i = 0; i < n; i++) YK_TRY(add_task(f.o, &task[i], err));
    for (size_t d = 0; d < r->corpora && heldout; d++) YK_TRY(each_heldout(&f, d, add_document, f.o, err));
    YK_TRY(yk_overlap_seal(f.o, err));
    YK_TRY(meet_all(f.o, job, err));
    YK_TRY(count_all(&f, *into, err));
done:
    yk_overlap_free(f.o);
    if (st != YK_OK) {
        json_decref(*into);
        *into = NULL;
    }
    return st;
}
