/* The reward stage: a model of what is preferred. */
#include "align/align.h"
#include "align/bradley_terry.h"
#include "align/passes.h"
#include "base/json.h"
#include "base/log.h"
#include "base/math64.h"

#include <math.h>
#include <stdlib.h>

enum { BINS = 10 };

static const char *const keys[] = {"seed", "lanes", "precision", "numerics", "model.", "pretrain.", "sft.", "reward.",
                                   NULL};

/* What held-out pairs say of the scores. A bin holds pairs by the probability p >= 0.5 that the model gives the side it
 * prefers, and how often that side was the chosen one. */
typedef struct judged {
    double accuracy, loss, mean, std, calibration_error;
    double pairs[BINS], said[BINS], right[BINS];
} judged;

typedef struct rewarder {
    yk_pair_course x;
    yk_bradley_terry objective;
    double *score; /* [2 heldout.n] */
    judged before, after;
} rewarder;

static void take_score(void *context, int64_t i, const yk_session *s, int64_t row)
{
    rewarder *w = context;
    w->score[i] = (double)s->loss[row + yk_sequence_end(&w->x.heldout.sequence[i])];
}

static void put_in_bin(judged *j, double difference)
{
    double p = 1 / (1 + yk_exp64(-fabs(difference)));
    int bin = (int)((p - 0.5) * 2 * BINS);
    bin = bin < BINS ? bin : BINS - 1;
    j->pairs[bin]++;
    j->said[bin] += p;
    j->right[bin] += difference > 0 ? 1 : difference < 0 ? 0 : 0.5;
}

static yk_status evaluate(void *context, yk_error *err)
{
    yk_status st = YK_OK;
    rewarder *w = context;
    const yk_pairs *p = &w->x.heldout;
    const double n = (double)p->n;
    double squares = 0;
    judged *j = w->x.l.step == 0 ? &w->before : &w->after;
    *j = (judged){0};
    YK_TRY(yk_pass_each(&w->x.c.s, w->x.c.comm, p->sequence, sizeof *p->sequence, 2 * p->n, YK_PASS_SCORE,
                        take_score, w, err));
    for (int64_t i = 0; i < p->n; i++) {
        double chosen = w->score[2 * i], rejected = w->score[2 * i + 1], d = chosen - rejected;
        j->accuracy += (d > 0 ? 1 : d < 0 ? 0 : 0.5) / n;
        j->loss += yk_bradley_terry_loss(&w->objective, p, i, chosen, rejected).loss / n;
        j->mean += (chosen + rejected) / (2 * n);
        squares += (chosen * chosen + rejected * rejected) / (2 * n);
        put_in_bin(j, d);
    }
    j->std = sqrt(fmax(squares - j->mean * j->mean, 0));
    for (int b = 0; b < BINS; b++)
        if (j->pairs[b] > 0) j->calibration_error += fabs(j->said[b] - j->right[b]) / n;
    YK_TRY(yk_metrics_add(&w->x.c.metrics,
                          json_pack("{s:s, s:I, s:f, s:f}", "type", "eval", "step", (json_int_t)w->x.l.step, "accuracy",
                                    j->accuracy, "loss", j->loss), err));
    yk_log("reward     step %lld of %lld: held-out pairs %.1f %% right, loss %.3f, calibration error %.3f",
           (long long)w->x.l.step, (long long)w->x.o.schedule.steps, 100 * j->accuracy, j->loss, j->calibration_error);
done:
    return st;
}

static json_t *judged_json(const judged *j)
{
    json_t *bins = json_array();
    for (int b = 0; b < BINS; b++)
        json_array_append_new(bins, json_pack("[f, f, f]", j->pairs[b], j->said[b], j->right[b]));
    return json_pack("{s:f, s:f, s:f, s:f, s:f, s:o}", "accuracy", j->accuracy, "loss", j->loss, "mean", j->mean, "std",
                     j->std, "calibration_error", j->calibration_error, "bins", bins);
}

static judged judged_of(const json_t *x)
{
    judged j = {.accuracy = json_number_value(json_object_get(x, "accuracy")),
                .loss = json_number_value(json_object_get(x, "loss")),
                .mean = json_number_value(json_object_get(x, "mean")),
                .std = json_number_value(json_object_get(x, "std")),
                .calibration_error = json_number_value(json_object_get(x, "calibration_error"))};
    for (int b = 0; b < BINS; b++) {
        const json_t *bin = json_array_get(json_object_get(x, "bins"), (size_t)b);
        j.pairs[b] = json_number_value(json_array_get(bin, 0));
        j.said[b] = json_number_value(json_array_get(bin, 1));
        j.right[b] = json_number_value(json_array_get(bin, 2));
    }
    return j;
}

static json_t *remember(const void *context)
{
    const rewarder *w = context;
    return json_pack("{s:o, s:o}", "before", judged_json(&w->before), "after", judged_json(&w->after));
}

static void recall(void *context, const json_t *d)
{
    rewarder *w = context;
    w->before = judged_of(json_object_get(d, "before"));
    w->after = judged_of(json_object_get(d, "after"));
}

static json_t *summary(const void *context)
{
    const rewarder *w = context;
    json_t *bins = json_array();
    for (int b = 0; b < BINS; b++) {
        double n = w->after.pairs[b];
        json_array_append_new(bins, json_pack("{s:f, s:o, s:o}", "pairs", n, "said",
                                              yk_json_number_or_null(w->after.said[b] / n), "right",
                                              yk_json_number_or_null(w->after.right[b] / n)));
    }
    return json_pack("{s:I, s:I, s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:o, s:f}", "pairs", (json_int_t)w->x.train.n,
                     "heldout_pairs", (json_int_t)w->x.heldout.n, "left_out", (json_int_t)w->x.train.left_out, "steps",
                     (json_int_t)w->x.l.step, "pair_accuracy", w->after.accuracy, "pair_accuracy_before",
                     w->before.accuracy, "loss", w->after.loss, "calibration_error", w->after.calibration_error,
                     "score_mean", w->after.mean, "score_std", w->after.std, "calibration", bins, "seconds",
                     w->x.l.seconds);
}

yk_status yk_reward_stage(const yk_job *job, bool *finished, yk_error *err)
{
    yk_status st = YK_OK;
    const yk_recipe *r = job->recipe;
    rewarder w = {.objective = {&w.x, r->reward_margin}};
    const yk_pair_options o = {.name = "reward", .keys = keys, .data = &r->reward_data, .data_key = "reward.data",
                               .heldout = &r->reward_heldout, .heldout_key = "reward.heldout", .deal = YK_DEAL_REWARD,
                               .score = true, .batch = r->reward_batch, .checkpoint_every = r->reward_checkpoint_every,
                               .epochs = r->reward_epochs,
                               .schedule = {"cosine", r->reward_lr, r->reward_lr_end, r->reward_warmup, 0, 0}};
    const yk_pair_stage stage = {.objective = {true, yk_bradley_terry_weigh, &w.objective}, .evaluate = evaluate,
                                 .remember = remember, .recall = recall, .summary = summary, .context = &w};
    *finished = false;
    YK_TRY(yk_pair_course_open(&w.x, job, &o, err));
    YK_NEW(w.score, 2 * w.x.heldout.n);
    YK_TRY(yk_pair_course_train(&w.x, &stage, finished, err));
done:
    free(w.score);
    yk_pair_course_close(&w.x);
    return st;
}
