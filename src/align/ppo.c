/* The ppo stage: proximal policy optimisation against a learned reward (Schulman et al. 2017; Ouyang et al. 2022).
 *
 * Four sets of weights share one model's memory: the policy, the reference (the policy as it began), the reward model,
 * and the value model, which begins as the reward model with a score head of zeros, since its values are in other
 * units. */
#include "align/align.h"
#include "align/kl_control.h"
#include "align/proximal.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "base/rng.h"

#include <stdlib.h>
#include <string.h>

enum { EVALUATION_SEED = 1 };

static const char *const keys[] = {"seed", "lanes", "precision", "numerics", "model.", "pretrain.", "sft.", "reward.",
                                   "ppo.", NULL};

typedef yk_experience_means means;

typedef struct prompts {
    yk_examples e;
    const yk_example **item;
    int64_t n, left_out; /* of those whose prompt fills the context alone */
} prompts;

typedef struct ppo {
    yk_course c;
    const yk_recipe *r;
    prompts train, heldout;
    yk_weights reference, reward, value;
    yk_learner policy, critic;
    yk_decoder *decoder;
    yk_deal deal;
    uint64_t *order; /* [ppo.prompts] of a pass over the step's answers */
    yk_kl_control kl;
    yk_proximal p;
    yk_experience e;            /* of the step */
    double generating, scoring; /* seconds of all steps */
    means before, after;        /* of held-out prompts */
} ppo;

/* --- opening --------------------------------------------------------------------------------- */

static yk_status read_prompts(prompts *p, const yk_course *c, const yk_list *named, const char *key, const char *file,
                              int64_t most, yk_error *err)
{
    yk_status st = YK_OK;
    yk_list paths = {0};
    YK_TRY(yk_course_paths(c, named, key, file, &paths, err));
    YK_TRY(yk_examples_read(&p->e, &paths, YK_PREFERENCE, (size_t)c->r->sft_bad_lines, err));
    YK_NEW(p->item, p->e.n);
    YK_TRY(yk_rollout_prompts(c, &p->e, most, p->item, &p->n, &p->left_out, err));
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

static yk_status load_weights(ppo *x, yk_weights *w, bool training, const char *path, bool with_score, yk_error *err)
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
static yk_status load_models(ppo *x, yk_error *err)
{
    yk_status st = YK_OK;
    char *path = yk_path("%s/reward/model.h5", x->c.job->dir);
    if (!path) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    if (!yk_exists(path))
        YK_FAIL(YK_ERR_INPUT, "%s: there is no reward model; put `reward` before `ppo` into `stages`", path);
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

static yk_status open_learners(ppo *x, const char *data, yk_error *err)
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
    o.whole = true;
    YK_TRY(yk_learner_open(&x->critic, x->c.job, &x->c.s, &x->value, &o, err));
    yk_learner_also(&x->policy, "value.", x->value.weight);
    yk_learner_also(&x->policy, "value.optimizer.m.", x->critic.optimiser.m);
    yk_learner_also(&x->policy, "value.optimizer.v.", x->critic.optimiser.v);
done:
    return st;
}

static yk_status open_all(ppo *x, char data[33], yk_error *err)
{
    yk_status st = YK_OK;
    const yk_recipe *r = x->r;
    YK_TRY(read_prompts(&x->train, &x->c, &r->ppo_data, "ppo.data", "pairs.train.jsonl", 0, err));
    YK_TRY(read_prompts(&x->heldout, &x->c, &r->ppo_heldout, "ppo.heldout", "pairs.heldout.jsonl", r->ppo_eval_prompts,
                        err));
    YK_TRY(load_models(x, err));
    yk_weights_hash(x->c.s.model, x->reward.weight, data);
    yk_hash128_join(data, x->train.e.hash, data);
    yk_hash128_join(data, x->heldout.e.hash, data);
    YK_TRY(open_learners(x, data, err));
    int64_t slots = r->ppo_prompts < YK_COURSE_SLOTS ? r->ppo_prompts : YK_COURSE_SLOTS;
    YK_TRY(yk_decoder_new(&x->decoder, &x->c.s, slots, x->c.context, err));
    YK_TRY(yk_deal_new(&x->deal, (uint64_t)r->seed, YK_DEAL_PPO, x->train.n, err));
    YK_NEW(x->order, r->ppo_prompts);
    x->kl = (yk_kl_control){r->ppo_kl, r->ppo_kl_target, r->ppo_kl_horizon};
    x->p = (yk_proximal){.clip = r->ppo_clip, .value_clip = r->ppo_value_clip, .e = &x->e};
done:
    return st;
}

/* --- answers --------------------------------------------------------------------------------- */

/* Answers to n prompts by the policy, scored, with log-probabilities of the reference. */
static yk_status answer(ppo *x, yk_experience *e, const yk_example **prompt, int64_t n, uint64_t seed, uint64_t number,
                        yk_error *err)
{
    yk_status st = YK_OK;
    yk_session *s = &x->c.s;
    yk_sampling how = yk_sampling_of(s);
    *e = (yk_experience){0};
    yk_chat_ends(x->c.chat, &how);
    how.temperature = x->r->ppo_temperature, how.tokens = x->r->ppo_tokens, how.seed = seed;
    yk_model_use(s->model, x->policy.weights);
    YK_TRY(yk_rollouts_make(&e->x, &x->c, x->decoder, prompt, n, 1, &how, number, err));
    YK_TRY(yk_experience_score(e, s, x->reference, x->reward, x->r->ppo_unfinished, err));
done:
    return st;
}

static yk_status evaluate(ppo *x, means *m, yk_error *err)
{
    yk_status st = YK_OK;
    yk_experience e;
    YK_TRY(answer(x, &e, x->heldout.item, x->heldout.n, (uint64_t)x->r->seed + EVALUATION_SEED, 0, err));
    *m = yk_experience_means_of(&e);
    YK_TRY(yk_metrics_add(&x->c.metrics,
                          json_pack("{s:s, s:I, s:f, s:f, s:f, s:f, s:f}", "type", "eval", "step",
                                    (json_int_t)x->policy.step, "reward", m->reward, "std", m->std, "kl", m->kl,
                                    "entropy", m->entropy, "length", m->length), err));
    yk_log("ppo        step %lld of %lld: held-out reward %.3f (deviation %.3f), %.2f nats from the start, %.1f tokens",
           (long long)(x->policy.step / updates_a_step(x->r)), (long long)x->r->ppo_steps, m->reward, m->std, m->kl,
           m->length);
    for (int64_t i = 0; i < x->r->sft_samples && i < e.x.n; i++) {
        const yk_example *asked = x->heldout.item[i];
        YK_TRY(yk_metrics_sample(&x->c.metrics, x->policy.step, asked->turn[asked->turns - 1].content,
                                 &e.x.item[i].text, err));
    }
done:
    yk_experience_free(&e);
    return st;
}

/* --- learning -------------------------------------------------------------------------------- */

static yk_status learn(ppo *x, yk_error *err)
{
    yk_status st = YK_OK;
    const int64_t parts = x->r->ppo_minibatches, n = x->e.x.n;
    x->p.clipped = x->p.tokens = 0;
    for (int64_t epoch = 0; epoch < x->r->ppo_epochs; epoch++) {
        const yk_rng rng = yk_rng_make((uint64_t)x->r->seed, YK_STREAM_DEAL,
                                       (uint64_t)YK_DEAL_PPO << 48 | (uint64_t)x->policy.step);
        yk_rng_permutation(&rng, x->order, (uint64_t)n);
        for (int64_t part = 0; part < parts; part++) {
            const int64_t first = part * n / parts, count = (part + 1) * n / parts - first;
            YK_TRY(yk_proximal_step(&x->p, &x->policy, &x->critic, x->order + first, count, err));
        }
    }
done:
    return st;
}

static yk_status record(ppo *x, const means *m, double seconds, yk_error *err)
{
    json_t *row = yk_learner_row(&x->policy, seconds);
    json_object_update_new(row, json_pack("{s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:o, s:o, s:f}", "reward", m->reward,
                                          "kl", m->kl, "entropy", m->entropy, "length", m->length, "ended", m->ended,
                                          "beta", x->kl.coefficient, "clip_fraction",
                                          x->p.tokens > 0 ? x->p.clipped / x->p.tokens : 0, "value_loss",
                                          yk_json_number_or_null(x->critic.loss), "explained_variance",
                                          yk_json_number_or_null(yk_experience_explained(&x->e)), "generation_seconds",
                                          x->e.x.seconds));
    yk_progress("ppo        %lld/%lld  reward %.3f  %.2f nats from the start  %.1f tokens",
                (long long)(x->policy.step / updates_a_step(x->r)), (long long)x->r->ppo_steps, m->reward, m->kl,
                m->length);
    return yk_metrics_add(&x->c.metrics, row, err);
}

/* --- checkpoints ----------------------------------------------------------------------------- */

static json_t *means_json(const means *m)
{
    return json_pack("[f, f, f, f, f, f]", m->reward, m->std, m->kl, m->entropy, m->length, m->ended);
}

static means means_of_json(const json_t *list)
{
    double v[6];
    for (size_t i = 0; i < 6; i++) v[i] = json_number_value(json_array_get(list, i));
    return (means){v[0], v[1], v[2], v[3], v[4], v[5]};
}

static yk_status save(ppo *x, yk_error *err)
{
    json_t *own = json_pack("{s:o, s:f, s:f, s:f, s:o, s:o}", "critic", yk_learner_counters(&x->critic), "beta",
                            x->kl.coefficient, "generating", x->generating, "scoring", x->scoring, "before",
                            means_json(&x->before), "after", means_json(&x->after));
    yk_status st = yk_learner_save_step(&x->policy, own, err);
    json_decref(own);
    return st;
}

static yk_status resume(ppo *x, yk_error *err)
{
    yk_status st = YK_OK;
    json_t *d;
    YK_TRY(yk_learner_resume(&x->policy, &d, err));
    if (!d) goto done;
    x->kl.coefficient = json_number_value(json_object_get(d, "beta"));
    x->generating = json_number_value(json_object_get(d, "generating"));
    x->scoring = json_number_value(json_object_get(d, "scoring"));
    x->before = means_of_json(json_object_get(d, "before"));
    x->after = means_of_json(json_object_get(d, "after"));
    st = yk_learner_take_counters(&x->critic, json_object_get(d, "critic"), err);
    json_decref(d);
done:
    return st;
}

/* --- the stage ------------------------------------------------------------------------------- */

static yk_status check_distance(const ppo *x, const means *m, yk_error *err)
{
    if (m->kl <= x->r->ppo_kl_limit) return YK_OK;
    return yk_fail(err, YK_ERR_NUMERIC, "the policy is %.1f nats a sequence from where it began, above ppo.kl_limit, "
                   "after step %lld. Checkpoints in %s, if any, are of before that; raise ppo.kl or lower ppo.lr, "
                   "remove that folder and run again", m->kl, (long long)(x->policy.step / updates_a_step(x->r)),
                   x->c.checkpoints);
}

static yk_status estimate(ppo *x, yk_error *err)
{
    const double began = yk_now();
    yk_credit o = {.kl = x->kl.coefficient, .std = 1, .gamma = x->r->ppo_gamma, .lambda = x->r->ppo_lambda};
    if (x->r->ppo_whiten) {
        o.mean = x->before.reward;
        o.std = x->before.std + 1e-8;
    }
    yk_status st = yk_experience_estimate(&x->e, &x->c.s, x->value, &o, err);
    x->scoring += yk_now() - began;
    return st;
}

/* The answers show how far the policy has gone; a checkpoint is saved only after that. *stops when the job does: then
 * they are not learnt from. */
static yk_status train_step(ppo *x, bool *stops, yk_error *err)
{
    yk_status st = YK_OK;
    const double began = yk_now();
    const int64_t step = x->policy.step / updates_a_step(x->r), n = x->r->ppo_prompts;
    const yk_example **prompt = NULL;
    YK_NEW(prompt, n);
    for (int64_t i = 0; i < n; i++) prompt[i] = x->train.item[yk_deal_item(&x->deal, step * n + i)];
    YK_TRY(answer(x, &x->e, prompt, n, (uint64_t)x->r->seed, (uint64_t)(step * n), err));
    const double answered = yk_now();
    const means m = yk_experience_means_of(&x->e);
    YK_TRY(check_distance(x, &m, err));
    *stops = yk_learner_stops(&x->policy);
    if (step > 0 && (*stops || yk_learner_save_is_due(&x->policy))) YK_TRY(save(x, err));
    if (*stops) goto done;
    x->generating += x->e.x.seconds;
    x->scoring += answered - began - x->e.x.seconds;
    YK_TRY(estimate(x, err));
    YK_TRY(learn(x, err));
    YK_TRY(record(x, &m, yk_now() - began, err));
    yk_kl_control_update(&x->kl, m.kl, n);
done:
    yk_experience_free(&x->e);
    free(prompt);
    return st;
}

/* All that is recorded of a step is recorded before its checkpoint is saved, so that it is there once whenever the
 * process ends. */
static yk_status loop(ppo *x, int64_t last, yk_error *err)
{
    yk_status st = YK_OK;
    bool stops = false;
    if (x->policy.step == last) goto done; /* resumed after the last step */
    if (x->policy.step == 0) YK_TRY(evaluate(x, &x->before, err));
    while (x->policy.step < last && !stops) YK_TRY(train_step(x, &stops, err));
    if (stops) goto done;
    YK_TRY(evaluate(x, &x->after, err));
    YK_TRY(check_distance(x, &x->after, err));
    YK_TRY(save(x, err));
done:
    return st;
}

static json_t *summary_of(const ppo *x)
{
    const means *before = &x->before, *after = &x->after;
    const double learning = x->policy.seconds + x->critic.seconds, all = learning + x->generating + x->scoring;
    const double unit = all > 0 ? all : 1;
    return json_pack("{s:I, s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:{s:f, s:f, s:f}}",
                     "steps", (json_int_t)x->r->ppo_steps, "prompts", (json_int_t)x->train.n, "left_out",
                     (json_int_t)x->train.left_out, "reward_before", before->reward, "reward_after", after->reward,
                     "reward_std_before", before->std, "reward_std_after", after->std, "kl", after->kl,
                     "entropy_before", before->entropy, "entropy_after", after->entropy, "length_before",
                     before->length, "length_after", after->length, "beta", x->kl.coefficient, "seconds", all,
                     "generation_share", x->generating / unit, "shares", "generation", x->generating / unit, "scoring",
                     x->scoring / unit, "learning", learning / unit);
}

yk_status yk_ppo_stage(const yk_job *job, bool *finished, yk_error *err)
{
    yk_status st = YK_OK;
    ppo x = {.r = job->recipe};
    const int64_t last = x.r->ppo_steps * updates_a_step(x.r);
    char data[33];
    *finished = false;
    YK_TRY(yk_course_open(&x.c, job, "ppo", YK_COURSE_ROWS, true, err));
    YK_TRY(open_all(&x, data, err));
    YK_TRY(resume(&x, err));
    YK_TRY(yk_metrics_open(&x.c.metrics, x.c.comm, x.c.dir, x.policy.step, err));
    yk_log("ppo        %lld prompts, %lld steps of %lld answers", (long long)x.train.n, (long long)x.r->ppo_steps,
           (long long)x.r->ppo_prompts);
    YK_TRY(loop(&x, last, err));
    if (x.policy.step < last) goto done;
    YK_TRY(yk_course_finish(&x.c, &x.policy, false, summary_of(&x), err));
    *finished = true;
done:
    yk_experience_free(&x.e);
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
