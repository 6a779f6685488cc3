/* The dpo stage: direct preference optimisation (Rafailov et al. 2023). With d the difference between the chosen and
 * the rejected answer of log pi - log pi_reference, summed over the answer's tokens (or averaged: dpo.average),
 *   loss = -(1 - smoothing) log sigmoid(beta d) - smoothing log sigmoid(-beta d). */
#include "align/align.h"
#include "align/losses.h"
#include "align/pair_course.h"
#include "align/passes.h"
#include "base/log.h"

#include <stdlib.h>

static const char *const keys[] = {"seed", "lanes", "precision", "numerics", "model.", "pretrain.", "sft.template",
                                   "dpo.", NULL};

/* Of held-out pairs: how often the policy has moved towards the chosen side; by how much, in nats; and the
 * log-probability that chosen answers have lost or gained. */
typedef struct judged {
    double accuracy, margin, drift, loss;
} judged;

typedef struct direct {
    yk_pair_course x;
    const yk_recipe *r;
    double *reference, *heldout_reference; /* [2 n] log-probabilities of the sides by the model that it began with */
    double *now;                           /* [2 heldout.n] */
    judged after;
} direct;

/* Row r of a sequence predicts its id r + 1. Sums logp of what the assistant said; *tokens counts it. */
static double answer_logp(const direct *w, const yk_sequence *q, const float *logp, double sign, double *tokens)
{
    double sum = 0;
    *tokens = 0;
    for (int64_t t = 1; t < (int64_t)q->ids.n; t++) {
        if (q->weight[t] == 0.0f) continue;
        sum += sign * (double)logp[t - 1];
        ++*tokens;
    }
    return w->r->dpo_average && *tokens > 0 ? sum / *tokens : sum;
}

typedef struct taken {
    const direct *w;
    const yk_pairs *p;
    double *out;
} taken;

static void take_logp(void *context, int64_t i, const yk_session *s, int64_t row)
{
    const taken *t = context;
    double tokens;
    t->out[i] = answer_logp(t->w, &t->p->sequence[i], s->loss + row, -1, &tokens);
}

static yk_status logp_of(direct *w, const yk_pairs *p, double *out, yk_error *err)
{
    taken t = {w, p, out};
    return yk_pass_each(&w->x.c.s, w->x.c.comm, p->sequence, sizeof *p->sequence, 2 * p->n, YK_PASS_LOSS,
                        take_logp, &t, err);
}

static yk_slope loss_of(const direct *w, double difference)
{
    const double beta = w->r->dpo_beta, e = w->r->dpo_smoothing;
    const yk_slope right = yk_preference_loss(beta * difference), wrong = yk_preference_loss(-beta * difference);
    return (yk_slope){.loss = (1 - e) * right.loss + e * wrong.loss,
                      .slope = beta * ((1 - e) * right.slope - e * wrong.slope)};
}

static void weigh_side(const direct *w, const yk_sequence *q, int64_t row, double slope, double tokens, float *weight)
{
    for (int64_t t = 1; t < (int64_t)q->ids.n; t++)
        if (q->weight[t] != 0.0f) weight[row + t - 1] = (float)(-slope / (w->r->dpo_average ? tokens : 1));
}

static void weigh(void *context, const yk_batch *batch, const float *value, const float *entropy, float *weight,
                  float *loss)
{
    direct *w = context;
    (void)entropy;
    for (int64_t r = 0; r < batch->rows; r++) weight[r] = loss[r] = 0.0f;
    for (int64_t i = 0; i < w->x.l.places; i++) {
        const yk_pair_place p = yk_pair_place_of(&w->x, i);
        const yk_sequence *q = &w->x.train.sequence[2 * p.pair];
        const double *reference = w->reference + 2 * p.pair;
        double tokens[2];
        double chosen = answer_logp(w, q, value + p.chosen, 1, &tokens[0]) - reference[0];
        double rejected = answer_logp(w, q + 1, value + p.rejected, 1, &tokens[1]) - reference[1];
        const yk_slope d = loss_of(w, chosen - rejected);
        weigh_side(w, q, p.chosen, d.slope, tokens[0], weight);
        weigh_side(w, q + 1, p.rejected, -d.slope, tokens[1], weight);
        loss[p.chosen] = (float)d.loss;
    }
}

static yk_status evaluate(void *context, yk_error *err)
{
    yk_status st = YK_OK;
    direct *w = context;
    const int64_t pairs = w->x.heldout.n;
    judged j = {0};
    YK_TRY(logp_of(w, &w->x.heldout, w->now, err));
    for (int64_t i = 0; i < pairs; i++) {
        double chosen = w->now[2 * i] - w->heldout_reference[2 * i];
        double d = chosen - (w->now[2 * i + 1] - w->heldout_reference[2 * i + 1]), n = (double)pairs;
        j.accuracy += (d > 0 ? 1 : d < 0 ? 0 : 0.5) / n;
        j.margin += d / n;
        j.drift += chosen / n;
        j.loss += loss_of(w, d).loss / n;
    }
    w->after = j;
    YK_TRY(yk_metrics_add(&w->x.c.metrics, json_pack("{s:s, s:I, s:f, s:f, s:f, s:f}", "type", "eval", "step",
                                                     (json_int_t)w->x.l.step, "accuracy", j.accuracy, "margin",
                                                     j.margin, "drift", j.drift, "loss", j.loss), err));
    yk_log("dpo        step %lld of %lld: held-out pairs %.1f %% right, margin %.2f nats, chosen answers moved by %.2f",
           (long long)w->x.l.step, (long long)w->x.o.schedule.steps, 100 * j.accuracy, j.margin, j.drift);
    const yk_prompts shown = {w->x.heldout.sequence, 2 * sizeof *w->x.heldout.sequence, w->x.heldout.asked,
                              pairs < w->r->sft_samples ? pairs : w->r->sft_samples};
    YK_TRY(yk_course_samples(&w->x.c, &shown, w->x.l.step, err));
done:
    return st;
}

static json_t *summary(const void *context)
{
    const direct *w = context;
    return json_pack("{s:I, s:I, s:I, s:f, s:f, s:f, s:f, s:f}", "pairs", (json_int_t)w->x.train.n, "left_out",
                     (json_int_t)w->x.train.left_out, "steps", (json_int_t)w->x.l.step, "pair_accuracy",
                     w->after.accuracy, "margin", w->after.margin, "drift", w->after.drift, "loss", w->after.loss,
                     "seconds", w->x.l.seconds);
}

static json_t *remember(const void *context)
{
    const judged *j = &((const direct *)context)->after;
    return json_pack("{s:[f, f, f, f]}", "after", j->accuracy, j->margin, j->drift, j->loss);
}

static void recall(void *context, const json_t *d)
{
    direct *w = context;
    const json_t *after = json_object_get(d, "after");
    double v[4];
    for (size_t i = 0; i < 4; i++) v[i] = json_number_value(json_array_get(after, i));
    w->after = (judged){v[0], v[1], v[2], v[3]};
}

/* A function of the model that the stage begins with and of the pairs: the same when the stage goes on. */
static yk_status make_reference(direct *w, yk_error *err)
{
    yk_status st = YK_OK;
    YK_NEW(w->reference, 2 * w->x.train.n);
    YK_NEW(w->heldout_reference, 2 * w->x.heldout.n);
    YK_NEW(w->now, 2 * w->x.heldout.n);
    YK_TRY(logp_of(w, &w->x.train, w->reference, err));
    YK_TRY(logp_of(w, &w->x.heldout, w->heldout_reference, err));
done:
    return st;
}

yk_status yk_dpo_stage(const yk_job *job, bool *finished, yk_error *err)
{
    yk_status st = YK_OK;
    const yk_recipe *r = job->recipe;
    direct w = {.r = r};
    const yk_pair_options o = {.name = "dpo", .keys = keys, .data = &r->dpo_data, .data_key = "dpo.data",
                               .heldout = &r->dpo_heldout, .heldout_key = "dpo.heldout", .deal = YK_DEAL_DPO,
                               .batch = r->dpo_batch, .checkpoint_every = r->dpo_checkpoint_every,
                               .epochs = r->dpo_epochs,
                               .schedule = {"cosine", r->dpo_lr, r->dpo_lr_end, r->dpo_warmup, 0, 0}};
    const yk_pair_stage stage = {.objective = {.weigh = weigh, .context = &w}, .evaluate = evaluate,
                                 .remember = remember, .recall = recall, .summary = summary, .context = &w};
    *finished = false;
    YK_TRY(yk_pair_course_open(&w.x, job, &o, err));
    YK_TRY(make_reference(&w, err));
    YK_TRY(yk_pair_course_train(&w.x, &stage, finished, err));
done:
    free(w.reference);
    free(w.heldout_reference);
    free(w.now);
    yk_pair_course_close(&w.x);
    return st;
}
