#include "align/grading.h"

#include "base/log.h"

#include <stdlib.h>
#include <string.h>

enum { ANSWERS = 256 }; /* at a time */

yk_status yk_grader_new(yk_grader *g, const yk_job *job, yk_error *err)
{
    const yk_recipe *r = job->recipe;
    const yk_verifier_options o = {.kind = r->verify_kind, .command = *r->verify_command ? r->verify_command : NULL,
                                   .job = job,
                                   .time_limit = r->verify_time_limit, .max_failures = r->verify_max_failures,
                                   .absolute = r->verify_absolute, .relative = r->verify_relative,
                                   .lenient = r->verify_lenient,
                                   .language = *r->verify_language ? r->verify_language : NULL};
    g->weights = (yk_reward_weights){.accuracy = r->verify_reward_accuracy, .format = r->verify_reward_format,
                                     .length = r->verify_reward_length, .language = r->verify_reward_language,
                                     .length_target = r->verify_length_target, .length_max = r->verify_length_max};
    g->comm = job->comm;
    return yk_verifier_new(&g->verifier, &o, err);
}

void yk_grader_free(yk_grader *g)
{
    yk_verifier_free(g->verifier);
    *g = (yk_grader){0};
}

bool yk_grader_was_cut(const yk_grader *g)
{
    return yk_comm_any(g->comm, yk_verifier_was_cut(g->verifier));
}

const char *yk_problem_prompt(const yk_example *problem)
{
    return problem->turn[problem->turns - 1].content;
}

/* This rank's answers; own[n] gets what they earn. */
static yk_status grade_own(const yk_grader *g, const yk_rollouts *x, yk_reward_parts *own, yk_error *err)
{
    yk_status st = YK_OK;
    yk_reward_item *item = NULL;
    size_t n = 0;
    YK_NEW(item, x->n);
    for (int64_t i = 0; i < x->n; i++) {
        if (!yk_comm_makes(g->comm, i)) continue;
        const yk_rollout *o = &x->item[i];
        item[n++] = (yk_reward_item){.prompt = yk_problem_prompt(o->example),
                                     .response = o->text.data ? o->text.data : "", .length = o->text.len,
                                     .tokens = o->length, .expected = o->example->answer,
                                     .kind = o->example->verifier};
    }
    YK_TRY(yk_reward_batch(g->verifier, item, n, &g->weights, own, err));
done:
    free(item);
    return st;
}

/* What all ranks' answers earned: `own` is this rank's, in order. */
static void share_parts(const yk_grader *g, const yk_reward_parts *own, yk_buf *packed, yk_reward_parts *parts,
                        int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (yk_comm_makes(g->comm, i)) yk_buf_add(&packed[i], own++, sizeof *own);
    yk_comm_gather_texts(g->comm, packed, n);
    for (int64_t i = 0; i < n; i++) memcpy(&parts[i], packed[i].data, sizeof *parts);
}

yk_status yk_grade(const yk_grader *g, const yk_rollouts *x, yk_reward_parts *parts, yk_error *err)
{
    yk_status st = YK_OK;
    yk_reward_parts *own = NULL;
    yk_buf *packed = NULL;
    YK_NEW(own, x->n);
    YK_NEW(packed, x->n);
    YK_TRY(grade_own(g, x, own, err));
done:
    st = yk_comm_agree(g->comm, st, err);
    if (st == YK_OK) share_parts(g, own, packed, parts, x->n);
    for (int64_t i = 0; packed && i < x->n; i++) yk_buf_free(&packed[i]);
    free(packed);
    free(own);
    return st;
}

json_t *yk_grader_counts(const yk_grader *g, const json_t *before)
{
    enum { COUNTS = 6 };
    static const char *const name[COUNTS] = {"regex_limits", "asked", "timeouts", "crashes", "rubbish", "starts"};
    const yk_verifier_counts c = yk_verifier_counts_of(g->verifier);
    int64_t count[COUNTS] = {c.regex_limits, c.asked, c.timeouts, c.crashes, c.rubbish, c.starts};
    json_t *x = json_object();
    yk_comm_add_counts(g->comm, count, COUNTS);
    for (size_t i = 0; i < COUNTS; i++) {
        json_int_t had = json_integer_value(json_object_get(before, name[i]));
        json_object_set_new(x, name[i], json_integer(had + (json_int_t)count[i]));
    }
    return x;
}

/* --- sets ------------------------------------------------------------------------------------ */

static int kind_of(yk_problem_set *p, const char *kind)
{
    for (int i = 0; i < p->kinds; i++)
        if (strcmp(p->kind[i], kind) == 0) return i;
    if (p->kinds == YK_MOST_KINDS) return YK_MOST_KINDS - 1;
    p->kind[p->kinds] = p->kinds == YK_MOST_KINDS - 1 ? "other" : kind;
    return p->kinds++;
}

yk_status yk_problem_set_of(yk_problem_set *p, const yk_course *c, const yk_grader *g, const yk_examples *e,
                            const yk_list *paths, yk_error *err)
{
    yk_status st = YK_OK;
    YK_NEW(p->item, e->n);
    YK_NEW(p->kind_of, e->n);
    YK_NEW(p->right, e->n);
    for (size_t i = 0; i < e->n; i++) {
        const yk_example *x = &e->item[i];
        YK_TRY(yk_context(err, yk_verifier_accepts(g->verifier, x->verifier, x->answer, err), "%s:%zu",
                          paths->item[x->file], x->line));
    }
    YK_TRY(yk_rollout_prompts(c, e, 0, p->item, &p->n, &p->left_out, err));
    for (int64_t i = 0; i < p->n; i++) p->kind_of[i] = kind_of(p, p->item[i]->kind);
    if (p->n == 0)
        YK_FAIL(YK_ERR_INPUT, "%s: no problem is shorter than the context of %lld tokens; raise pretrain.seq",
                paths->item[0], (long long)c->context);
done:
    return st;
}

yk_status yk_problem_set_read(yk_problem_set *p, const yk_course *c, const yk_grader *g, const yk_list *named,
                              const char *key, const char *file, int64_t most_bad, yk_error *err)
{
    yk_status st = YK_OK;
    yk_list paths = {0};
    *p = (yk_problem_set){0};
    YK_TRY(yk_course_paths(c, named, key, file, &paths, err));
    YK_TRY(yk_examples_read(&p->examples, &paths, YK_PROBLEM, (size_t)most_bad, err));
    YK_TRY(yk_problem_set_of(p, c, g, &p->examples, &paths, err));
done:
    yk_course_free_paths(&paths);
    return st;
}

void yk_problem_set_free(yk_problem_set *p)
{
    yk_examples_free(&p->examples);
    free(p->item);
    free(p->kind_of);
    free(p->right);
    *p = (yk_problem_set){0};
}

/* --- marks ----------------------------------------------------------------------------------- */

static void add_mark(yk_marks *m, int kind, const yk_reward_parts *part, const yk_rollout *answer)
{
    m->n++;
    m->accuracy += part->accuracy;
    m->format += part->format;
    m->tokens += (double)answer->length;
    m->kind[kind].n++;
    m->kind[kind].accuracy += part->accuracy;
}

yk_status yk_problem_set_mark(const yk_problem_set *p, yk_course *c, yk_decoder *d, const yk_grader *g, int64_t tokens,
                              int64_t samples, int64_t step, yk_marks *marks, yk_error *err)
{
    yk_status st = YK_OK;
    yk_rollouts x = {0};
    yk_reward_parts part[ANSWERS];
    yk_sampling how = yk_sampling_of(&c->s);
    yk_chat_ends(c->chat, &how);
    how.tokens = tokens, how.stop = p->stop, how.stops = p->stops;
    *marks = (yk_marks){0};
    for (int64_t first = 0; first < p->n; first += ANSWERS) {
        yk_rollouts_free(&x);
        YK_TRY(yk_rollouts_make(&x, c, d, p->item + first, p->n - first < ANSWERS ? p->n - first : ANSWERS, 1, &how, 0,
                                err));
        YK_TRY(yk_grade(g, &x, part, err));
        if (yk_grader_was_cut(g)) goto done;
        for (int64_t i = 0; i < x.n; i++) {
            add_mark(marks, p->kind_of[first + i], &part[i], &x.item[i]);
            p->right[first + i] = part[i].accuracy;
            if (first + i >= samples) continue;
            YK_TRY(yk_metrics_sample(&c->metrics, step, yk_problem_prompt(x.item[i].example), &x.item[i].text, err));
        }
    }
done:
    yk_rollouts_free(&x);
    return st;
}

json_t *yk_marks_by_kind(const yk_problem_set *p, const yk_marks *before, const yk_marks *after)
{
    json_t *all = json_object();
    for (int i = 0; i < p->kinds; i++)
        json_object_set_new(all, p->kind[i],
                            json_pack("{s:f, s:f, s:I}", "before", before->kind[i].accuracy / before->kind[i].n,
                                      "after", after->kind[i].accuracy / after->kind[i].n, "n",
                                      (json_int_t)after->kind[i].n));
    return all;
}

json_t *yk_marks_json(const yk_problem_set *p, const yk_marks *m)
{
    json_t *kinds = json_array();
    for (int i = 0; i < p->kinds; i++)
        json_array_append_new(kinds, json_pack("[f, f]", m->kind[i].n, m->kind[i].accuracy));
    return json_pack("{s:f, s:f, s:f, s:f, s:o}", "n", m->n, "accuracy", m->accuracy, "format", m->format, "tokens",
                     m->tokens, "kinds", kinds);
}

yk_marks yk_marks_of_json(const yk_problem_set *p, const json_t *x)
{
    yk_marks m = {.n = json_number_value(json_object_get(x, "n")),
                  .accuracy = json_number_value(json_object_get(x, "accuracy")),
                  .format = json_number_value(json_object_get(x, "format")),
                  .tokens = json_number_value(json_object_get(x, "tokens"))};
    for (int i = 0; i < p->kinds; i++) {
        const json_t *kind = json_array_get(json_object_get(x, "kinds"), (size_t)i);
        m.kind[i].n = json_number_value(json_array_get(kind, 0));
        m.kind[i].accuracy = json_number_value(json_array_get(kind, 1));
    }
    return m;
}
