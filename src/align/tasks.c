#include "align/tasks.h"

#include "align/passes.h"
#include "base/math64.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLE_SEED = 2 };
static const double sample_temperature = 0.8;

double yk_pass_at(int64_t n, int64_t right, int64_t k)
{
    double none = 1;
    if (k > n) k = n;
    for (int64_t i = 0; i < k; i++) none *= (double)(n - right - i > 0 ? n - right - i : 0) / (double)(n - i);
    return 1 - none;
}

/* --- files ----------------------------------------------------------------------------------- */

/* "path/to/arc.jsonl.gz" is the task "arc". */
static char *name_of(const char *path, const char *name)
{
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    return name ? strdup(name) : strndup(base, strcspn(base, "."));
}

static bool ends_in(const char *text, const char *end)
{
    const size_t n = strlen(text), k = strlen(end);
    return n >= k && strcmp(text + n - k, end) == 0;
}

yk_status yk_task_read(yk_task *t, const char *path, const char *name, size_t most_bad, yk_error *err)
{
    yk_status st = YK_OK;
    *t = (yk_task){.path = strdup(path), .from_harness = ends_in(path, ".yaml") || ends_in(path, ".yml")};
    t->files = (yk_list){&t->path, 1};
    if (!t->path) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    if (t->from_harness) {
        YK_TRY(yk_harness_read(&t->harness, path, err));
        t->form = t->harness.form;
        t->files = t->harness.files;
        YK_TRY(yk_examples_rewrite(&t->examples, &t->files, t->form, 0, yk_harness_rewrite, &t->harness, err));
    } else {
        YK_TRY(yk_examples_form(path, &t->form, err));
        YK_TRY(yk_examples_read(&t->examples, &t->files, t->form, most_bad, err));
    }
    t->name = name_of(path, name ? name : t->harness.name);
    if (!t->name) YK_FAIL(YK_ERR_MEMORY, "out of memory");
done:
    return st;
}

void yk_task_free(yk_task *t)
{
    yk_examples_free(&t->examples);
    yk_harness_free(&t->harness);
    free(t->overlaps);
    free(t->name);
    free(t->path);
    *t = (yk_task){0};
}

/* --- results --------------------------------------------------------------------------------- */

static double standard_error(double share, double n)
{
    return n > 1 ? sqrt(share * (1 - share) / (n - 1)) : 0;
}

static void set_share(json_t *into, const char *name, const char *error, const double *right, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += right[i];
    json_object_set_new(into, name, json_real(sum / (double)n));
    if (error) json_object_set_new(into, error, json_real(standard_error(sum / (double)n, (double)n)));
}

/* accuracy_clean over the examples item[n] (NULL: all of the task) that do not overlap. */
static void set_clean(json_t *into, const yk_task *t, const yk_example *const *item, const double *right, size_t n)
{
    double sum = 0, clean = 0;
    for (size_t i = 0; i < n; i++) {
        const bool overlaps = t->overlaps && t->overlaps[item ? (size_t)(item[i] - t->examples.item) : i];
        clean += !overlaps;
        if (!overlaps) sum += right[i];
    }
    if (clean == (double)n) return;
    json_object_set_new(into, "n_clean", json_integer((json_int_t)clean));
    json_object_set_new(into, "accuracy_clean", clean > 0 ? json_real(sum / clean) : json_null());
}

/* --- choices --------------------------------------------------------------------------------- */

typedef struct choices {
    yk_sequence *q; /* of all choices of all examples */
    double *logp;   /* of what is chosen, the prompt given */
    bool *greedy;   /* each of its tokens is the likeliest */
    int64_t n;
} choices;

/* A choice as what follows the prompt: weight 1 of its ids. */
static yk_status encode_choice(yk_course *c, const yk_example *x, const char *choice, yk_sequence *q, yk_error *err)
{
    yk_status st = YK_OK;
    if (c->plain || x->turns == 0) return yk_chat_plain(c->chat, x->turn, x->turns, x->delimiter, choice, q, err);
    YK_TRY(yk_chat_encode(c->chat, x->turn, x->turns, q, err));
    YK_TRY(yk_chat_answer(c->chat, choice, q, err));
    for (int64_t i = 0; i < q->prompt; i++) q->weight[i] = 0.0f;
done:
    return st;
}

static void take_logp(void *context, int64_t i, const yk_session *s, int64_t row)
{
    choices *x = context;
    x->greedy[i] = true;
    for (int64_t r = row; r < row + (int64_t)x->q[i].ids.n; r++) {
        x->logp[i] -= (double)s->loss[r];
        x->greedy[i] = x->greedy[i] && (s->weight[r] == 0.0f || s->best[r] == s->target[r]);
    }
}

static yk_status make_choices(choices *x, yk_course *c, const yk_task *t, yk_error *err)
{
    yk_status st = YK_OK;
    const yk_examples *e = &t->examples;
    size_t all = 0;
    for (size_t i = 0; i < e->n; i++) all += e->item[i].choices;
    YK_NEW(x->q, all);
    YK_NEW(x->logp, all);
    YK_NEW(x->greedy, all);
    for (size_t i = 0; i < e->n; i++)
        for (size_t j = 0; j < e->item[i].choices; j++) {
            yk_sequence *q = &x->q[x->n++];
            YK_TRY(encode_choice(c, &e->item[i], e->item[i].choice[j], q, err));
            if ((int64_t)q->ids.n > c->context) /* the end of the prompt is what a choice depends on most */
                YK_FAIL(YK_ERR_INPUT, "%s:%zu: a question with its choice has %zu tokens, the context %lld; leave it "
                        "out, or raise pretrain.seq", t->files.item[e->item[i].file], e->item[i].line, q->ids.n,
                        (long long)c->context);
        }
done:
    return st;
}

static void free_choices(choices *x)
{
    for (int64_t i = 0; i < x->n; i++) yk_sequence_free(&x->q[i]);
    free(x->q);
    free(x->logp);
    free(x->greedy);
}

static double characters(const char *text)
{
    double n = 0;
    for (; *text; text++) n += ((unsigned char)*text & 0xC0) != 0x80;
    return n;
}

static double bytes(const char *text)
{
    return (double)strlen(text);
}

static double one(const char *text)
{
    (void)text;
    return 1;
}

/* Whether the label has the highest log-probability for its length; of equal ones the first counts. */
static double is_right(const yk_example *q, const double *logp, double (*length)(const char *))
{
    size_t best = 0;
    for (size_t j = 1; j < q->choices; j++)
        if (logp[j] / length(q->choice[j]) > logp[best] / length(q->choice[best])) best = j;
    return best == q->label;
}

static yk_status measure_choices(yk_course *c, const yk_task *t, json_t *into, yk_error *err)
{
    yk_status st = YK_OK;
    const size_t n = t->examples.n;
    choices x = {0};
    double *right[3] = {NULL}, nats = 0;
    double (*const length[3])(const char *) = {one, characters, bytes};
    bool single = true;
    YK_TRY(make_choices(&x, c, t, err));
    YK_TRY(yk_pass_each(&c->s, c->comm, x.q, sizeof *x.q, x.n, YK_PASS_LOSS, take_logp, &x, err));
    for (int k = 0; k < 3; k++) YK_NEW(right[k], n);
    int64_t at = 0;
    for (size_t i = 0; i < n; i++) {
        const yk_example *q = &t->examples.item[i];
        for (int k = 0; k < 3; k++) right[k][i] = is_right(q, x.logp + at, length[k]);
        if (q->choices == 1) right[0][i] = x.greedy[at];
        single = single && q->choices == 1;
        nats -= x.logp[at];
        at += (int64_t)q->choices;
    }
    set_share(into, "accuracy", "stderr", right[0], n);
    if (single) {
        json_object_set_new(into, "perplexity", json_real(yk_exp64(nats / (double)n)));
    } else {
        set_share(into, "accuracy_norm", "stderr_norm", right[1], n);
        set_share(into, "accuracy_bytes", NULL, right[2], n);
    }
    set_clean(into, t, NULL, right[0], n);
done:
    for (int k = 0; k < 3; k++) free(right[k]);
    free_choices(&x);
    return st;
}

/* --- problems -------------------------------------------------------------------------------- */

/* pass@1 and pass@k of `samples` answers to each problem. */
static yk_status sample_problems(yk_course *c, const yk_grader *g, const yk_problem_set *p, yk_decoder *d, json_t *into,
                                 yk_error *err)
{
    yk_status st = YK_OK;
    const yk_recipe *r = c->r;
    const int64_t samples = r->evaluate_samples, k = r->evaluate_k < samples ? r->evaluate_k : samples;
    yk_rollouts x = {0};
    yk_reward_parts *part = NULL;
    yk_sampling how = yk_sampling_of(&c->s);
    double one = 0, some = 0;
    yk_chat_ends(c->chat, &how);
    how.temperature = sample_temperature, how.tokens = r->grpo_tokens, how.seed = (uint64_t)r->seed + SAMPLE_SEED;
    YK_TRY(yk_rollouts_make(&x, c, d, p->item, p->n, samples, &how, 0, err));
    YK_NEW(part, x.n);
    YK_TRY(yk_grade(g, &x, part, err));
    if (yk_grader_was_cut(g)) goto done;
    for (int64_t i = 0; i < p->n; i++) {
        int64_t right = 0;
        for (int64_t j = 0; j < samples; j++) right += part[i * samples + j].accuracy >= 1;
        one += yk_pass_at(samples, right, 1) / (double)p->n;
        some += yk_pass_at(samples, right, k) / (double)p->n;
    }
    json_object_update_new(into, json_pack("{s:f, s:f, s:I, s:I}", "pass_at_1", one, "pass_at_k", some, "k",
                                           (json_int_t)k, "samples", (json_int_t)samples));
done:
    free(part);
    yk_rollouts_free(&x);
    return st;
}

/* The examples as a problem set of the grader `own`, which is `g` but for exact answers. */
static yk_status make_problems(yk_problem_set *p, yk_grader *own, yk_course *c, const yk_grader *g, const yk_task *t,
                               yk_error *err)
{
    yk_status st = YK_OK;
    const yk_harness *h = &t->harness;
    if (t->from_harness) {
        const yk_verifier_options o = {.kind = "exact", .ignore_case = h->ignore_case,
                                       .ignore_punctuation = h->ignore_punctuation, .strip = h->strip};
        YK_TRY(yk_verifier_new(&own->verifier, &o, err));
        own->weights.accuracy = 1;
        own->comm = g->comm;
        g = own;
    }
    YK_TRY(yk_problem_set_of(p, c, g, &t->examples, &t->files, err));
    if (t->from_harness) p->stop = (const char *const *)h->until.item, p->stops = h->until.n;
done:
    return st;
}

static yk_status measure_problems(yk_course *c, const yk_grader *g, const yk_task *t, json_t *into, yk_error *err)
{
    yk_status st = YK_OK;
    yk_problem_set p = {0};
    yk_grader own = {0};
    yk_decoder *d = NULL;
    yk_marks m;
    YK_TRY(make_problems(&p, &own, c, g, t, err));
    YK_TRY(yk_decoder_new(&d, &c->s, YK_COURSE_SLOTS, c->context, err));
    YK_TRY(yk_problem_set_mark(&p, c, d, t->from_harness ? &own : g,
                               t->from_harness ? t->harness.tokens : c->r->grpo_tokens,
                               0, 0, &m, err));
    if (yk_grader_was_cut(g)) goto done;
    json_object_set_new(into, "n", json_integer((json_int_t)m.n));
    set_share(into, "accuracy", "stderr", p.right, (size_t)p.n);
    set_clean(into, t, p.item, p.right, (size_t)p.n);
    if (t->from_harness) goto done;
    json_object_set_new(into, "format", json_real(m.format / m.n));
    if (c->r->evaluate_samples > 0) YK_TRY(sample_problems(c, g, &p, d, into, err));
done:
    yk_decoder_free(d);
    yk_grader_free(&own);
    yk_problem_set_free(&p);
    return st;
}

yk_status yk_task_measure(yk_course *c, const yk_grader *g, const yk_task *t, json_t **into, yk_error *err)
{
    yk_status st = YK_OK;
    *into = json_object();
    if (!*into) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    json_object_set_new(*into, "n", json_integer((json_int_t)t->examples.n));
    YK_TRY(t->form == YK_PROBLEM ? measure_problems(c, g, t, *into, err) : measure_choices(c, t, *into, err));
done:
    if (st != YK_OK) {
        json_decref(*into);
        *into = NULL;
    }
    return st;
}
