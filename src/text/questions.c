/* The questions stage: problems and questions are dealt to six files, each then written in order of a hash of the
 * prompts. One thread does it all. */
#include "text/questions.h"

#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "base/rng.h"
#include "text/documents.h"
#include "text/extract.h"
#include "text/hashes.h"
#include "text/near.h"
#include "text/overlap.h"
#include "text/pool.h"
#include "text/problems.h"

#include <stdlib.h>
#include <string.h>

enum { HELDOUT_PART = 16, SAMPLES = 3, DRAWS = 40, LEAST_DRAWS = 10000 };

/* The problem itself draws from 0 on; what becomes of it from here. */
#define CHOICES (UINT64_C(1) << 32)

static const char REPEATED[] = "repeated question", ALIKE[] = "near-duplicate question",
                  ALIKE_HELDOUT[] = "near-duplicate of a held-out question";

typedef enum file_id { TRAIN, HELDOUT, PAIRS_TRAIN, PAIRS_HELDOUT, PROBLEMS_TRAIN, PROBLEMS_HELDOUT, FILES } file_id;

static const char *const file_name[FILES] = {"train.jsonl",       "heldout.jsonl",        "pairs.train.jsonl",
                                             "pairs.heldout.jsonl", "problems.train.jsonl", "problems.heldout.jsonl"};

typedef struct row {
    uint64_t rank;
    json_t *json;
} row;

typedef struct file {
    row *rows;
    size_t n, room;
    size_t problems, most; /* of the rows: generated ones, and how many of those are wanted */
} file;

typedef struct asker {
    const yk_job *job;
    const yk_recipe *r;
    uint64_t seed;
    file file[FILES];
    size_t kind[YK_PROBLEM_KINDS], kinds; /* of problems */
    yk_hashes seen;                       /* prompts */
    yk_near *heldout, *others;            /* those of held-out files, of the others; NULL: near ones may stay */
    yk_overlap *overlap;                  /* NULL: no evaluation set is named */
    json_t *dropped;
    yk_pool pool[YK_ASK_KINDS], document; /* questions that stay for now: of a split, of the document at hand */
    int64_t documents;
    bool stopped;
} asker;

static void drop(asker *c, const char *reason)
{
    json_int_t count = json_integer_value(json_object_get(c->dropped, reason));
    json_object_set_new(c->dropped, reason, json_integer(count + 1));
}

static bool is_heldout(file_id id)
{
    return id == HELDOUT || id == PAIRS_HELDOUT || id == PROBLEMS_HELDOUT;
}

static const char *prompt_of(const json_t *json)
{
    return json_string_value(json_object_get(json, "prompt"));
}

static uint64_t rank_of(const asker *c, const char *prompt)
{
    return yk_hash64(prompt, strlen(prompt), c->seed);
}

/* Whether a prompt and an answer (or NULL) are free of what evaluation sets hold; counts once what is not. */
static yk_status is_clear(asker *c, const char *prompt, const char *answer, bool *clear, yk_error *err)
{
    yk_status st = YK_OK;
    bool hit = false, fresh = false;
    if (c->overlap) YK_TRY(yk_overlap_find(c->overlap, prompt, strlen(prompt), &hit, err));
    if (c->overlap && answer && !hit) YK_TRY(yk_overlap_find(c->overlap, answer, strlen(answer), &hit, err));
    if (hit) YK_TRY(yk_hashes_add(&c->seen, rank_of(c, prompt), &fresh, err));
    if (fresh) drop(c, "overlaps an evaluation set");
    *clear = !hit;
done:
    return st;
}

/* Whether a prompt is like none that is there, of which it then is one; counts what is not new. An exact repetition is
 * left to add_row. */
static yk_status is_new(asker *c, const char *prompt, uint64_t group, bool heldout, bool *fresh, yk_error *err)
{
    yk_status st = YK_OK;
    bool leaks = false, alike = false;
    *fresh = true;
    if (!c->heldout || yk_hashes_has(&c->seen, rank_of(c, prompt))) goto done;
    YK_TRY(yk_near_find(c->heldout, prompt, group, &leaks, err));
    if (!heldout && !leaks) YK_TRY(yk_near_find(c->others, prompt, group, &alike, err));
    *fresh = !leaks && !alike;
    if (*fresh) YK_TRY(yk_near_add(heldout ? c->heldout : c->others, prompt, group, err));
    else drop(c, leaks && !heldout ? ALIKE_HELDOUT : ALIKE);
done:
    return st;
}

/* Takes `json`, unless its prompt has come before. */
static yk_status add_row(asker *c, file *f, json_t *json, bool *added, yk_error *err)
{
    yk_status st = YK_OK;
    *added = false;
    if (!json) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    uint64_t rank = rank_of(c, prompt_of(json));
    YK_TRY(yk_hashes_add(&c->seen, rank, added, err));
    if (!*added) goto done;
    YK_ROOM(f->rows, f->n, f->room);
    f->rows[f->n++] = (row){rank, json};
    return YK_OK;
done:
    json_decref(json);
    return st;
}

static bool must_stop(asker *c)
{
    c->stopped = *c->job->stop || (c->job->deadline > 0 && yk_now() > c->job->deadline);
    return c->stopped;
}

/* --- Problems -------------------------------------------------------------------------------- */

static json_t *tuning_row(const yk_problem *p, const char *prompt, yk_rendering how)
{
    yk_buf response = {0};
    yk_problem_respond(p, how, &p->answer, &response);
    json_t *x = json_pack("{s:s, s:s, s:s, s:i}", "prompt", prompt, "completion", response.data, "kind", p->kind,
                          "level", p->level);
    yk_buf_free(&response);
    return x;
}

static json_t *pair_row(const yk_problem *p, const char *prompt, yk_rendering better, yk_rendering worse, bool wrong)
{
    yk_buf chosen = {0}, rejected = {0};
    yk_problem_respond(p, better, &p->answer, &chosen);
    yk_problem_respond(p, worse, wrong ? &p->wrong : &p->answer, &rejected);
    json_t *x = json_pack("{s:s, s:s, s:s, s:f, s:s}", "prompt", prompt, "chosen", chosen.data, "rejected",
                          rejected.data, "margin", 1.0, "kind", p->kind);
    yk_buf_free(&chosen);
    yk_buf_free(&rejected);
    return x;
}

static json_t *problem_row(const yk_problem *p, const char *prompt)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:i}", "prompt", prompt, "answer", p->answer.data, "verifier", p->verifier,
                     "kind", p->kind, "level", p->level);
}

/* Six pairs in ten prefer the sentence, two the right answer in one rendering, two right worked steps. */
static json_t *make_pair(const yk_problem *p, const char *plain, const char *suffixed, double form, bool full)
{
    yk_rendering same = full ? YK_FULL : YK_BARE;
    if (form < 0.6) return pair_row(p, plain, YK_FULL, YK_BARE, false);
    if (form < 0.8) return pair_row(p, plain, same, same, true);
    return pair_row(p, suffixed, YK_STEPS, YK_STEPS, true);
}

/* Where a problem goes: of train and pairs in proportion to what is wanted, while both want more. */
static file_id choose_file(const asker *c, yk_problem_use use, double place)
{
    if (use == YK_PROBLEM_RL) return PROBLEMS_TRAIN;
    if (use == YK_PROBLEM_RL_HELDOUT) return PROBLEMS_HELDOUT;
    file_id tune = use == YK_PROBLEM_TUNE ? TRAIN : HELDOUT,
            pairs = use == YK_PROBLEM_TUNE ? PAIRS_TRAIN : PAIRS_HELDOUT;
    const file *t = &c->file[tune], *p = &c->file[pairs];
    bool tune_full = t->problems == t->most, pairs_full = p->problems == p->most;
    if (tune_full || pairs_full) return pairs_full ? tune : pairs;
    return place * (double)(t->most + p->most) < (double)t->most ? tune : pairs;
}

static yk_status place_problem(asker *c, const yk_problem *p, uint64_t index, yk_error *err)
{
    yk_status st = YK_OK;
    yk_rng rng = yk_rng_make(c->seed, YK_STREAM_PROBLEM, index);
    file_id id = choose_file(c, yk_problem_use_of(p), yk_rng_uniform(&rng, CHOICES));
    file *f = &c->file[id];
    double form = yk_rng_uniform(&rng, CHOICES + 1);
    bool full = yk_rng_uniform(&rng, CHOICES + 2) < (id <= HELDOUT ? c->r->questions_full_share : 0.5), fits;
    yk_buf suffixed = {0};
    const char *plain = p->prompt.data;
    json_t *x = NULL;
    if (f->problems == f->most) return YK_OK;
    YK_TRY(is_clear(c, plain, NULL, &fits, err));
    if (!fits) goto done;
    yk_buf_printf(&suffixed, "%s%s", plain, c->r->questions_hint ? YK_PROBLEM_SUFFIX : "");
    if (id >= PROBLEMS_TRAIN) x = problem_row(p, suffixed.data);
    else if (id >= PAIRS_TRAIN) x = make_pair(p, plain, suffixed.data, form, full);
    else if (form < c->r->questions_steps_share) x = tuning_row(p, suffixed.data, YK_STEPS);
    else x = tuning_row(p, plain, full ? YK_FULL : YK_BARE);
    if (!x) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    YK_TRY(is_new(c, prompt_of(x), yk_hash64(p->key.data, p->key.len, 1), is_heldout(id), &fits, err));
    if (!fits) goto done;
    YK_TRY(add_row(c, f, json_incref(x), &fits, err));
    f->problems += fits;
done:
    json_decref(x);
    yk_buf_free(&suffixed);
    return st;
}

static size_t wanted(const asker *c)
{
    size_t n = 0;
    for (int i = 0; i < FILES; i++) n += c->file[i].most - c->file[i].problems;
    return n;
}

static void warn_of_few(const asker *c)
{
    for (int i = 0; i < FILES; i++) {
        const file *f = &c->file[i];
        if (f->problems < f->most)
            yk_warn(
                "questions: %s has %zu problems, not %zu: levels %lld to %lld hold no more; raise questions.level_max",
                file_name[i], f->problems, f->most, (long long)c->r->questions_level_min,
                (long long)c->r->questions_level_max);
    }
}

static yk_status make_problems(asker *c, yk_error *err)
{
    yk_status st = YK_OK;
    yk_problem p = {0};
    uint64_t levels = (uint64_t)(c->r->questions_level_max - c->r->questions_level_min + 1);
    size_t all = wanted(c);
    uint64_t most = DRAWS * (uint64_t)all + LEAST_DRAWS;
    for (uint64_t i = 0; i < most && wanted(c) > 0 && !must_stop(c); i++) {
        int level = (int)(c->r->questions_level_min + (int64_t)(i / c->kinds % levels));
        yk_problem_make(&p, c->kind[i % c->kinds], level, c->seed, i);
        YK_TRY(place_problem(c, &p, i, err));
        if (i % 1024 == 0) yk_progress("questions  %zu of %zu problems", all - wanted(c), all);
    }
    if (!c->stopped) warn_of_few(c);
done:
    yk_problem_free(&p);
    return st;
}

static yk_status choose_kinds(asker *c, yk_error *err)
{
    const yk_list *list = &c->r->questions_kinds;
    for (size_t i = 0; i < list->n; i++) {
        size_t k = 0, had = 0;
        while (k < YK_PROBLEM_KINDS && strcmp(list->item[i], yk_problem_kind(k)) != 0) k++;
        while (had < c->kinds && c->kind[had] != k) had++;
        if (k == YK_PROBLEM_KINDS || had < c->kinds) {
            yk_buf all = {0};
            for (size_t j = 0; j < YK_PROBLEM_KINDS; j++)
                yk_buf_printf(&all, "%s%s", j ? ", " : "", yk_problem_kind(j));
            yk_status st = yk_fail(err, YK_ERR_CONFIG, "`questions.kinds` has `%.40s`%s; there are [%s]", list->item[i],
                                   had < c->kinds ? " twice" : ", which is unknown", all.data);
            yk_buf_free(&all);
            return st;
        }
        c->kind[c->kinds++] = k;
    }
    return YK_OK;
}

/* --- Documents ------------------------------------------------------------------------------- */

static yk_status take_question(void *context, yk_question_kind kind, const char *prompt, const char *answer,
                               yk_error *err)
{
    yk_status st = YK_OK;
    asker *c = context;
    bool fits, repeated;
    YK_TRY(is_clear(c, prompt, answer, &fits, err));
    if (!fits) goto done;
    yk_asked q = {rank_of(c, prompt), kind, (char *)(uintptr_t)prompt, (char *)(uintptr_t)answer};
    YK_TRY(yk_pool_offer(&c->document, &q, &repeated, err));
    if (repeated) drop(c, REPEATED);
done:
    return st;
}

static yk_status take_document(void *context, const yk_document *doc, yk_error *err)
{
    yk_status st = YK_OK;
    asker *c = context;
    bool repeated;
    if (must_stop(c)) YK_FAIL(YK_ERR_INTERNAL, "stopped");
    yk_pool_clear(&c->document);
    YK_TRY(yk_extract(doc, take_question, c, err));
    for (size_t i = 0; i < c->document.n; i++) {
        YK_TRY(yk_pool_offer(&c->pool[c->document.asked[i].kind], &c->document.asked[i], &repeated, err));
        if (repeated) drop(c, REPEATED);
    }
    yk_progress("questions  %lld documents", (long long)++c->documents);
done:
    return st;
}

static yk_status add_question(asker *c, const yk_asked *q, bool heldout, bool *added, yk_error *err)
{
    yk_status st = YK_OK;
    YK_TRY(is_new(c, q->prompt, 0, heldout, added, err));
    if (!*added) goto done;
    json_t *x = json_pack("{s:s, s:s, s:s}", "prompt", q->prompt, "completion", q->answer, "kind",
                          yk_question_kind_name(q->kind));
    YK_TRY(add_row(c, &c->file[heldout ? HELDOUT : TRAIN], x, added, err));
    if (!*added) drop(c, REPEATED);
done:
    return st;
}

/* Kinds take turns until there are `most` questions: each gets an equal share, and what one lacks the others fill. */
static yk_status share_out(asker *c, size_t most, bool heldout, yk_error *err)
{
    yk_status st = YK_OK;
    size_t next[YK_ASK_KINDS] = {0};
    for (bool more = true; more && most > 0;) {
        more = false;
        for (int k = 0; k < YK_ASK_KINDS && most > 0; k++) {
            bool added = false;
            while (!added && next[k] < c->pool[k].n)
                YK_TRY(add_question(c, &c->pool[k].asked[next[k]++], heldout, &added, err));
            most -= added;
            more = more || added;
        }
    }
done:
    return st;
}

static yk_status ask_documents(asker *c, bool heldout, yk_error *err)
{
    yk_status st = YK_OK;
    char *path = NULL;
    size_t most = (size_t)c->r->questions_documents;
    if (heldout) most = (most + HELDOUT_PART - 1) / HELDOUT_PART;
    for (int k = 0; k < YK_ASK_KINDS; k++) c->pool[k].most = most;
    for (size_t i = 0; i < c->r->corpora; i++) {
        free(path);
        path = yk_documents_path(c->job->dir, c->r->corpus[i].domain, heldout);
        if (!path) YK_FAIL(YK_ERR_MEMORY, "out of memory");
        if (!yk_exists(path))
            YK_FAIL(YK_ERR_INPUT,
                    "%s is missing: questions are made from clean documents; put `clean` before `questions` "
                    "in `stages`, or set questions.documents: 0",
                    path);
        YK_TRY(yk_documents_read(path, take_document, c, err));
    }
    YK_TRY(share_out(c, most, heldout, err));
done:
    for (int k = 0; k < YK_ASK_KINDS; k++) yk_pool_clear(&c->pool[k]);
    free(path);
    return c->stopped ? YK_OK : st;
}

/* --- Outputs --------------------------------------------------------------------------------- */

static int by_rank(const void *a, const void *b)
{
    const row *x = a, *y = b;
    return (x->rank > y->rank) - (x->rank < y->rank);
}

static yk_status write_rows(const asker *c, file_id id, yk_error *err)
{
    yk_status st = YK_OK;
    const file *f = &c->file[id];
    yk_outfile out = {0};
    char *path = yk_path("%s/questions/%s", c->job->dir, file_name[id]);
    if (!path) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    if (f->n) qsort(f->rows, f->n, sizeof *f->rows, by_rank);
    YK_TRY(yk_outfile_open(&out, path, err));
    for (size_t i = 0; i < f->n; i++) YK_TRY(yk_json_add_line(out.f, path, json_incref(f->rows[i].json), err));
    YK_TRY(yk_outfile_commit(&out, err));
done:
    yk_outfile_abandon(&out);
    free(path);
    return st;
}

/* Counts the rows' kinds; the first few of each kind become samples. */
static yk_status count_kinds(const file *f, const char *split, json_t *kinds, json_t *samples, yk_error *err)
{
    for (size_t i = 0; i < f->n; i++) {
        json_t *x = f->rows[i].json, *kind = json_object_get(x, "kind");
        json_t *count = json_object_get(kinds, json_string_value(kind));
        if (!count) {
            count = json_pack("{s:i, s:i}", "train", 0, "heldout", 0);
            if (json_object_set_new(kinds, json_string_value(kind), count))
                return yk_fail(err, YK_ERR_MEMORY, "out of memory");
        }
        json_int_t n = json_integer_value(json_object_get(count, split));
        json_object_set_new(count, split, json_integer(n + 1));
        if (!samples || n >= SAMPLES) continue;
        json_array_append_new(samples,
                              json_pack("{s:O, s:O, s:O}", "kind", kind, "prompt", json_object_get(x, "prompt"),
                                        "response", json_object_get(x, "completion")));
    }
    return YK_OK;
}

static yk_status write_report(asker *c, yk_error *err)
{
    yk_status st = YK_OK;
    json_t *kinds = json_object(), *samples = json_array(), *report = NULL;
    char *path = yk_path("%s/questions/report.json", c->job->dir);
    const file *f = c->file;
    if (!kinds || !samples || !path) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    YK_TRY(count_kinds(&f[TRAIN], "train", kinds, samples, err));
    YK_TRY(count_kinds(&f[HELDOUT], "heldout", kinds, NULL, err));
    report = json_pack("{s:O, s:O, s:O}", "kinds", kinds, "dropped", c->dropped, "samples", samples);
    YK_TRY(yk_json_write(path, report, err));
    json_object_set_new(c->job->summary, "questions",
                        json_pack("{s:I, s:I, s:I, s:I, s:O}", "train", (json_int_t)f[TRAIN].n, "heldout",
                                  (json_int_t)f[HELDOUT].n, "pairs", (json_int_t)f[PAIRS_TRAIN].n, "problems",
                                  (json_int_t)f[PROBLEMS_TRAIN].n, "by_kind", kinds));
    yk_log("questions  %zu to train on, %zu of them generated; %zu pairs, %zu problems for reinforcement learning",
           f[TRAIN].n, f[TRAIN].problems, f[PAIRS_TRAIN].n, f[PROBLEMS_TRAIN].n);
done:
    json_decref(kinds);
    json_decref(samples);
    json_decref(report);
    free(path);
    return st;
}

static yk_status start(asker *c, yk_error *err)
{
    yk_status st = YK_OK;
    const yk_recipe *r = c->r;
    char *dir = yk_path("%s/questions", c->job->dir);
    c->dropped = json_object();
    if (!dir || !c->dropped) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    if (r->questions_documents > 0 && r->corpora == 0)
        YK_FAIL(YK_ERR_CONFIG,
                "the recipe has no `corpus:` to make questions from; name one, or set questions.documents: 0");
    YK_TRY(yk_mkdirs(dir, err));
    YK_TRY(choose_kinds(c, err));
    const int64_t most[FILES] = {r->questions_problems, (r->questions_problems + HELDOUT_PART - 1) / HELDOUT_PART,
                                 r->questions_pairs,    (r->questions_pairs + HELDOUT_PART - 1) / HELDOUT_PART,
                                 r->questions_rl_problems, r->questions_heldout_problems};
    for (int i = 0; i < FILES && c->kinds; i++) c->file[i].most = (size_t)most[i];
    c->document.most = (size_t)r->questions_per_document;
    if (r->questions_similarity < 1) {
        YK_TRY(yk_near_new(&c->heldout, r->questions_similarity, err));
        YK_TRY(yk_near_new(&c->others, r->questions_similarity, err));
    }
    if (r->questions_against.n) YK_TRY(yk_overlap_new(&c->overlap, (size_t)r->questions_overlap_words, err));
    for (size_t i = 0; i < r->questions_against.n; i++)
        YK_TRY(yk_overlap_add_file(c->overlap, r->questions_against.item[i], err));
done:
    free(dir);
    return yk_context(err, st, "questions");
}

static void finish(asker *c)
{
    for (int i = 0; i < FILES; i++) {
        for (size_t k = 0; k < c->file[i].n; k++) json_decref(c->file[i].rows[k].json);
        free(c->file[i].rows);
    }
    for (int k = 0; k < YK_ASK_KINDS; k++) yk_pool_free(&c->pool[k]);
    yk_pool_free(&c->document);
    yk_hashes_free(&c->seen);
    yk_near_free(c->heldout);
    yk_near_free(c->others);
    yk_overlap_free(c->overlap);
    json_decref(c->dropped);
}

yk_status yk_questions_stage(const yk_job *job, bool *finished, yk_error *err)
{
    yk_status st = YK_OK;
    asker c = {.job = job, .r = job->recipe, .seed = (uint64_t)job->recipe->seed};
    YK_TRY(start(&c, err));
    for (int train = 0; train < 2 && c.r->questions_documents > 0 && !c.stopped; train++)
        YK_TRY(ask_documents(&c, !train, err)); /* what is held out first: of two that are alike it stays */
    if (!c.stopped && c.kinds) YK_TRY(make_problems(&c, err));
    *finished = !c.stopped;
    if (c.stopped) goto done;
    for (int i = 0; i < FILES; i++) YK_TRY(write_rows(&c, i, err));
    YK_TRY(write_report(&c, err));
done:
    finish(&c);
    return st;
}

yk_status yk_questions_stamp(const yk_recipe *r, char hex[33], yk_error *err)
{
    yk_status st = YK_OK;
    yk_buf text = {0};
    for (size_t i = 0; i < r->questions_against.n; i++) {
        yk_buf_add(&text, r->questions_against.item[i], strlen(r->questions_against.item[i]) + 1);
        YK_TRY(yk_file_read(r->questions_against.item[i], &text, err));
    }
    yk_hash128_hex(text.data ? text.data : "", text.len, hex);
done:
    yk_buf_free(&text);
    return st;
}
