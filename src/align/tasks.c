#include "align/tasks.h"

#include "align/passes.h"
#include "base/log.h"

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

/* --- choices --------------------------------------------------------------------------------- */

typedef struct choices {
    yk_sequence *q; /* of all choices of all examples */
    double *logp;   /* of what is chosen, the prompt given */
    int64_t n;
} choices;

/* A choice as what follows the prompt: weight 1 of its ids. */
static yk_status encode_choice(yk_course *c, yk_encoder *e, const yk_example *x, const char *choice, bool chat,
                               yk_sequence *q, yk_error *err)
{
    yk_status st = YK_OK;
    yk_ids ids = {0};
    if (chat && x->turns > 0) {
        YK_TRY(yk_chat_encode(c->chat, x->turn, x->turns, q, err));
        YK_TRY(yk_chat_answer(c->chat, choice, q, err));
        for (int64_t i = 0; i < q->prompt; i++) q->weight[i] = 0.0f;
        goto done;
    }
    YK_ROOM(ids.id, ids.n, ids.cap);
    ids.id[ids.n++] = c->s.end;
    for (size_t i = 0; i < x->turns; i++) {
        YK_TRY(yk_encode(e, x->turn[i].content, strlen(x->turn[i].content), &ids, err));
        YK_TRY(yk_encode(e, i + 1 < x->turns ? "\n" : " ", 1, &ids, err));
    }
    const size_t prompt = ids.n;
    YK_TRY(yk_encode(e, choice, strlen(choice), &ids, err));
    YK_TRY(yk_chat_generated(c->chat, ids.id, ids.n, q, err));
    for (size_t i = 0; i < prompt; i++) q->weight[i] = 0.0f;
done:
    yk_ids_free(&ids);
    return st;
}

static void take_logp(void *context, int64_t i, const yk_session *s, int64_t row)
{
    choices *x = context;
    for (int64_t r = row; r < row + (int64_t)x->q[i].ids.n; r++) x->logp[i] -= (double)s->loss[r];
}

static yk_status make_choices(choices *x, yk_course *c, const yk_examples *e, bool chat, yk_error *err)
{
    yk_status st = YK_OK;
    yk_encoder *encoder = NULL;
    size_t all = 0;
    for (size_t i = 0; i < e->n; i++) all += e->item[i].choices;
    YK_NEW(x->q, all);
    YK_NEW(x->logp, all);
    YK_TRY(yk_encoder_new(&encoder, c->s.tokenizer, err));
    for (size_t i = 0; i < e->n; i++)
        for (size_t j = 0; j < e->item[i].choices; j++) {
            yk_sequence *q = &x->q[x->n++];
            YK_TRY(encode_choice(c, encoder, &e->item[i], e->item[i].choice[j], chat, q, err));
            if ((int64_t)q->ids.n > c->context) /* the end of the prompt is what a choice depends on most */
                YK_FAIL(YK_ERR_INPUT, "a question with its choice has %zu tokens, the context %lld; leave it out, or "
                        "raise pretrain.seq: \"%.80s\"", q->ids.n, (long long)c->context, e->item[i].choice[j]);
        }
done:
    yk_encoder_free(encoder);
    return st;
}

static void free_choices(choices *x)
{
    for (int64_t i = 0; i < x->n; i++) yk_sequence_free(&x->q[i]);
    free(x->q);
    free(x->logp);
}

static double standard_error(double share, double n)
{
    return n > 1 ? sqrt(share * (1 - share) / (n - 1)) : 0;
}

static yk_status measure_choices(yk_course *c, const yk_examples *e, bool chat, json_t **into, yk_error *err)
{
    yk_status st = YK_OK;
    choices x = {0};
    double right = 0, right_norm = 0, n = (double)e->n;
    int64_t at = 0;
    YK_TRY(make_choices(&x, c, e, chat, err));
    YK_TRY(yk_pass_each(&c->s, x.q, sizeof *x.q, x.n, YK_PASS_LOSS, take_logp, &x, err));
    for (size_t i = 0; i < e->n; i++) {
        const yk_example *q = &e->item[i];
        size_t best = 0, best_norm = 0;
        for (size_t j = 1; j < q->choices; j++) {
            double bytes = (double)strlen(q->choice[j]), had = (double)strlen(q->choice[best_norm]);
            if (x.logp[at + (int64_t)j] > x.logp[at + (int64_t)best]) best = j;
            if (x.logp[at + (int64_t)j] / bytes > x.logp[at + (int64_t)best_norm] / had) best_norm = j;
        }
        right += best == q->label;
        right_norm += best_norm == q->label;
        at += (int64_t)q->choices;
    }
    *into = json_pack("{s:I, s:f, s:f, s:f, s:f}", "n", (json_int_t)e->n, "accuracy", right / n, "stderr",
                      standard_error(right / n, n), "accuracy_norm", right_norm / n, "stderr_norm",
                      standard_error(right_norm / n, n));
done:
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

static yk_status measure_problems(yk_course *c, const yk_grader *g, const char *path, json_t **into, yk_error *err)
{
    yk_status st = YK_OK;
    yk_problem_set p = {0};
    yk_decoder *d = NULL;
    yk_marks m;
    char *copy = strdup(path);
    const yk_list one = {&copy, 1};
    if (!copy) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    YK_TRY(yk_problem_set_read(&p, c, g, &one, "evaluate.tasks", "", c->r->sft_bad_lines, err));
    YK_TRY(yk_decoder_new(&d, &c->s, YK_COURSE_SLOTS, c->context, err));
    YK_TRY(yk_problem_set_mark(&p, c, d, g, c->r->grpo_tokens, 0, 0, &m, err));
    if (yk_grader_was_cut(g)) goto done;
    *into = json_pack("{s:I, s:f, s:f, s:f}", "n", (json_int_t)m.n, "accuracy", m.accuracy / m.n, "stderr",
                      standard_error(m.accuracy / m.n, m.n), "format", m.format / m.n);
    if (c->r->evaluate_samples > 0) YK_TRY(sample_problems(c, g, &p, d, *into, err));
done:
    yk_decoder_free(d);
    yk_problem_set_free(&p);
    free(copy);
    return st;
}

yk_status yk_task_measure(yk_course *c, const yk_grader *g, const char *path, bool chat, json_t **into, yk_error *err)
{
    yk_status st = YK_OK;
    yk_examples e = {0};
    yk_form form;
    char *copy = strdup(path);
    *into = NULL;
    if (!copy) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    YK_TRY(yk_examples_form(path, &form, err));
    if (form == YK_PROBLEM) {
        YK_TRY(measure_problems(c, g, path, into, err));
        goto done;
    }
    YK_TRY(yk_examples_read(&e, &(yk_list){&copy, 1}, YK_CHOICE, (size_t)c->r->sft_bad_lines, err));
    YK_TRY(measure_choices(c, &e, chat, into, err));
done:
    yk_examples_free(&e);
    free(copy);
    return st;
}
