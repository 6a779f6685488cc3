/* The reward stage: a model of what is preferred (Bradley, Terry 1952; Christiano et al. 2017). */
#include "align/align.h"
#include "align/losses.h"
#include "align/pairs.h"
#include "align/passes.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/math64.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BINS = 10 };

static const char *const keys[] = {"seed", "lanes", "precision", "numerics", "model.", "pretrain.", "sft.", "reward.", NULL};

/* What held-out pairs say of the scores. A bin holds pairs by the probability p >= 0.5 that the model gives the side it
 * prefers, and how often that side was the chosen one. */
typedef struct judged {
    double accuracy, loss, mean, std, calibration_error;
    double pairs[BINS], said[BINS], right[BINS];
} judged;

typedef struct rewarder {
    yk_course c;
    const yk_recipe *r;
    yk_pairs train, heldout;
    yk_learner l;
    yk_deal deal;
    yk_places places; /* of the pass: first rows of both sides */
    int64_t *second;
    double *score; /* [2 heldout.n] */
    judged before, after;
} rewarder;

static bool add_pair(void *context, int64_t item, yk_session *s)
{
    rewarder *x = context;
    int64_t pair = yk_deal_item(&x->deal, x->l.step * x->r->reward_batch + item), second;
    int64_t first = yk_pairs_add(&x->train, pair, s, &second);
    if (first < 0) return false;
    x->second[x->places.n] = second;
    x->places.at[x->places.n++] = (struct yk_place){pair, first};
    return true;
}

static void passed(void *context, const yk_session *s)
{
    (void)s;
    ((rewarder *)context)->places.n = 0;
}

static yk_slope judge(const rewarder *x, const yk_pairs *p, int64_t pair, double chosen, double rejected)
{
    return yk_preference_loss(chosen - rejected - x->r->reward_margin * p->margin[pair]);
}

static void weigh(void *context, const yk_batch *batch, const float *value, const float *entropy, float *weight, float *loss)
{
    (void)entropy;
    const rewarder *x = context;
    for (int64_t r = 0; r < batch->rows; r++) weight[r] = loss[r] = 0.0f;
    for (int64_t i = 0; i < x->places.n; i++) {
        int64_t pair = x->places.at[i].item;
        const yk_sequence *q = &x->train.sequence[2 * pair];
        int64_t chosen = x->places.at[i].row + yk_sequence_end(q), rejected = x->second[i] + yk_sequence_end(q + 1);
        yk_slope d = judge(x, &x->train, pair, (double)value[chosen], (double)value[rejected]);
        weight[chosen] = -(float)d.slope;
        weight[rejected] = (float)d.slope;
        loss[chosen] = (float)d.loss;
    }
}

static void take_score(void *context, int64_t i, const yk_session *s, int64_t row)
{
    rewarder *x = context;
    x->score[i] = (double)s->loss[row + yk_sequence_end(&x->heldout.sequence[i])];
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

static yk_status evaluate(rewarder *x, judged *j, yk_error *err)
{
    yk_status st = YK_OK;
    const yk_pairs *p = &x->heldout;
    const double n = (double)p->n;
    double squares = 0;
    *j = (judged){0};
    YK_TRY(yk_pass_each(&x->c.s, p->sequence, sizeof *p->sequence, 2 * p->n, YK_PASS_SCORE, take_score, x, err));
    for (int64_t i = 0; i < p->n; i++) {
        double chosen = x->score[2 * i], rejected = x->score[2 * i + 1], d = chosen - rejected;
        j->accuracy += (d > 0 ? 1 : d < 0 ? 0 : 0.5) / n;
        j->loss += judge(x, p, i, chosen, rejected).loss / n;
        j->mean += (chosen + rejected) / (2 * n);
        squares += (chosen * chosen + rejected * rejected) / (2 * n);
        put_in_bin(j, d);
    }
    j->std = sqrt(fmax(squares - j->mean * j->mean, 0));
    for (int b = 0; b < BINS; b++)
        if (j->pairs[b] > 0) j->calibration_error += fabs(j->said[b] - j->right[b]) / n;
    YK_TRY(yk_metrics_add(&x->c.metrics,
                          json_pack("{s:s, s:I, s:f, s:f}", "type", "eval", "step", (json_int_t)x->l.step, "accuracy",
                                    j->accuracy, "loss", j->loss), err));
    yk_log("reward     step %lld of %lld: held-out pairs %.1f %% right, loss %.3f, calibration error %.3f", (long long)x->l.step,
           (long long)x->l.o.schedule.steps, 100 * j->accuracy, j->loss, j->calibration_error);
done:
    return st;
}

static yk_status save(rewarder *x, yk_error *err)
{
    json_t *own = json_pack("{s:f, s:f}", "accuracy_before", x->before.accuracy, "loss_before", x->before.loss);
    yk_status st = yk_learner_save_step(&x->l, own, err);
    json_decref(own);
    return st;
}

static yk_status resume(rewarder *x, yk_error *err)
{
    json_t *d;
    yk_status st = yk_learner_resume(&x->l, &d, err);
    x->before.accuracy = json_number_value(json_object_get(d, "accuracy_before"));
    x->before.loss = json_number_value(json_object_get(d, "loss_before"));
    json_decref(d);
    return st;
}

static yk_status loop(rewarder *x, yk_error *err)
{
    yk_status st = YK_OK;
    const int64_t steps = x->l.o.schedule.steps;
    const yk_objective objective = {.score = true, .weigh = weigh, .context = x};
    const yk_work work = {.items = x->r->reward_batch, .add = add_pair, .passed = passed, .objective = &objective,
                          .context = x, .unit = (double)x->r->reward_batch};
    if (x->l.step == 0) YK_TRY(evaluate(x, &x->before, err));
    while (x->l.step < steps && !yk_job_stops(x->c.job)) {
        double before = x->l.seconds;
        YK_TRY(yk_learner_step(&x->l, &work, err));
        YK_TRY(yk_metrics_add(&x->c.metrics, yk_learner_row(&x->l, x->l.seconds - before), err));
        yk_progress("reward     %lld/%lld  loss %.3f", (long long)x->l.step, (long long)steps, x->l.loss);
        if (x->l.step == steps || yk_learner_save_is_due(&x->l)) YK_TRY(save(x, err));
    }
    if (x->l.step < steps)
        YK_TRY(save(x, err));
    else
        YK_TRY(evaluate(x, &x->after, err));
done:
    return st;
}

static json_t *summary_of(const rewarder *x)
{
    json_t *bins = json_array();
    for (int b = 0; b < BINS; b++) {
        double n = x->after.pairs[b];
        json_array_append_new(bins, json_pack("{s:f, s:o, s:o}", "pairs", n, "said",
                                              yk_json_number_or_null(x->after.said[b] / n), "right",
                                              yk_json_number_or_null(x->after.right[b] / n)));
    }
    return json_pack("{s:I, s:I, s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:o, s:f}", "pairs", (json_int_t)x->train.n,
                     "heldout_pairs", (json_int_t)x->heldout.n, "left_out", (json_int_t)x->train.left_out, "steps",
                     (json_int_t)x->l.step, "pair_accuracy", x->after.accuracy, "pair_accuracy_before", x->before.accuracy,
                     "loss", x->after.loss, "calibration_error", x->after.calibration_error, "score_mean", x->after.mean,
                     "score_std", x->after.std, "calibration", bins, "seconds", x->l.seconds);
}

static yk_status open_all(rewarder *x, const yk_job *job, char data[33], yk_error *err)
{
    yk_status st = YK_OK;
    const yk_recipe *r = job->recipe;
    char both[2 * 33];
    YK_TRY(yk_course_open(&x->c, job, "reward", YK_COURSE_ROWS, true, err));
    YK_TRY(yk_pairs_read(&x->train, &x->c, &r->reward_data, "reward.data", "pairs.train.jsonl", r->sft_bad_lines, err));
    YK_TRY(yk_pairs_read(&x->heldout, &x->c, &r->reward_heldout, "reward.heldout", "pairs.heldout.jsonl", r->sft_bad_lines,
                         err));
    strcat(strcpy(both, x->train.hash), x->heldout.hash);
    yk_hash128_hex(both, strlen(both), data);
    const yk_learner_options l = {.kind = "reward", .folder = x->c.checkpoints, .keys = keys, .data = data,
                                  .schedule = {"cosine", r->reward_lr, r->reward_lr_end, r->reward_warmup, 0,
                                               yk_steps_of(r->reward_epochs, x->train.n, r->reward_batch)},
                                  .adamw = yk_adamw_of(r), .checkpoint_every = r->reward_checkpoint_every,
                                  .keep = r->pretrain_keep};
    YK_TRY(yk_learner_open(&x->l, job, &x->c.s, NULL, &l, err));
    YK_TRY(yk_deal_new(&x->deal, (uint64_t)r->seed, YK_DEAL_REWARD, x->train.n, err));
    YK_TRY(yk_places_new(&x->places, r->reward_batch, err));
    YK_NEW(x->second, r->reward_batch);
    YK_NEW(x->score, 2 * x->heldout.n);
done:
    return st;
}

yk_status yk_reward_stage(const yk_job *job, bool *finished, yk_error *err)
{
    yk_status st = YK_OK;
    rewarder x = {.r = job->recipe};
    char data[33];
    *finished = false;
    YK_TRY(open_all(&x, job, data, err));
    YK_TRY(resume(&x, err));
    YK_TRY(yk_metrics_open(&x.c.metrics, x.c.dir, x.l.step, err));
    yk_log("reward     %lld pairs, %lld held out, %lld steps of %lld", (long long)x.train.n, (long long)x.heldout.n,
           (long long)x.l.o.schedule.steps, (long long)x.r->reward_batch);
    YK_TRY(loop(&x, err));
    if (x.l.step < x.l.o.schedule.steps) goto done;
    YK_TRY(yk_course_finish(&x.c, &x.l, true, summary_of(&x), err));
    *finished = true;
done:
    yk_learner_close(&x.l);
    yk_deal_free(&x.deal);
    yk_places_free(&x.places);
    free(x.second);
    free(x.score);
    yk_pairs_free(&x.train);
    yk_pairs_free(&x.heldout);
    yk_course_close(&x.c);
    return st;
}
