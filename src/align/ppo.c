/* The ppo stage: proximal policy optimisation against a learned reward (Schulman et al. 2017; Ouyang et al. 2022).
 *
 * Four sets of weights share one model's memory: the policy, the reference (the policy as it began), the reward model,
 * and the value model, which begins as the reward model with a score head of zeros, since its values are in other units. */
#include "align/align.h"
#include "align/gae.h"
#include "align/losses.h"
#include "align/passes.h"
#include "align/rollout.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { EVALUATION_SEED = 1 };

static const char *const keys[] = {"seed", "lanes", "precision", "numerics", "model.", "pretrain.", "sft.", "reward.", "ppo.", NULL};

/* What answers of the policy are like. */
typedef struct judged {
    double reward, std, kl, entropy, length, ended; /* kl: nats a sequence; entropy: nats a token, as -log p of what was drawn */
} judged;

typedef struct prompts {
    yk_examples e;
    const yk_example **item;
    int64_t n;
} prompts;

/* Answers with all that is learnt from them; rows run over the ids of a sequence. */
typedef struct batch {
    yk_rollouts x;
    float **reference, **value, **target, **advantage; /* value: of the state before the id */
    double *score;                                     /* [n] of the reward model */
} batch;

typedef struct proximal {
    yk_course c;
    const yk_recipe *r;
    prompts train, heldout;
    yk_weights reference, reward, value;
    yk_learner policy, critic;
    yk_decoder *decoder;
    yk_deal deal;
    uint64_t *order; /* [ppo.prompts] of a pass over the batch */
    int64_t first;   /* of the minibatch, in `order` */
    batch b;
    double beta, score_mean, score_std; /* of the start, by which scores are measured */
    double generating;                  /* seconds */
    judged before, after;
    double clipped, tokens; /* of the step's policy updates */
} proximal;

/* --- opening --------------------------------------------------------------------------------- */

static yk_status read_prompts(prompts *p, const yk_course *c, const yk_list *named, const char *key, const char *file,
                              int64_t most, yk_error *err)
{
    yk_status st = YK_OK;
    yk_list paths = {0};
    YK_TRY(yk_course_paths(c, named, key, file, &paths, err));
    YK_TRY(yk_examples_read(&p->e, &paths, YK_PREFERENCE, (size_t)c->r->sft_bad_lines, err));
    YK_NEW(p->item, p->e.n);
    YK_TRY(yk_rollout_prompts(c, &p->e, most, p->item, &p->n, err));
    if (p->n == 0) YK_FAIL(YK_ERR_INPUT, "%s: no prompt leaves room for an answer; raise pretrain.seq", paths.item[0]);
done:
    yk_course_free_paths(&paths);
    return st;
}

static void free_prompts(prompts *p)
{
    yk_examples_free(&p->e);
    free(p->item);
}

static yk_status load_weights(proximal *x, yk_weights *w, bool training, const char *path, bool with_score, yk_error *err)
{
    yk_status st = YK_OK;
    YK_TRY(yk_weights_new(w, x->c.s.model, training, err));
    const yk_weights before = yk_model_use(x->c.s.model, *w);
    st = yk_session_load(&x->c.s, path, with_score, err);
    yk_model_use(x->c.s.model, before);
done:
    return st;
}

/* While the policy is still the model that the stage begins with. */
static yk_status load_models(proximal *x, yk_error *err)
{
    yk_status st = YK_OK;
    char *path = yk_path("%s/reward/model.h5", x->c.job->dir);
    if (!path) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    if (!yk_exists(path)) YK_FAIL(YK_ERR_INPUT, "%s: there is no reward model; put `reward` before `ppo` into `stages`", path);
    YK_TRY(yk_weights_new(&x->reference, x->c.s.model, false, err));
    yk_weights_copy(x->c.s.model, x->reference.weight, yk_model_weights(x->c.s.model));
    YK_TRY(load_weights(x, &x->reward, false, path, true, err));
    YK_TRY(load_weights(x, &x->value, true, path, false, err));
done:
    free(path);
    return st;
}

static int64_t updates_a_step(const yk_recipe *r)
{
    return r->ppo_epochs * r->ppo_minibatches;
}

static yk_status open_learners(proximal *x, const char *data, yk_error *err)
{
    yk_status st = YK_OK;
    const yk_recipe *r = x->r;
    yk_learner_options o = {.kind = "ppo", .folder = x->c.checkpoints, .keys = keys, .data = data,
                            .schedule = {"constant", r->ppo_lr, 1, 0, 0, r->ppo_steps * updates_a_step(r)},
                            .adamw = yk_adamw_of(r), .checkpoint_every = r->ppo_checkpoint_every * updates_a_step(r),
                            .keep = r->pretrain_keep};
    o.schedule.warmup = r->ppo_warmup;
    YK_TRY(yk_learner_open(&x->policy, x->c.job, &x->c.s, NULL, &o, err));
    o.schedule.peak = r->ppo_value_lr;
    YK_TRY(yk_learner_open(&x->critic, x->c.job, &x->c.s, &x->value, &o, err));
    yk_learner_also(&x->policy, "value.", x->value.weight);
    yk_learner_also(&x->policy, "value.optimizer.m.", x->critic.optimiser.m);
    yk_learner_also(&x->policy, "value.optimizer.v.", x->critic.optimiser.v);
done:
    return st;
}

static yk_status open_all(proximal *x, char data[33], yk_error *err)
{
    yk_status st = YK_OK;
    const yk_recipe *r = x->r;
    YK_TRY(read_prompts(&x->train, &x->c, &r->ppo_data, "ppo.data", "pairs.train.jsonl", 0, err));
    YK_TRY(read_prompts(&x->heldout, &x->c, &r->ppo_heldout, "ppo.heldout", "pairs.heldout.jsonl", r->ppo_eval_prompts, err));
    YK_TRY(load_models(x, err));
    yk_weights_hash(x->c.s.model, x->reward.weight, data);
    yk_hash128_join(data, x->train.e.hash, data);
    yk_hash128_join(data, x->heldout.e.hash, data);
    YK_TRY(open_learners(x, data, err));
    int64_t slots = r->ppo_prompts < YK_COURSE_SLOTS ? r->ppo_prompts : YK_COURSE_SLOTS;
    YK_TRY(yk_decoder_new(&x->decoder, &x->c.s, slots, x->c.context, err));
    YK_TRY(yk_deal_new(&x->deal, (uint64_t)r->seed, YK_DEAL_PPO, x->train.n, err));
    YK_NEW(x->order, r->ppo_prompts);
    x->beta = r->ppo_kl;
    x->score_std = 1;
done:
    return st;
}

/* --- answers --------------------------------------------------------------------------------- */

static void free_batch(batch *b)
{
    free(b->reference);
    free(b->value);
    free(b->target);
    free(b->advantage);
    free(b->score);
    yk_rollouts_free(&b->x);
    *b = (batch){0};
}

/* Answers to n prompts by the policy, scored, with log-probabilities of the reference. */
static yk_status answer(proximal *x, batch *b, const yk_example **prompt, int64_t n, uint64_t seed, uint64_t number,
                        yk_error *err)
{
    yk_status st = YK_OK;
    yk_session *s = &x->c.s;
    float **score = NULL;
    yk_sampling how = yk_sampling_of(s);
    *b = (batch){0};
    yk_chat_ends(x->c.chat, &how);
    how.temperature = x->r->ppo_temperature, how.tokens = x->r->ppo_tokens, how.seed = seed;
    const yk_weights policy = yk_model_use(s->model, x->policy.weights);
    YK_TRY(yk_rollouts_make(&b->x, &x->c, x->decoder, prompt, n, 1, &how, number, err));
    YK_TRY(yk_rollouts_rows(&b->x, &b->reference, err));
    YK_TRY(yk_rollouts_rows(&b->x, &score, err));
    YK_NEW(b->score, b->x.n);
    yk_model_use(s->model, x->reference);
    YK_TRY(yk_rollouts_logp(&b->x, s, b->reference, err));
    yk_model_use(s->model, x->reward);
    YK_TRY(yk_rollouts_score(&b->x, s, score, err));
    for (int64_t i = 0; i < b->x.n; i++) {
        const yk_rollout *o = &b->x.item[i];
        b->score[i] = (double)score[i][o->sequence.ids.n - 1] - (o->ended ? 0 : x->r->ppo_unfinished);
    }
    yk_model_use(s->model, policy);
done:
    if (st != YK_OK) yk_model_use(s->model, x->policy.weights);
    free(score);
    return st;
}

static judged judge(const batch *b)
{
    judged j = {0};
    const double n = (double)b->x.n;
    double squares = 0, tokens = 0;
    for (int64_t i = 0; i < b->x.n; i++) {
        const yk_rollout *o = &b->x.item[i];
        for (int64_t t = o->sequence.prompt; t < (int64_t)o->sequence.ids.n; t++) {
            j.kl += ((double)o->logp[t] - (double)b->reference[i][t]) / n;
            j.entropy -= (double)o->logp[t];
            tokens++;
        }
        j.reward += b->score[i] / n;
        squares += b->score[i] * b->score[i] / n;
        j.length += (double)o->length / n;
        j.ended += o->ended / n;
    }
    j.std = sqrt(fmax(squares - j.reward * j.reward, 0));
    j.entropy /= tokens > 0 ? tokens : 1;
    return j;
}

static yk_status evaluate(proximal *x, judged *j, bool shows, yk_error *err)
{
    yk_status st = YK_OK;
    batch b;
    YK_TRY(answer(x, &b, x->heldout.item, x->heldout.n, (uint64_t)x->r->seed + EVALUATION_SEED, 0, err));
    *j = judge(&b);
    YK_TRY(yk_metrics_add(&x->c.metrics,
                          json_pack("{s:s, s:I, s:f, s:f, s:f, s:f, s:f}", "type", "eval", "step", (json_int_t)x->policy.step,
                                    "reward", j->reward, "std", j->std, "kl", j->kl, "entropy", j->entropy, "length",
                                    j->length), err));
    yk_log("ppo        step %lld of %lld: held-out reward %.3f (deviation %.3f), %.2f nats from the start, %.1f tokens",
           (long long)(x->policy.step / updates_a_step(x->r)), (long long)x->r->ppo_steps, j->reward, j->std, j->kl, j->length);
    for (int64_t i = 0; shows && i < x->r->sft_samples && i < b.x.n; i++)
        YK_TRY(yk_metrics_sample(&x->c.metrics, x->policy.step, x->heldout.item[i]->turn[x->heldout.item[i]->turns - 1].content,
                                 &b.x.item[i].text, err));
done:
    free_batch(&b);
    return st;
}

/* --- learning -------------------------------------------------------------------------------- */

/* Values of the states before each id, advantages and targets. The reward of an id is the divergence from the reference
 * that it adds, and of the last one the score too. */
static yk_status estimate(proximal *x, batch *b, yk_error *err)
{
    yk_status st = YK_OK;
    yk_session *s = &x->c.s;
    double *reward = NULL, *value, *advantage;
    float **score = NULL;
    const int64_t room = x->c.context + 1;
    YK_NEW(reward, 3 * room);
    value = reward + room, advantage = value + room;
    YK_TRY(yk_rollouts_rows(&b->x, &score, err));
    YK_TRY(yk_rollouts_rows(&b->x, &b->value, err));
    YK_TRY(yk_rollouts_rows(&b->x, &b->target, err));
    YK_TRY(yk_rollouts_rows(&b->x, &b->advantage, err));
    const yk_weights policy = yk_model_use(s->model, x->value);
    st = yk_rollouts_score(&b->x, s, score, err);
    yk_model_use(s->model, policy);
    if (st != YK_OK) goto done;
    for (int64_t i = 0; i < b->x.n; i++) {
        const yk_rollout *o = &b->x.item[i];
        const int64_t from = o->sequence.prompt, n = o->length;
        for (int64_t t = 0; t < n; t++) {
            value[t] = (double)score[i][from + t - 1];
            reward[t] = -x->beta * ((double)o->logp[from + t] - (double)b->reference[i][from + t]);
        }
        if (n > 0) reward[n - 1] += (b->score[i] - x->score_mean) / x->score_std;
        yk_gae(reward, value, n, x->r->ppo_gamma, x->r->ppo_lambda, advantage);
        for (int64_t t = 0; t < n; t++) {
            b->value[i][from + t] = (float)value[t];
            b->advantage[i][from + t] = (float)advantage[t];
            b->target[i][from + t] = (float)(advantage[t] + value[t]);
        }
    }
done:
    free(score);
    free(reward);
    return st;
}

/* Advantages over all tokens of the batch get mean 0 and deviation 1. */
static void whiten(batch *b)
{
    double n = 0, sum = 0, squares = 0;
    for (int pass = 0; pass < 2; pass++) {
        double mean = pass ? sum / n : 0, std = pass ? sqrt(fmax(squares / n - mean * mean, 0)) + 1e-8 : 1;
        for (int64_t i = 0; i < b->x.n; i++)
            for (int64_t t = b->x.item[i].sequence.prompt; t < (int64_t)b->x.item[i].sequence.ids.n; t++) {
                float *a = &b->advantage[i][t];
                if (pass) {
                    *a = (float)(((double)*a - mean) / std);
                    continue;
                }
                n++;
                sum += (double)*a;
                squares += (double)*a * (double)*a;
            }
        if (n == 0) return;
    }
}

/* Which rollout an item of the minibatch is. */
static int64_t rollout_of(const proximal *x, int64_t item)
{
    return (int64_t)x->order[x->first + item];
}

static bool add_rollout(void *context, int64_t item, yk_session *s)
{
    const proximal *x = context;
    return yk_rollout_add(&x->b.x.item[rollout_of(x, item)], s) >= 0;
}

/* The loss of the value of the row that predicts id t of rollout i. */
typedef yk_slope (*loss_fn)(const proximal *x, double value, int64_t i, int64_t t);

static void weigh_rows(proximal *x, const yk_learner *l, const yk_batch *rows, const float *value, float *weight, float *loss,
                       loss_fn loss_of)
{
    for (int64_t r = 0; r < rows->rows; r++) weight[r] = loss[r] = 0.0f;
    for (int64_t p = 0; p < l->places; p++) {
        const int64_t i = rollout_of(x, l->place[p].item);
        const yk_sequence *q = &x->b.x.item[i].sequence;
        for (int64_t t = q->prompt; t < (int64_t)q->ids.n; t++) {
            const int64_t row = l->place[p].row + t - 1;
            yk_slope d = loss_of(x, (double)value[row], i, t);
            weight[row] = -(float)d.slope;
            loss[row] = (float)d.loss;
            if (l == &x->policy) x->clipped += d.clipped, x->tokens++;
        }
    }
}

static yk_slope policy_loss(const proximal *x, double logp, int64_t i, int64_t t)
{
    return yk_policy_loss(logp, (double)x->b.x.item[i].logp[t], (double)x->b.advantage[i][t], x->r->ppo_clip, x->r->ppo_clip);
}

static yk_slope value_loss(const proximal *x, double value, int64_t i, int64_t t)
{
    return yk_value_loss(value, (double)x->b.value[i][t], (double)x->b.target[i][t], x->r->ppo_value_clip);
}

static void weigh_policy(void *context, const yk_batch *rows, const float *value, const float *entropy, float *weight,
                         float *loss)
{
    (void)entropy;
    proximal *x = context;
    weigh_rows(x, &x->policy, rows, value, weight, loss, policy_loss);
}

static void weigh_value(void *context, const yk_batch *rows, const float *value, const float *entropy, float *weight,
                        float *loss)
{
    (void)entropy;
    proximal *x = context;
    weigh_rows(x, &x->critic, rows, value, weight, loss, value_loss);
}

/* A minibatch: `count` rollouts of the order, from `first` on. */
static yk_status learn_minibatch(proximal *x, int64_t count, yk_error *err)
{
    yk_status st = YK_OK;
    const yk_objective policy = {.weigh = weigh_policy, .context = x},
                       value = {.score = true, .weigh = weigh_value, .context = x};
    double tokens = 0;
    for (int64_t i = 0; i < count; i++) tokens += (double)x->b.x.item[rollout_of(x, i)].length;
    yk_work work = {.items = count, .add = add_rollout, .objective = &policy, .context = x,
                    .unit = tokens > 0 ? tokens : 1};
    YK_TRY(yk_learner_step(&x->policy, &work, err));
    work.objective = &value;
    YK_TRY(yk_learner_step(&x->critic, &work, err));
done:
    return st;
}

static yk_status learn(proximal *x, yk_error *err)
{
    yk_status st = YK_OK;
    const int64_t parts = x->r->ppo_minibatches, n = x->b.x.n;
    x->clipped = x->tokens = 0;
    for (int64_t epoch = 0; epoch < x->r->ppo_epochs; epoch++) {
        const yk_rng rng = yk_rng_make((uint64_t)x->r->seed, YK_STREAM_DEAL, (uint64_t)YK_DEAL_PPO << 48 | (uint64_t)x->policy.step);
        yk_rng_permutation(&rng, x->order, (uint64_t)n);
        for (int64_t part = 0; part < parts; part++) {
            x->first = part * n / parts;
            YK_TRY(learn_minibatch(x, (part + 1) * n / parts - x->first, err));
        }
    }
done:
    return st;
}

/* The coefficient follows the divergence (Ziegler et al. 2019). */
static void adapt(proximal *x, double kl)
{
    if (x->r->ppo_kl_target <= 0) return;
    double error = kl / x->r->ppo_kl_target - 1;
    error = error > 0.2 ? 0.2 : error < -0.2 ? -0.2 : error;
    x->beta *= 1 + error * (double)x->b.x.n / (double)x->r->ppo_kl_horizon;
}

static double explained(const batch *b)
{
    double n = 0, sum = 0, squares = 0, left = 0, left_squares = 0;
    for (int64_t i = 0; i < b->x.n; i++)
        for (int64_t t = b->x.item[i].sequence.prompt; t < (int64_t)b->x.item[i].sequence.ids.n; t++) {
            double y = (double)b->target[i][t], d = y - (double)b->value[i][t];
            n++, sum += y, squares += y * y, left += d, left_squares += d * d;
        }
    double variance = squares / n - sum / n * (sum / n);
    return variance > 0 ? 1 - (left_squares / n - left / n * (left / n)) / variance : NAN;
}

static yk_status record(proximal *x, const judged *j, double seconds, yk_error *err)
{
    json_t *row = yk_learner_row(&x->policy, seconds);
    json_object_update_new(row, json_pack("{s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:o, s:o, s:f}", "reward", j->reward, "kl", j->kl,
                                          "entropy", j->entropy, "length", j->length, "ended", j->ended, "beta", x->beta,
                                          "clip_fraction", x->tokens > 0 ? x->clipped / x->tokens : 0, "value_loss",
                                          yk_json_number_or_null(x->critic.loss), "explained_variance",
                                          yk_json_number_or_null(explained(&x->b)), "generation_seconds", x->b.x.seconds));
    yk_progress("ppo        %lld/%lld  reward %.3f  %.2f nats from the start  %.1f tokens",
                (long long)(x->policy.step / updates_a_step(x->r)), (long long)x->r->ppo_steps, j->reward, j->kl, j->length);
    return yk_metrics_add(&x->c.metrics, row, err);
}

/* --- checkpoints ----------------------------------------------------------------------------- */

static json_t *judged_json(const judged *j)
{
    return json_pack("[f, f, f, f, f, f]", j->reward, j->std, j->kl, j->entropy, j->length, j->ended);
}

static judged judged_of(const json_t *list)
{
    double v[6];
    for (size_t i = 0; i < 6; i++) v[i] = json_number_value(json_array_get(list, i));
    return (judged){v[0], v[1], v[2], v[3], v[4], v[5]};
}

static yk_status save(proximal *x, yk_error *err)
{
    json_t *own = json_pack("{s:o, s:f, s:f, s:o}", "critic", yk_learner_counters(&x->critic), "beta", x->beta, "generating",
                            x->generating, "before", judged_json(&x->before));
    yk_status st = yk_learner_save_step(&x->policy, own, err);
    json_decref(own);
    return st;
}

static yk_status resume(proximal *x, yk_error *err)
{
    yk_status st = YK_OK;
    json_t *d;
    YK_TRY(yk_learner_resume(&x->policy, &d, err));
    if (!d) goto done;
    x->beta = json_number_value(json_object_get(d, "beta"));
    x->generating = json_number_value(json_object_get(d, "generating"));
    x->before = judged_of(json_object_get(d, "before"));
    st = yk_learner_take_counters(&x->critic, json_object_get(d, "critic"), err);
    json_decref(d);
done:
    return st;
}

/* --- the stage ------------------------------------------------------------------------------- */

static yk_status check_distance(const proximal *x, const judged *j, yk_error *err)
{
    if (j->kl <= x->r->ppo_kl_limit) return YK_OK;
    return yk_fail(err, YK_ERR_NUMERIC, "the policy is %.1f nats a sequence from where it began, above ppo.kl_limit, after step "
                   "%lld. Checkpoints in %s, if any, are of before that; raise ppo.kl or lower ppo.lr, remove that folder and "
                   "run again", j->kl, (long long)(x->policy.step / updates_a_step(x->r)), x->c.checkpoints);
}

static yk_status train_step(proximal *x, yk_error *err)
{
    yk_status st = YK_OK;
    const double began = yk_now();
    const int64_t step = x->policy.step / updates_a_step(x->r), n = x->r->ppo_prompts;
    const yk_example **prompt = NULL;
    YK_NEW(prompt, n);
    for (int64_t i = 0; i < n; i++) prompt[i] = x->train.item[yk_deal_item(&x->deal, step * n + i)];
    YK_TRY(answer(x, &x->b, prompt, n, (uint64_t)x->r->seed, (uint64_t)(step * n), err));
    x->generating += x->b.x.seconds;
    judged j = judge(&x->b);
    YK_TRY(check_distance(x, &j, err));
    if (step > 0 && yk_learner_save_is_due(&x->policy)) YK_TRY(save(x, err)); /* now that the policy is known to be near enough */
    YK_TRY(estimate(x, &x->b, err));
    whiten(&x->b);
    YK_TRY(learn(x, err));
    YK_TRY(record(x, &j, yk_now() - began, err));
    adapt(x, j.kl);
done:
    free_batch(&x->b);
    free(prompt);
    return st;
}

static yk_status loop(proximal *x, yk_error *err)
{
    yk_status st = YK_OK;
    const int64_t last = x->r->ppo_steps * updates_a_step(x->r);
    if (x->policy.step == 0) YK_TRY(evaluate(x, &x->before, true, err));
    if (x->r->ppo_whiten) {
        x->score_mean = x->before.reward;
        x->score_std = x->before.std + 1e-8;
    }
    while (x->policy.step < last && !yk_job_stops(x->c.job)) YK_TRY(train_step(x, err));
    if (x->policy.step == last) {
        YK_TRY(evaluate(x, &x->after, true, err));
        YK_TRY(check_distance(x, &x->after, err));
    }
    YK_TRY(save(x, err));
done:
    return st;
}

static json_t *summary_of(const proximal *x)
{
    double learning = x->policy.seconds + x->critic.seconds, all = learning + x->generating;
    return json_pack("{s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "steps", (json_int_t)x->r->ppo_steps,
                     "reward_before", x->before.reward, "reward_after", x->after.reward, "reward_std_before", x->before.std,
                     "reward_std_after", x->after.std, "kl", x->after.kl, "entropy_before", x->before.entropy, "entropy_after",
                     x->after.entropy, "length_before", x->before.length, "length_after", x->after.length, "beta", x->beta,
                     "seconds", all, "generation_share", all > 0 ? x->generating / all : 0);
}

yk_status yk_ppo_stage(const yk_job *job, bool *finished, yk_error *err)
{
    yk_status st = YK_OK;
    proximal x = {.r = job->recipe};
    char data[33];
    *finished = false;
    YK_TRY(yk_course_open(&x.c, job, "ppo", YK_COURSE_ROWS, true, err));
    YK_TRY(open_all(&x, data, err));
    YK_TRY(resume(&x, err));
    YK_TRY(yk_metrics_open(&x.c.metrics, x.c.dir, x.policy.step, err));
    yk_log("ppo        %lld prompts, %lld steps of %lld answers", (long long)x.train.n, (long long)x.r->ppo_steps,
           (long long)x.r->ppo_prompts);
    YK_TRY(loop(&x, err));
    if (x.policy.step < x.r->ppo_steps * updates_a_step(x.r)) goto done;
    YK_TRY(yk_course_finish(&x.c, &x.policy, false, summary_of(&x), err));
    *finished = true;
done:
    free_batch(&x.b);
    yk_decoder_free(x.decoder);
    yk_learner_close(&x.policy);
    yk_learner_close(&x.critic);
    yk_deal_free(&x.deal);
    free(x.order);
    free_prompts(&x.train);
    free_prompts(&x.heldout);
    if (x.c.s.model) {
        yk_weights_free(&x.reference, x.c.s.model);
        yk_weights_free(&x.reward, x.c.s.model);
        yk_weights_free(&x.value, x.c.s.model);
    }
    yk_course_close(&x.c);
    return st;
}
