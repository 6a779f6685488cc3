/* The grpo stage: group relative policy optimisation on problems whose answers can be checked (Shao et al., DeepSeekMath,
 * arXiv 2402.03300; DeepSeek-AI, DeepSeek-R1, arXiv 2501.12948). Several answers to a problem are compared with each other,
 * so that no value model is needed. */
#include "align/align.h"
#include "align/grading.h"
#include "align/losses.h"
#include "align/passes.h"
#include "base/hash.h"
#include "base/log.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_SLOTS = 128 };

static const char *const keys[] = {"seed", "lanes", "precision", "numerics", "model.", "pretrain.", "sft.template", "verify.",
                                   "grpo.", NULL};

/* Means over the answers of a step, and over their tokens. */
typedef struct means {
    double reward, accuracy, format, length_part, language, length, ended;
    double kl, entropy; /* nats a token: k3 of the reference; -log p of what was drawn */
    double no_signal;   /* share of groups whose rewards are equal */
} means;

typedef struct grouped {
    yk_course c;
    const yk_recipe *r;
    yk_grader grader;
    json_t *counts; /* of the grader, of earlier processes */
    yk_problem_set train, heldout;
    yk_weights reference; /* none where grpo.kl is 0 */
    yk_learner l;
    yk_decoder *decoder;
    yk_deal deal;
    yk_places places;
    int64_t first; /* rollout of the minibatch */
    double generating, generated; /* seconds, tokens */
    yk_marks before, now;
    /* of the step */
    yk_rollouts x;
    float **logp;       /* of the reference */
    double *advantage;  /* [x.n] */
    double clipped, tokens;
} grouped;

/* --- opening --------------------------------------------------------------------------------- */

static int64_t updates_a_step(const yk_recipe *r)
{
    return r->grpo_epochs * r->grpo_minibatches;
}

static void copy_weights(const yk_session *s, float *to, const float *from)
{
    s->k->copy_rows(&s->team, &(yk_copy_rows){.y = to, .x = from, .rows = yk_model_floats(s->model) / 16, .width = 64,
                                              .y_row = 64, .x_row = 64});
}

static yk_status open_learner(grouped *x, const char *data, yk_error *err)
{
    yk_status st = YK_OK;
    const yk_recipe *r = x->r;
    const yk_learner_options o = {.kind = "grpo", .folder = x->c.checkpoints, .keys = keys, .data = data,
                                  .schedule = {"cosine", r->grpo_lr, r->grpo_lr_end, r->grpo_warmup, 0,
                                               r->grpo_steps * updates_a_step(r)},
                                  .adamw = yk_adamw_of(r), .keep = r->pretrain_keep};
    YK_TRY(yk_learner_open(&x->l, x->c.job, &x->c.s, NULL, &o, err));
    if (r->grpo_kl <= 0) goto done;
    YK_TRY(yk_weights_new(&x->reference, x->c.s.model, false, err));
    copy_weights(&x->c.s, x->reference.weight, x->l.weights.weight);
    yk_learner_also(&x->l, "reference.", x->reference.weight);
done:
    return st;
}

static yk_status open_all(grouped *x, char data[33], yk_error *err)
{
    yk_status st = YK_OK;
    const yk_recipe *r = x->r;
    char both[2 * 33];
    YK_TRY(yk_grader_new(&x->grader, r, err));
    YK_TRY(yk_problem_set_read(&x->train, &x->c, &x->grader, &r->grpo_data, "grpo.data", "problems.train.jsonl",
                               r->grpo_bad_lines, err));
    YK_TRY(yk_problem_set_read(&x->heldout, &x->c, &x->grader, &r->grpo_heldout, "grpo.heldout", "problems.heldout.jsonl",
                               r->grpo_bad_lines, err));
    strcat(strcpy(both, x->train.examples.hash), x->heldout.examples.hash);
    yk_hash128_hex(both, strlen(both), data);
    YK_TRY(open_learner(x, data, err));
    int64_t answers = r->grpo_prompts * r->grpo_group;
    YK_TRY(yk_decoder_new(&x->decoder, &x->c.s, answers < MOST_SLOTS ? answers : MOST_SLOTS, x->c.context, err));
    YK_TRY(yk_deal_new(&x->deal, (uint64_t)r->seed, YK_DEAL_GRPO, x->train.n, err));
    YK_TRY(yk_places_new(&x->places, answers, err));
    YK_NEW(x->advantage, answers);
done:
    return st;
}

/* --- answers and what they earn -------------------------------------------------------------- */

static yk_status answer(grouped *x, int64_t step, yk_error *err)
{
    yk_status st = YK_OK;
    const int64_t n = x->r->grpo_prompts, group = x->r->grpo_group;
    yk_session *s = &x->c.s;
    const yk_example **problem = NULL;
    yk_sampling how = yk_sampling_of(s);
    yk_chat_ends(x->c.chat, &how);
    how.temperature = x->r->grpo_temperature, how.tokens = x->r->grpo_tokens, how.seed = (uint64_t)x->r->seed;
    YK_NEW(problem, n);
    for (int64_t i = 0; i < n; i++) problem[i] = x->train.item[yk_deal_item(&x->deal, step * n + i)];
    YK_TRY(yk_rollouts_make(&x->x, &x->c, x->decoder, problem, n, group, &how, (uint64_t)(step * n * group), err));
    x->generating += x->x.seconds;
    x->generated += x->x.tokens;
    if (!x->reference.weight) goto done;
    YK_TRY(yk_rollouts_rows(&x->x, &x->logp, err));
    const yk_weights policy = yk_model_use(s->model, x->reference);
    st = yk_rollouts_logp(&x->x, s, x->logp, err);
    yk_model_use(s->model, policy);
done:
    free(problem);
    return st;
}

static void free_answers(grouped *x)
{
    yk_rollouts_free(&x->x);
    free(x->logp);
    x->logp = NULL;
}

static void add_tokens(const grouped *x, means *m)
{
    double tokens = 0;
    for (int64_t i = 0; i < x->x.n; i++) {
        const yk_sequence *q = &x->x.item[i].sequence;
        for (int64_t t = q->prompt; t < (int64_t)q->ids.n; t++) {
            double logp = (double)x->x.item[i].logp[t];
            if (x->logp) m->kl += yk_kl_estimate(logp, (double)x->logp[i][t]).loss;
            m->entropy -= logp;
            tokens++;
        }
    }
    m->kl /= tokens > 0 ? tokens : 1;
    m->entropy /= tokens > 0 ? tokens : 1;
}

static yk_status grade(grouped *x, means *m, yk_error *err)
{
    yk_status st = YK_OK;
    const int64_t group = x->r->grpo_group;
    const double n = (double)x->x.n;
    yk_reward_parts *part = NULL;
    double *reward = NULL;
    *m = (means){0};
    YK_NEW(part, x->x.n);
    YK_NEW(reward, x->x.n);
    YK_TRY(yk_grade(&x->grader, &x->x, part, err));
    for (int64_t i = 0; i < x->x.n; i++) {
        reward[i] = part[i].total;
        m->reward += part[i].total / n, m->accuracy += part[i].accuracy / n, m->format += part[i].format / n;
        m->length_part += part[i].length / n, m->language += part[i].language / n;
        m->length += (double)x->x.item[i].length / n, m->ended += x->x.item[i].ended / n;
    }
    for (int64_t i = 0; i < x->x.n; i += group)
        m->no_signal += !yk_group_advantages(reward + i, group, x->r->grpo_scale_by_std, x->advantage + i) * (double)group / n;
    add_tokens(x, m);
done:
    free(part);
    free(reward);
    return st;
}

/* --- learning -------------------------------------------------------------------------------- */

/* An answer of a group without signal teaches nothing where there is no reference. */
static bool add_rollout(void *context, int64_t item, yk_session *s)
{
    grouped *x = context;
    const int64_t i = x->first + item;
    if (x->x.item[i].length == 0 || (x->advantage[i] == 0 && !x->logp)) return true;
    int64_t row = yk_rollout_add(&x->x.item[i], s);
    if (row < 0) return false;
    x->places.at[x->places.n++] = (struct yk_place){i, row};
    return true;
}

static void passed(void *context, const yk_session *s)
{
    (void)s;
    ((grouped *)context)->places.n = 0;
}

static yk_slope token_loss(const grouped *x, int64_t i, int64_t t, double logp)
{
    const double high = x->r->grpo_clip_high > 0 ? x->r->grpo_clip_high : x->r->grpo_clip;
    yk_slope d = yk_policy_loss(logp, (double)x->x.item[i].logp[t], x->advantage[i], x->r->grpo_clip, high);
    if (!x->logp) return d;
    const yk_slope kl = yk_kl_estimate(logp, (double)x->logp[i][t]);
    d.loss += x->r->grpo_kl * kl.loss;
    d.slope += x->r->grpo_kl * kl.slope;
    return d;
}

static bool a_sequence(const yk_recipe *r)
{
    return strcmp(r->grpo_loss, "sequence") == 0;
}

static void weigh(void *context, const yk_batch *batch, const float *value, const float *entropy, float *weight, float *loss)
{
    grouped *x = context;
    (void)entropy;
    for (int64_t r = 0; r < batch->rows; r++) weight[r] = loss[r] = 0.0f;
    for (int64_t p = 0; p < x->places.n; p++) {
        const int64_t i = x->places.at[p].item;
        const yk_rollout *o = &x->x.item[i];
        const double share = a_sequence(x->r) ? 1 / (double)o->length : 1;
        for (int64_t t = o->sequence.prompt; t < (int64_t)o->sequence.ids.n; t++) {
            const int64_t row = x->places.at[p].row + t - 1;
            const yk_slope d = token_loss(x, i, t, (double)value[row]);
            weight[row] = (float)(-share * d.slope);
            loss[row] = (float)(share * d.loss);
            x->clipped += d.clipped;
            x->tokens++;
        }
    }
}

static yk_status learn(grouped *x, yk_error *err)
{
    yk_status st = YK_OK;
    const yk_objective objective = {.weigh = weigh, .context = x};
    const int64_t parts = x->r->grpo_minibatches, group = x->r->grpo_group, n = x->r->grpo_prompts;
    x->clipped = x->tokens = 0;
    for (int64_t u = 0; u < updates_a_step(x->r); u++) {
        const int64_t part = u % parts, last = (part + 1) * n / parts * group;
        x->first = part * n / parts * group;
        double tokens = 0;
        for (int64_t i = x->first; i < last; i++) tokens += (double)x->x.item[i].length;
        const yk_work work = {.items = last - x->first, .add = add_rollout, .passed = passed, .objective = &objective,
                              .context = x, .unit = a_sequence(x->r) ? (double)(last - x->first) : tokens > 0 ? tokens : 1};
        YK_TRY(yk_learner_step(&x->l, &work, err));
    }
done:
    return st;
}

static yk_status record(grouped *x, const means *m, double seconds, yk_error *err)
{
    json_t *row = yk_learner_row(&x->l, seconds);
    json_object_update_new(row, json_pack("{s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "reward", m->reward,
                                          "accuracy", m->accuracy, "format", m->format, "length_part", m->length_part,
                                          "language", m->language, "length", m->length, "ended", m->ended, "kl", m->kl,
                                          "entropy", m->entropy, "no_signal", m->no_signal, "clip_fraction",
                                          x->tokens > 0 ? x->clipped / x->tokens : 0, "generation_seconds", x->x.seconds));
    yk_progress("grpo       %lld/%lld  reward %.3f  %.0f %% right, %.0f %% well-formed  %.1f tokens",
                (long long)(x->l.step / updates_a_step(x->r)), (long long)x->r->grpo_steps, m->reward, 100 * m->accuracy,
                100 * m->format, m->length);
    return yk_metrics_add(&x->c.metrics, row, err);
}

static yk_status train_step(grouped *x, yk_error *err)
{
    yk_status st = YK_OK;
    const double began = yk_now();
    const int64_t step = x->l.step / updates_a_step(x->r);
    means m;
    YK_TRY(answer(x, step, err));
    YK_TRY(grade(x, &m, err));
    if (x->r->grpo_kl_limit > 0 && !(m.kl <= x->r->grpo_kl_limit))
        YK_FAIL(YK_ERR_NUMERIC, "the policy is %.2f nats a token from the reference, above grpo.kl_limit: step %lld is not taken. "
                "The last checkpoint in %s is good; raise grpo.kl or lower grpo.lr, remove that folder and run again", m.kl,
                (long long)step + 1, x->c.checkpoints);
    YK_TRY(learn(x, err));
    YK_TRY(record(x, &m, yk_now() - began, err));
    if (x->reference.weight && x->r->grpo_reference_every && (step + 1) % x->r->grpo_reference_every == 0)
        copy_weights(&x->c.s, x->reference.weight, x->l.weights.weight);
done:
    free_answers(x);
    return st;
}

/* --- the stage ------------------------------------------------------------------------------- */

static yk_status evaluate(grouped *x, bool shows, yk_error *err)
{
    yk_status st = YK_OK;
    YK_TRY(yk_problem_set_mark(&x->heldout, &x->c, x->decoder, &x->grader, x->r->grpo_tokens, shows ? x->r->grpo_samples : 0,
                               x->l.step, &x->now, err));
    if (x->l.step == 0) x->before = x->now;
    YK_TRY(yk_metrics_add(&x->c.metrics,
                          json_pack("{s:s, s:I, s:f, s:f, s:f}", "type", "eval", "step", (json_int_t)x->l.step, "accuracy",
                                    x->now.accuracy / x->now.n, "format", x->now.format / x->now.n, "length",
                                    x->now.tokens / x->now.n), err));
    yk_log("grpo       step %lld of %lld: held-out problems %.1f %% right, %.1f %% well-formed",
           (long long)(x->l.step / updates_a_step(x->r)), (long long)x->r->grpo_steps, 100 * x->now.accuracy / x->now.n,
           100 * x->now.format / x->now.n);
done:
    return st;
}

static yk_status save(grouped *x, yk_error *err)
{
    json_t *own = json_pack("{s:o, s:f, s:f, s:o}", "before", yk_marks_json(&x->heldout, &x->before), "generating",
                            x->generating, "generated", x->generated, "verifier", yk_grader_counts(&x->grader, x->counts));
    yk_status st = yk_learner_save_step(&x->l, own, err);
    json_decref(own);
    return st;
}

static yk_status resume(grouped *x, yk_error *err)
{
    json_t *d;
    yk_status st = yk_learner_resume(&x->l, &d, err);
    if (!d) return st;
    x->before = yk_marks_of_json(&x->heldout, json_object_get(d, "before"));
    x->generating = json_number_value(json_object_get(d, "generating"));
    x->generated = json_number_value(json_object_get(d, "generated"));
    x->counts = json_incref(json_object_get(d, "verifier"));
    json_decref(d);
    return st;
}

static yk_status loop(grouped *x, yk_error *err)
{
    yk_status st = YK_OK;
    const int64_t updates = updates_a_step(x->r), steps = x->r->grpo_steps;
    const int64_t every = x->r->grpo_eval_every ? x->r->grpo_eval_every : (steps + 3) / 4;
    if (x->l.step == 0) YK_TRY(evaluate(x, true, err));
    while (x->l.step < steps * updates && !yk_job_stops(x->c.job)) {
        YK_TRY(train_step(x, err));
        const int64_t step = x->l.step / updates;
        bool last = step == steps, due = x->r->grpo_checkpoint_every ? step % x->r->grpo_checkpoint_every == 0
                                                                     : yk_learner_save_is_due(&x->l);
        if (step % every == 0 && !last) YK_TRY(evaluate(x, false, err));
        if (last || due) YK_TRY(save(x, err));
    }
    if (x->l.step < steps * updates)
        YK_TRY(save(x, err));
    else
        YK_TRY(evaluate(x, true, err));
done:
    return st;
}

static json_t *summary_of(const grouped *x)
{
    const double all = x->generating + x->l.seconds;
    return json_pack("{s:I, s:I, s:I, s:f, s:f, s:f, s:f, s:o, s:f, s:f, s:f, s:f, s:o}", "steps", (json_int_t)x->r->grpo_steps,
                     "problems", (json_int_t)x->train.n, "heldout", (json_int_t)x->heldout.n, "accuracy_before",
                     x->before.accuracy / x->before.n, "accuracy_after", x->now.accuracy / x->now.n, "format_before",
                     x->before.format / x->before.n, "format_after", x->now.format / x->now.n, "by_kind",
                     yk_marks_by_kind(&x->heldout, &x->before, &x->now), "seconds", all, "generation_share",
                     all > 0 ? x->generating / all : 0, "rollout_tokens", x->generated, "rollout_tokens_per_s",
                     x->generating > 0 ? x->generated / x->generating : 0, "verifier", yk_grader_counts(&x->grader, x->counts));
}

yk_status yk_grpo_stage(const yk_job *job, bool *finished, yk_error *err)
{
    yk_status st = YK_OK;
    grouped x = {.r = job->recipe};
    char data[33];
    *finished = false;
    YK_TRY(yk_course_open(&x.c, job, "grpo", YK_COURSE_ROWS, false, err));
    YK_TRY(open_all(&x, data, err));
    YK_TRY(resume(&x, err));
    YK_TRY(yk_metrics_open(&x.c.metrics, x.c.dir, x.l.step, err));
    yk_log("grpo       %lld problems, %lld held out, %lld steps of %lld x %lld answers", (long long)x.train.n,
           (long long)x.heldout.n, (long long)x.r->grpo_steps, (long long)x.r->grpo_prompts, (long long)x.r->grpo_group);
    YK_TRY(loop(&x, err));
    if (x.l.step < x.r->grpo_steps * updates_a_step(x.r)) goto done;
    YK_TRY(yk_course_finish(&x.c, &x.l, false, summary_of(&x), err));
    *finished = true;
done:
    free_answers(&x);
    yk_decoder_free(x.decoder);
    yk_learner_close(&x.l);
    yk_deal_free(&x.deal);
    yk_places_free(&x.places);
    free(x.advantage);
    if (x.c.s.model) yk_weights_free(&x.reference, x.c.s.model);
    yk_problem_set_free(&x.train);
    yk_problem_set_free(&x.heldout);
    yk_grader_free(&x.grader);
    json_decref(x.counts);
    yk_course_close(&x.c);
    return st;
}
