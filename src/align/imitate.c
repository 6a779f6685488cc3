#include "align/imitate.h"

#include "align/passes.h"
#include "base/json.h"
#include "base/log.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- sequences ------------------------------------------------------------------------------- */

static yk_status add_sequence(yk_sequences *q, const yk_course *c, const yk_example *e, yk_error *err)
{
    yk_status st = YK_OK;
    size_t room = q->cap;
    YK_ROOM(q->item, q->n, q->cap);
    if (q->cap != room && !(q->asked = yk_regrow(q->asked, q->cap, sizeof *q->asked, err)))
        YK_FAIL(YK_ERR_MEMORY, "out of memory");
    yk_sequence *x = &q->item[q->n];
    *x = (yk_sequence){0};
    YK_TRY(yk_chat_encode(c->chat, e->turn, e->turns, x, err));
    bool learns = false;
    if ((int64_t)x->ids.n > c->context) {
        x->ids.n = (size_t)c->context;
        q->cut++;
    }
    for (size_t i = 0; i < x->ids.n; i++) learns |= x->weight[i] != 0.0f;
    if (learns) {
        char *asked = strdup(e->turns > 1 ? e->turn[e->turns - 2].content : "");
        if (!asked) YK_FAIL(YK_ERR_MEMORY, "out of memory");
        q->asked[q->n++] = asked;
    } else {
        yk_sequence_free(x);
        q->left_out++;
        q->cut--;
    }
done:
    return st;
}

yk_status yk_sequences_add(yk_sequences *q, const yk_course *c, const yk_examples *e, yk_error *err)
{
    yk_status st = YK_OK;
    for (size_t i = 0; i < e->n; i++) YK_TRY(add_sequence(q, c, &e->item[i], err));
    if (q->left_out)
        yk_warn("%s: %zu of %zu prompts fill the context of %lld tokens alone and are left out", c->name, q->left_out,
                e->n, (long long)c->context);
    if (q->n == 0)
        YK_FAIL(YK_ERR_INPUT, "no example is shorter than the context of %lld tokens; raise pretrain.seq",
                (long long)c->context);
done:
    return st;
}

yk_status yk_sequences_read(yk_sequences *q, const yk_course *c, const yk_list *paths, int64_t most_bad,
                            yk_digest *hash, yk_error *err)
{
    yk_status st = YK_OK;
    yk_examples e;
    YK_TRY(yk_examples_read(&e, paths, YK_CONVERSATION, (size_t)most_bad, err));
    yk_digest_add(hash, e.hash, sizeof e.hash);
    st = yk_sequences_add(q, c, &e, err);
    yk_examples_free(&e);
done:
    return st;
}

void yk_sequences_free(yk_sequences *q)
{
    for (size_t i = 0; i < q->n; i++) {
        yk_sequence_free(&q->item[i]);
        free(q->asked[i]);
    }
    free(q->item);
    free(q->asked);
    *q = (yk_sequences){0};
}

typedef struct fit_sums {
    const yk_sequences *q;
    double nats, tokens, right, exact;
} fit_sums;

static void add_fit(void *context, int64_t i, const yk_session *s, int64_t row)
{
    fit_sums *sum = context;
    bool exact = true;
    for (int64_t r = row; r < row + (int64_t)sum->q->item[i].ids.n; r++) {
        if (s->weight[r] == 0.0f) continue;
        bool right = s->best[r] == s->target[r];
        sum->nats += (double)s->loss[r];
        sum->tokens++;
        sum->right += right;
        exact &= right;
    }
    sum->exact += exact;
}

yk_status yk_sequences_fit(yk_fit *fit, yk_session *s, yk_comm *comm, const yk_sequences *q, yk_error *err)
{
    fit_sums sum = {.q = q};
    yk_status st = yk_pass_each(s, comm, q->item, sizeof *q->item, (int64_t)q->n, YK_PASS_LOSS, add_fit, &sum, err);
    *fit = sum.tokens > 0 ? (yk_fit){sum.nats / sum.tokens, sum.right / sum.tokens, sum.exact / (double)q->n}
                          : (yk_fit){NAN, NAN, NAN};
    return st;
}

/* --- training -------------------------------------------------------------------------------- */

typedef struct imitator {
    yk_course *c;
    const yk_imitation *o;
    yk_learner l;
    yk_deal deal;
    yk_fit start, end;
    double tokens; /* learnt from so far */
    double step_tokens; /* the one tally */
} imitator;

static bool add_item(void *context, int64_t item, yk_session *s)
{
    imitator *x = context;
    int64_t at = yk_deal_item(&x->deal, x->l.step * x->o->batch + item);
    const yk_sequence *q = &x->o->train->item[x->o->order[at]];
    return yk_session_add(s, q->ids.id, q->weight, (int64_t)q->ids.n) >= 0;
}

static void count_tokens(void *context, const yk_session *s)
{
    imitator *x = context;
    for (int64_t r = 0; r < s->rows; r++) x->step_tokens += (double)s->weight[r];
}

static yk_status evaluate(imitator *x, yk_error *err)
{
    yk_status st = YK_OK;
    YK_TRY(yk_sequences_fit(&x->end, &x->c->s, x->c->comm, x->o->heldout, err));
    if (x->l.step == 0) x->start = x->end;
    YK_TRY(yk_metrics_add(&x->c->metrics,
                          json_pack("{s:s, s:I, s:f, s:o, s:o, s:o}", "type", "eval", "step", (json_int_t)x->l.step,
                                    "tokens", x->tokens, "loss", yk_json_number_or_null(x->end.loss), "accuracy",
                                    yk_json_number_or_null(x->end.accuracy), "exact",
                                    yk_json_number_or_null(x->end.exact)),
                          err));
    yk_log("%-10s step %lld of %lld: held-out %.3f nats a token, %.1f %% of tokens and %.1f %% of answers right",
           x->c->name, (long long)x->l.step, (long long)x->o->schedule.steps, x->end.loss, 100 * x->end.accuracy,
           100 * x->end.exact);
    const yk_sequences *q = x->o->heldout;
    const yk_prompts shown = {q->item, sizeof *q->item, q->asked,
                              (int64_t)q->n < x->o->samples ? (int64_t)q->n : x->o->samples};
    if (x->l.step == 0 || x->l.step == x->o->schedule.steps)
        YK_TRY(yk_course_samples(x->c, &shown, x->l.step, err));
done:
    return st;
}

static json_t *fit_json(const yk_fit *f)
{
    return json_pack("[o, o, o]", yk_json_number_or_null(f->loss), yk_json_number_or_null(f->accuracy),
                     yk_json_number_or_null(f->exact));
}

static yk_status save(imitator *x, yk_error *err)
{
    json_t *own = json_pack("{s:f, s:o, s:o}", "tokens", x->tokens, "start", fit_json(&x->start), "end",
                            fit_json(&x->end));
    yk_status st = yk_learner_save_step(&x->l, own, err);
    json_decref(own);
    return st;
}

static double number_at(const json_t *list, size_t i)
{
    const json_t *x = json_array_get(list, i);
    return json_is_number(x) ? json_number_value(x) : NAN;
}

static yk_fit fit_of_json(const json_t *list)
{
    return (yk_fit){number_at(list, 0), number_at(list, 1), number_at(list, 2)};
}

static yk_status resume(imitator *x, yk_error *err)
{
    json_t *d;
    yk_status st = yk_learner_resume(&x->l, &d, err);
    x->tokens = json_number_value(json_object_get(d, "tokens"));
    x->start = fit_of_json(json_object_get(d, "start"));
    x->end = fit_of_json(json_object_get(d, "end"));
    json_decref(d);
    return st;
}

static yk_status train_step(imitator *x, yk_error *err)
{
    yk_status st = YK_OK;
    const yk_work work = {.items = x->o->batch, .add = add_item, .passed = count_tokens, .context = x,
                          .tally = &x->step_tokens, .tallies = 1, .teaching = x->o->teaching};
    double before = x->l.seconds;
    YK_TRY(yk_learner_step(&x->l, &work, err));
    double seconds = x->l.seconds - before;
    x->tokens += x->step_tokens;
    json_t *row = yk_learner_row(&x->l, seconds);
    json_object_set_new(row, "tokens", json_real(x->tokens));
    YK_TRY(yk_metrics_add(&x->c->metrics, row, err));
    yk_progress("%-10s %lld/%lld  loss %.3f  %.0f answer tokens/s", x->c->name, (long long)x->l.step,
                (long long)x->o->schedule.steps, x->l.loss, x->step_tokens / seconds);
done:
    return st;
}

static yk_status loop(imitator *x, yk_error *err)
{
    yk_status st = YK_OK;
    const int64_t steps = x->o->schedule.steps;
    if (x->l.step == 0) YK_TRY(evaluate(x, err));
    while (x->l.step < steps && !yk_learner_stops(&x->l)) {
        YK_TRY(train_step(x, err));
        bool last = x->l.step == steps;
        if (last || (x->o->eval_every && x->l.step % x->o->eval_every == 0)) YK_TRY(evaluate(x, err));
        if (last || yk_learner_save_is_due(&x->l)) YK_TRY(save(x, err));
    }
    if (x->l.step < steps) YK_TRY(save(x, err));
done:
    return st;
}

static json_t *summary_of(const imitator *x)
{
    const yk_sequences *q = x->o->train;
    return json_pack("{s:I, s:I, s:I, s:I, s:f, s:f, s:{s:o, s:o}, s:o, s:o}", "examples", (json_int_t)q->n, "left_out",
                     (json_int_t)q->left_out, "cut", (json_int_t)q->cut, "steps", (json_int_t)x->l.step, "tokens",
                     x->tokens, "seconds", x->l.seconds, "heldout_loss", "start",
                     yk_json_number_or_null(x->start.loss), "end", yk_json_number_or_null(x->end.loss),
                     "heldout_accuracy", yk_json_number_or_null(x->end.accuracy), "heldout_exact",
                     yk_json_number_or_null(x->end.exact));
}

yk_status yk_imitate(yk_course *c, const yk_imitation *o, bool *finished, yk_error *err)
{
    yk_status st = YK_OK;
    imitator *x = NULL;
    *finished = false;
    YK_NEW(x, 1);
    x->c = c;
    x->o = o;
    const yk_learner_options l = {.kind = c->name, .folder = c->checkpoints, .keys = o->keys, .data = o->data,
                                  .schedule = o->schedule, .adamw = yk_adamw_of(c->r),
                                  .checkpoint_every = o->checkpoint_every, .keep = c->r->pretrain_keep};
    YK_TRY(yk_learner_open(&x->l, c->job, &c->s, NULL, &l, err));
    YK_TRY(yk_deal_new(&x->deal, (uint64_t)c->r->seed, o->deal, o->n, err));
    YK_TRY(resume(x, err));
    YK_TRY(yk_metrics_open(&c->metrics, c->comm, c->dir, x->l.step, err));
    yk_log("%-10s %zu examples, %lld held out, %lld steps of %lld", c->name, o->train->n, (long long)o->heldout->n,
           (long long)o->schedule.steps, (long long)o->batch);
    YK_TRY(loop(x, err));
    if (x->l.step < o->schedule.steps) goto done;
    YK_TRY(yk_course_finish(c, &x->l, false, summary_of(x), err));
    *finished = true;
done:
    if (x) {
        yk_learner_close(&x->l);
        yk_deal_free(&x->deal);
    }
    free(x);
    return st;
}
