/* The propose stage: the pretrained model makes questions and answers of passages; those that pass the gate
 * (align/gate.h) are learnt from by sft. */
#include "align/align.h"
#include "align/answers.h"
#include "align/proposals.h"
#include "align/tasks.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "text/near.h"
#include "text/overlap.h"
#include "text/stream.h"

#include <stdlib.h>
#include <string.h>

enum { AT_ONCE = 512, LINE_LIMIT = 16 << 20 };

/* What the proposals and the gate depend on beside weights, passages, examples and evaluation sets. */
static const char *const keys[] = {"seed", "precision", "numerics", "propose.", "questions.overlap_words", NULL};

typedef struct proposing {
    yk_course c;
    const yk_recipe *r;
    char *path;           /* propose/train.jsonl; its account, report.json, tells what came out */
    char name[33];        /* hash over all that decides what the file holds */
    yk_examples rules;    /* questions of the stage `questions`, or propose.examples */
    yk_passages passages;
    yk_proposer proposer;
    yk_near *near;        /* questions that are there */
    yk_overlap *overlap;  /* evaluation sets */
    yk_digest *hash;
    yk_proposed *part;    /* [AT_ONCE] those in the making */
    int64_t proposals;
    int64_t count[YK_GATE_REASONS];
    json_t *samples;
    double seconds;
} proposing;

/* --- the gate -------------------------------------------------------------------------------- */

/* What can be told without a pass of the model. */
static yk_status judge_texts(proposing *x, yk_proposed *p, yk_error *err)
{
    yk_status st = YK_OK;
    bool copied = false;
    if (p->reason != YK_GATE_KEPT) goto done;
    YK_TRY(yk_passages_rarest(&x->passages, p->p.question + p->p.written, p->p.written_bytes, &p->p.rarest, err));
    YK_TRY(yk_gate_texts(x->r, &p->p, &p->reason, &p->overlap, err));
    for (int64_t i = 0; i < x->r->propose_shots && p->reason == YK_GATE_KEPT; i++) {
        const yk_example *e = yk_proposal_example(&x->proposer, p, i);
        if (e) YK_TRY(yk_gate_copied(x->r, &p->p, e->turn[0].content, e->turn[1].content, &copied, err));
        if (copied) p->reason = YK_GATE_COPIED;
    }
done:
    return st;
}

/* Likelihood, then what else there is. */
static yk_status judge_rest(proposing *x, yk_proposed *p, yk_error *err)
{
    yk_status st = YK_OK;
    const char *const texts[] = {p->p.question, p->p.answer, x->r->propose_with_passage ? p->p.passage : ""};
    bool hit;
    if (p->reason == YK_GATE_KEPT) p->reason = yk_gate_likelihood(x->r, &p->nats);
    if (p->reason != YK_GATE_KEPT) goto done;
    YK_TRY(yk_near_find(x->near, p->p.question, 0, &hit, err));
    if (hit) p->reason = YK_GATE_NEAR;
    for (size_t i = 0; i < sizeof texts / sizeof *texts && p->reason == YK_GATE_KEPT; i++) {
        YK_TRY(yk_overlap_find(x->overlap, texts[i], strlen(texts[i]), &hit, err));
        if (hit) p->reason = YK_GATE_EVALUATION;
    }
    if (p->reason == YK_GATE_KEPT) YK_TRY(yk_near_add(x->near, p->p.question, 0, err));
done:
    return st;
}

/* --- what is written ------------------------------------------------------------------------- */

static yk_status write_row(const proposing *x, const yk_proposed *p, FILE *f, yk_error *err)
{
    yk_buf prompt = {0};
    if (!f) return YK_OK;
    if (x->r->propose_with_passage) yk_buf_printf(&prompt, "%s\n\n", p->p.passage);
    yk_buf_puts(&prompt, p->p.question);
    json_t *row = json_pack("{s:s, s:s, s:s}", "prompt", prompt.data, "completion", p->p.answer, "kind", "proposed");
    yk_buf_free(&prompt);
    return yk_json_add_line(f, x->path, row, err);
}

static void note(proposing *x, const yk_proposed *p)
{
    if (x->count[p->reason]++ >= x->r->propose_samples) return;
    json_t *sample = json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "reason", yk_gate_name[p->reason], "passage",
                               p->p.passage, "question", yk_json_of_bytes(p->question.data, p->question.len), "answer",
                               yk_json_of_bytes(p->answer.data, p->answer.len), "nats",
                               yk_json_number_or_null(p->nats.all), "nats_without_passage",
                               yk_json_number_or_null(p->nats.no_passage), "nats_without_question",
                               yk_json_number_or_null(p->nats.no_question), "overlap",
                               yk_json_number_or_null(p->overlap));
    json_array_append_new(x->samples, sample);
}

static json_t *dropped(const proposing *x)
{
    json_t *all = json_object();
    for (int i = YK_GATE_KEPT + 1; i < YK_GATE_REASONS; i++)
        json_object_set_new(all, yk_gate_name[i], json_integer((json_int_t)x->count[i]));
    return all;
}

/* --- going on -------------------------------------------------------------------------------- */

static json_t *remember(const void *context)
{
    const proposing *x = context;
    return json_pack("{s:I, s:I, s:o, s:O, s:f}", "passages", (json_int_t)x->passages.n, "kept",
                     (json_int_t)x->count[YK_GATE_KEPT], "dropped", dropped(x), "samples", x->samples, "seconds",
                     x->seconds);
}

/* The questions of the rows that are there become known: each is the last line of its prompt. */
static yk_status take_rows(proposing *x, yk_error *err)
{
    yk_status st = YK_OK;
    yk_stream_in *in = NULL;
    yk_buf line = {0};
    YK_TRY(yk_stream_open(&in, x->path, err));
    for (bool end = false;;) {
        YK_TRY(yk_stream_line(in, &line, LINE_LIMIT, &end, err));
        if (end) break;
        json_t *row = json_loadb(line.data, line.len, 0, NULL);
        const char *prompt = json_string_value(json_object_get(row, "prompt"));
        const char *last = prompt ? strrchr(prompt, '\n') : NULL;
        if (prompt) st = yk_near_add(x->near, last ? last + 1 : prompt, 0, err);
        else st = yk_fail(err, YK_ERR_DAMAGED, "%s: a line is not what was written; remove the file", x->path);
        json_decref(row);
        if (st != YK_OK) goto done;
    }
done:
    yk_stream_close(in);
    yk_buf_free(&line);
    return st;
}

static yk_status recall(void *context, const json_t *account, yk_error *err)
{
    proposing *x = context;
    const json_t *drops = json_object_get(account, "dropped");
    x->count[YK_GATE_KEPT] = json_integer_value(json_object_get(account, "kept"));
    for (int i = YK_GATE_KEPT + 1; i < YK_GATE_REASONS; i++)
        x->count[i] = json_integer_value(json_object_get(drops, yk_gate_name[i]));
    json_array_extend(x->samples, json_object_get(account, "samples"));
    x->seconds = json_number_value(json_object_get(account, "seconds"));
    return take_rows(x, err);
}

/* --- the stage ------------------------------------------------------------------------------- */

/* A yk_answers' make: proposals are its items. */
static yk_status propose_some(void *context, int64_t first, int64_t n, FILE *f, bool *whole, yk_error *err)
{
    yk_status st = YK_OK;
    proposing *x = context;
    yk_proposed *p = x->part;
    const double began = yk_now();
    (void)whole;
    YK_TRY(yk_proposals_make(&x->proposer, &x->passages, first, n, p, err));
    for (int64_t i = 0; i < n; i++) YK_TRY(judge_texts(x, &p[i], err));
    YK_TRY(yk_proposals_measure(&x->proposer, p, n, err));
    for (int64_t i = 0; i < n; i++) {
        YK_TRY(judge_rest(x, &p[i], err));
        if (p[i].reason == YK_GATE_KEPT) YK_TRY(write_row(x, &p[i], f, err));
        note(x, &p[i]);
    }
    x->seconds += yk_now() - began;
done:
    return st;
}

/* *made is false when the job was to stop. */
static yk_status propose_all(proposing *x, bool *made, yk_error *err)
{
    yk_status st = YK_OK;
    const yk_answers a = {.path = x->path, .account = "report.json", .name = x->name, .items = "proposals",
                          .total = x->proposals, .part = AT_ONCE, .kept = &x->count[YK_GATE_KEPT],
                          .make = propose_some, .remember = remember, .recall = recall, .context = x};
    YK_NEW(x->part, AT_ONCE);
    st = yk_answers_make(&a, &x->c, made, err);
done:
    yk_proposals_free(x->part, AT_ONCE);
    return st;
}

static yk_status read_rules(proposing *x, yk_error *err)
{
    yk_status st = YK_OK;
    yk_list paths = {0};
    const bool own = yk_recipe_has_stage(x->r, "questions");
    if (!own && x->r->propose_examples.n == 0 && x->r->propose_shots == 0) return YK_OK;
    YK_TRY(yk_course_paths(&x->c, &x->r->propose_examples, "propose.examples", "train.jsonl", &paths, err));
    YK_TRY(yk_examples_read(&x->rules, &paths, YK_CONVERSATION, (size_t)x->r->sft_bad_lines, err));
    yk_digest_add(x->hash, x->rules.hash, sizeof x->rules.hash);
    for (size_t i = 0; i < x->rules.n; i++) {
        const yk_example *e = &x->rules.item[i];
        if (e->turns > 1) YK_TRY(yk_near_add(x->near, e->turn[e->turns - 2].content, 0, err));
    }
done:
    yk_course_free_paths(&paths);
    return st;
}

static yk_status hash_file(const char *path, char hex[33], yk_error *err)
{
    yk_buf bytes = {0};
    const yk_status st = yk_file_read(path, &bytes, err);
    if (st == YK_OK) yk_hash128_hex(bytes.data ? bytes.data : "", bytes.len, hex);
    yk_buf_free(&bytes);
    return st;
}

static yk_status read_evaluation_set(proposing *x, const char *path, yk_error *err)
{
    yk_status st = YK_OK;
    char hex[33];
    YK_TRY(yk_overlap_add_file(x->overlap, path, err));
    YK_TRY(hash_file(path, hex, err));
    yk_digest_add(x->hash, hex, sizeof hex);
done:
    return st;
}

/* The data of an evaluation task, which may be named by a task file. */
static yk_status read_task(proposing *x, const char *path, yk_error *err)
{
    yk_status st = YK_OK;
    yk_task t;
    YK_TRY(yk_task_read(&t, path, NULL, (size_t)x->r->sft_bad_lines, err));
    for (size_t i = 0; i < t.files.n; i++) YK_TRY(read_evaluation_set(x, t.files.item[i], err));
done:
    yk_task_free(&t);
    return st;
}

/* What is evaluated on: files of the recipe, and what the stage `questions` has set apart. */
static yk_status read_evaluation_sets(proposing *x, yk_error *err)
{
    static const char *const own[] = {"heldout.jsonl", "pairs.heldout.jsonl", "problems.heldout.jsonl"};
    yk_status st = YK_OK;
    const yk_list *const named[] = {&x->r->questions_against, &x->r->sft_heldout};
    char *path = NULL;
    YK_TRY(yk_overlap_new(&x->overlap, (size_t)x->r->questions_overlap_words, err));
    for (size_t i = 0; i < sizeof named / sizeof *named; i++)
        for (size_t k = 0; k < named[i]->n; k++) YK_TRY(read_evaluation_set(x, named[i]->item[k], err));
    for (size_t i = 0; i < x->r->evaluate_tasks.n; i++) YK_TRY(read_task(x, x->r->evaluate_tasks.item[i], err));
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        free(path);
        path = yk_path("%s/questions/%s", x->c.job->dir, own[i]);
        if (!path) YK_FAIL(YK_ERR_MEMORY, "out of memory");
        if (yk_recipe_has_stage(x->r, "questions")) YK_TRY(read_evaluation_set(x, path, err));
    }
done:
    free(path);
    return st;
}

static yk_status open_all(proposing *x, yk_error *err)
{
    yk_status st = YK_OK;
    yk_buf recipe = {0};
    char weights[33];
    x->hash = yk_digest_new();
    x->samples = json_array();
    x->path = yk_path("%s/train.jsonl", x->c.dir);
    if (!x->hash || !x->samples || !x->path) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    if (yk_comm_leads(x->c.comm)) YK_TRY(yk_mkdirs(x->c.dir, err));
    YK_TRY(yk_passages_choose(&x->passages, x->r, x->c.job->dir, err));
    YK_TRY(yk_near_new(&x->near, x->r->propose_similarity, err));
    YK_TRY(read_rules(x, err));
    YK_TRY(read_evaluation_sets(x, err));
    YK_TRY(yk_proposer_open(&x->proposer, &x->c, &x->rules, err));
    if (x->r->propose_shots > 0 && x->proposer.examples == 0)
        yk_warn("propose: no question is short enough to be an example, or has a question mark; none is shown");
    x->proposals = (int64_t)x->passages.n * x->r->propose_per_passage;
    yk_weights_hash(x->c.s.model, yk_model_weights(x->c.s.model), weights);
    yk_digest_add(x->hash, weights, sizeof weights);
    for (size_t i = 0; i < x->passages.n; i++)
        yk_digest_add(x->hash, &x->passages.item[i].rank, sizeof x->passages.item->rank);
    yk_recipe_canonical(x->r, keys, &recipe);
    yk_digest_add(x->hash, recipe.data, recipe.len);
    yk_digest_add(x->hash, &x->c.context, sizeof x->c.context);
    yk_digest_hex(x->hash, x->name);
done:
    yk_buf_free(&recipe);
    return st;
}

static yk_status tell_why_none(const proposing *x, yk_error *err)
{
    yk_status st = YK_OK;
    yk_buf why = {0};
    if (x->count[YK_GATE_NO_ROOM] == x->proposals)
        YK_FAIL(YK_ERR_INPUT, "no passage fits the context of %lld tokens beside its examples, question and answer; "
                "lower propose.passage_bytes, propose.shots or propose.shot_bytes, or raise pretrain.seq",
                (long long)x->c.context);
    for (int i = YK_GATE_KEPT + 1; i < YK_GATE_REASONS; i++)
        if (x->count[i]) yk_buf_printf(&why, "%s%lld %s", why.len ? ", " : "", (long long)x->count[i], yk_gate_name[i]);
    YK_FAIL(YK_ERR_INPUT, "none of %lld proposals passes the gate (%s); propose/report.json has samples. Train longer "
            "before `propose`, loosen its gate, or leave it out of `stages`", (long long)x->proposals, why.data);
done:
    yk_buf_free(&why);
    return st;
}

/* The run's digest covers the file that was made. */
static yk_status add_to_summary(const proposing *x, yk_error *err)
{
    yk_status st = YK_OK;
    char hex[33];
    const int64_t kept = x->count[YK_GATE_KEPT];
    YK_TRY(hash_file(x->path, hex, err));
    yk_course_add_digest(&x->c, hex);
    json_object_set_new(x->c.job->summary, "propose",
                        json_pack("{s:I, s:I, s:I, s:f, s:o, s:f, s:s}", "passages", (json_int_t)x->passages.n,
                                  "asked", (json_int_t)x->proposals, "kept", (json_int_t)kept, "share",
                                  (double)kept / (double)x->proposals, "dropped", dropped(x), "seconds", x->seconds,
                                  "digest", hex));
    yk_log("propose    %lld of %lld proposals pass the gate", (long long)kept, (long long)x->proposals);
    for (int i = YK_GATE_KEPT + 1; i < YK_GATE_REASONS; i++)
        if (x->count[i]) yk_log("propose    %8lld dropped: %s", (long long)x->count[i], yk_gate_name[i]);
done:
    return st;
}

yk_status yk_propose_stage(const yk_job *job, bool *finished, yk_error *err)
{
    yk_status st = YK_OK;
    proposing x = {.r = job->recipe};
    bool made;
    *finished = false;
    YK_TRY(yk_course_open_to_measure(&x.c, job, "propose", YK_COURSE_ROWS, err));
    YK_TRY(open_all(&x, err));
    YK_TRY(propose_all(&x, &made, err));
    if (!made) goto done;
    if (x.count[YK_GATE_KEPT] == 0) YK_TRY(tell_why_none(&x, err));
    YK_TRY(add_to_summary(&x, err));
    *finished = true;
done:
    yk_proposer_close(&x.proposer);
    yk_examples_free(&x.rules);
    yk_passages_free(&x.passages);
    yk_near_free(x.near);
    yk_overlap_free(x.overlap);
    yk_digest_free(x.hash);
    json_decref(x.samples);
    free(x.path);
    yk_course_close(&x.c);
    return st;
}
