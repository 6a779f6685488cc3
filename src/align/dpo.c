/* The dpo stage: direct preference optimisation (Rafailov et al. 2023). With d the difference between the chosen and the
 * rejected answer of log pi - log pi_reference, summed over the answer's tokens (or averaged: dpo.average),
 *   loss = -(1 - smoothing) log sigmoid(beta d) - smoothing log sigmoid(-beta d). */
#include "align/align.h"
#include "align/losses.h"
#include "align/pairs.h"
#include "align/passes.h"
#include "base/hash.h"
#include "base/log.h"

#include <stdlib.h>
#include <string.h>

static const char *const keys[] = {"seed", "lanes", "precision", "numerics", "model.", "pretrain.", "sft.template", "dpo.", NULL};

/* Of held-out pairs: how often the policy has moved towards the chosen side; by how much, in nats; and the log-probability
 * that chosen answers have lost or gained. */
typedef struct judged {
    double accuracy, margin, drift, loss;
} judged;

typedef struct direct {
    yk_course c;
    const yk_recipe *r;
    yk_pairs train, heldout;
    double *reference, *heldout_reference; /* [2 n] log-probabilities of the sides, of the model that the stage began with */
    double *now;                           /* [2 heldout.n] */
    yk_learner l;
    yk_deal deal;
    yk_places places; /* of the pass */
    int64_t *second;
    judged after;
} direct;

/* Row r of a sequence predicts its id r + 1. Sums logp of what the assistant said; *tokens counts it. */
static double answer_logp(const direct *x, const yk_sequence *q, const float *logp, double sign, double *tokens)
{
    double sum = 0;
    *tokens = 0;
    for (int64_t t = 1; t < (int64_t)q->ids.n; t++) {
        if (q->weight[t] == 0.0f) continue;
        sum += sign * (double)logp[t - 1];
        ++*tokens;
    }
    return x->r->dpo_average && *tokens > 0 ? sum / *tokens : sum;
}

typedef struct taken {
    const direct *x;
    const yk_pairs *p;
    double *out;
} taken;

static void take_logp(void *context, int64_t i, const yk_session *s, int64_t row)
{
    const taken *t = context;
    double tokens;
    t->out[i] = answer_logp(t->x, &t->p->sequence[i], s->loss + row, -1, &tokens);
}

static yk_status logp_of(direct *x, const yk_pairs *p, double *out, yk_error *err)
{
    taken t = {x, p, out};
    return yk_pass_each(&x->c.s, p->sequence, sizeof *p->sequence, 2 * p->n, YK_PASS_LOSS, take_logp, &t, err);
}

static yk_slope loss_of(const direct *x, double difference)
{
    const double beta = x->r->dpo_beta, e = x->r->dpo_smoothing;
    const yk_slope right = yk_preference_loss(beta * difference), wrong = yk_preference_loss(-beta * difference);
    return (yk_slope){.loss = (1 - e) * right.loss + e * wrong.loss,
                      .slope = beta * ((1 - e) * right.slope - e * wrong.slope)};
}

static bool add_pair(void *context, int64_t item, yk_session *s)
{
    direct *x = context;
    int64_t pair = yk_deal_item(&x->deal, x->l.step * x->r->dpo_batch + item), second;
    int64_t first = yk_pairs_add(&x->train, pair, s, &second);
    if (first < 0) return false;
    x->second[x->places.n] = second;
    x->places.at[x->places.n++] = (struct yk_place){pair, first};
    return true;
}

static void passed(void *context, const yk_session *s)
{
    (void)s;
    ((direct *)context)->places.n = 0;
}

static void weigh_side(const direct *x, const yk_sequence *q, int64_t row, double slope, double tokens, float *weight)
{
    for (int64_t t = 1; t < (int64_t)q->ids.n; t++)
        if (q->weight[t] != 0.0f) weight[row + t - 1] = (float)(-slope / (x->r->dpo_average ? tokens : 1));
}

static void weigh(void *context, const yk_batch *batch, const float *value, const float *entropy, float *weight, float *loss)
{
    (void)entropy;
    const direct *x = context;
    for (int64_t r = 0; r < batch->rows; r++) weight[r] = loss[r] = 0.0f;
    for (int64_t i = 0; i < x->places.n; i++) {
        const int64_t pair = x->places.at[i].item, row = x->places.at[i].row, second = x->second[i];
        const yk_sequence *q = &x->train.sequence[2 * pair];
        double tokens[2];
        double chosen = answer_logp(x, q, value + row, 1, &tokens[0]) - x->reference[2 * pair];
        double rejected = answer_logp(x, q + 1, value + second, 1, &tokens[1]) - x->reference[2 * pair + 1];
        const yk_slope d = loss_of(x, chosen - rejected);
        weigh_side(x, q, row, d.slope, tokens[0], weight);
        weigh_side(x, q + 1, second, -d.slope, tokens[1], weight);
        loss[row] = (float)d.loss;
    }
}

static yk_status evaluate(direct *x, yk_error *err)
{
    yk_status st = YK_OK;
    const double n = (double)x->heldout.n;
    judged j = {0};
    YK_TRY(logp_of(x, &x->heldout, x->now, err));
    for (int64_t i = 0; i < x->heldout.n; i++) {
        double chosen = x->now[2 * i] - x->heldout_reference[2 * i];
        double d = chosen - (x->now[2 * i + 1] - x->heldout_reference[2 * i + 1]);
        j.accuracy += (d > 0 ? 1 : d < 0 ? 0 : 0.5) / n;
        j.margin += d / n;
        j.drift += chosen / n;
        j.loss += loss_of(x, d).loss / n;
    }
    x->after = j;
    YK_TRY(yk_metrics_add(&x->c.metrics, json_pack("{s:s, s:I, s:f, s:f, s:f, s:f}", "type", "eval", "step",
                                                   (json_int_t)x->l.step, "accuracy", j.accuracy, "margin", j.margin, "drift",
                                                   j.drift, "loss", j.loss), err));
    yk_log("dpo        step %lld of %lld: held-out pairs %.1f %% right, margin %.2f nats, chosen answers moved by %.2f",
           (long long)x->l.step, (long long)x->l.o.schedule.steps, 100 * j.accuracy, j.margin, j.drift);
done:
    return st;
}

static yk_status loop(direct *x, yk_error *err)
{
    yk_status st = YK_OK;
    const int64_t steps = x->l.o.schedule.steps;
    const yk_objective objective = {.weigh = weigh, .context = x};
    const yk_work work = {.items = x->r->dpo_batch, .add = add_pair, .passed = passed, .objective = &objective, .context = x,
                          .unit = (double)x->r->dpo_batch};
    if (x->l.step == 0) YK_TRY(evaluate(x, err));
    while (x->l.step < steps && !yk_job_stops(x->c.job)) {
        double before = x->l.seconds;
        YK_TRY(yk_learner_step(&x->l, &work, err));
        YK_TRY(yk_metrics_add(&x->c.metrics, yk_learner_row(&x->l, x->l.seconds - before), err));
        yk_progress("dpo        %lld/%lld  loss %.3f", (long long)x->l.step, (long long)steps, x->l.loss);
        if (x->l.step == steps || yk_learner_save_is_due(&x->l)) YK_TRY(yk_learner_save_step(&x->l, NULL, err));
    }
    if (x->l.step < steps)
        YK_TRY(yk_learner_save_step(&x->l, NULL, err));
    else
        YK_TRY(evaluate(x, err));
done:
    return st;
}

/* The reference is a function of the model that the stage begins with and of the pairs, so that it is the same when the
 * stage goes on. */
static yk_status open_all(direct *x, const yk_job *job, char data[33], yk_error *err)
{
    yk_status st = YK_OK;
    const yk_recipe *r = job->recipe;
    char both[2 * 33];
    YK_TRY(yk_course_open(&x->c, job, "dpo", YK_COURSE_ROWS, false, err));
    YK_TRY(yk_pairs_read(&x->train, &x->c, &r->dpo_data, "dpo.data", "pairs.train.jsonl", r->sft_bad_lines, err));
    YK_TRY(yk_pairs_read(&x->heldout, &x->c, &r->dpo_heldout, "dpo.heldout", "pairs.heldout.jsonl", r->sft_bad_lines, err));
    strcat(strcpy(both, x->train.hash), x->heldout.hash);
    yk_hash128_hex(both, strlen(both), data);
    YK_NEW(x->reference, 2 * x->train.n);
    YK_NEW(x->heldout_reference, 2 * x->heldout.n);
    YK_NEW(x->now, 2 * x->heldout.n);
    YK_TRY(logp_of(x, &x->train, x->reference, err));
    YK_TRY(logp_of(x, &x->heldout, x->heldout_reference, err));
    const yk_learner_options l = {.kind = "dpo", .folder = x->c.checkpoints, .keys = keys, .data = data,
                                  .schedule = {"cosine", r->dpo_lr, r->dpo_lr_end, r->dpo_warmup, 0,
                                               yk_steps_of(r->dpo_epochs, x->train.n, r->dpo_batch)},
                                  .adamw = yk_adamw_of(r), .checkpoint_every = r->dpo_checkpoint_every,
                                  .keep = r->pretrain_keep};
    YK_TRY(yk_learner_open(&x->l, job, &x->c.s, NULL, &l, err));
    YK_TRY(yk_deal_new(&x->deal, (uint64_t)r->seed, YK_DEAL_DPO, x->train.n, err));
    YK_TRY(yk_places_new(&x->places, r->dpo_batch, err));
    YK_NEW(x->second, r->dpo_batch);
done:
    return st;
}

static yk_status resume(direct *x, yk_error *err)
{
    json_t *d;
    yk_status st = yk_learner_resume(&x->l, &d, err);
    json_decref(d);
    return st;
}

yk_status yk_dpo_stage(const yk_job *job, bool *finished, yk_error *err)
{
    yk_status st = YK_OK;
    direct x = {.r = job->recipe};
    char data[33];
    *finished = false;
    YK_TRY(open_all(&x, job, data, err));
    YK_TRY(resume(&x, err));
    YK_TRY(yk_metrics_open(&x.c.metrics, x.c.dir, x.l.step, err));
    yk_log("dpo        %lld pairs, %lld held out, %lld steps of %lld", (long long)x.train.n, (long long)x.heldout.n,
           (long long)x.l.o.schedule.steps, (long long)x.r->dpo_batch);
    YK_TRY(loop(&x, err));
    if (x.l.step < x.l.o.schedule.steps) goto done;
    YK_TRY(yk_course_finish(&x.c, &x.l, false,
                            json_pack("{s:I, s:I, s:I, s:f, s:f, s:f, s:f, s:f}", "pairs", (json_int_t)x.train.n, "left_out",
                                      (json_int_t)x.train.left_out, "steps", (json_int_t)x.l.step, "pair_accuracy",
                                      x.after.accuracy, "margin", x.after.margin, "drift", x.after.drift, "loss", x.after.loss,
                                      "seconds", x.l.seconds), err));
    *finished = true;
done:
    yk_learner_close(&x.l);
    yk_deal_free(&x.deal);
    yk_places_free(&x.places);
    free(x.second);
    free(x.reference);
    free(x.heldout_reference);
    free(x.now);
    yk_pairs_free(&x.train);
    yk_pairs_free(&x.heldout);
    yk_course_close(&x.c);
    return st;
}
