/* The grpo stage: group relative policy optimisation on problems whose answers can be checked (Shao et al.,
 * DeepSeekMath, arXiv 2402.03300; DeepSeek-AI, DeepSeek-R1, arXiv 2501.12948). Several answers to a problem are
 * compared with each other, so that no value model is needed. */
#include "align/align.h"
#include "align/grading.h"
#include "align/grouped.h"
#include "align/losses.h"
#include "base/hash.h"
#include "base/log.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const keys[] = {"seed", "lanes", "precision", "numerics", "model.", "pretrain.", "sft.template",
                                   "verify.", "grpo.", NULL};

/* Means over the answers of a step, and over their tokens. */
typedef struct means {
    double reward, accuracy, format, length_part, language, length, ended;
    double kl, entropy; /* nats a token: k3 of the reference; -log p of what was drawn */
    double no_signal;   /* share of groups whose rewards are equal */
} means;

typedef struct grpo {
    yk_course c;
    const yk_recipe *r;
    yk_grader grader;
    json_t *counts; /* of the grader, of earlier processes */
    yk_problem_set train, heldout;
    yk_weights reference; /* none where both grpo.kl and grpo.kl_limit are 0 */
    yk_learner l;
    yk_decoder *decoder;
    yk_deal deal;
    yk_grouped g;
    double generating, scoring, generated; /* of all steps: seconds of answers, reference and verifier; tokens */
    yk_marks before, now;
    double kl, no_signal; /* of the last step */
    /* of the step */
    yk_rollouts x;
    float **logp;       /* of the reference */
    double *advantage;  /* [x.n] */
} grpo;

/* --- opening --------------------------------------------------------------------------------- */

static int64_t updates_a_step(const yk_recipe *r)
{
    return r->grpo_epochs * r->grpo_minibatches;
}

static yk_status open_learner(grpo *x, const char *data, yk_error *err)
{
    yk_status st = YK_OK;
    const yk_recipe *r = x->r;
    const yk_learner_options o = {.kind = "grpo", .folder = x->c.checkpoints, .keys = keys, .data = data,
                                  .schedule = {"cosine", r->grpo_lr, r->grpo_lr_end, r->grpo_warmup, 0,
                                               r->grpo_steps * updates_a_step(r)},
                                  .adamw = yk_adamw_of(r),
                                  .checkpoint_every = r->grpo_checkpoint_every * updates_a_step(r),
                                  .keep = r->pretrain_keep};
    YK_TRY(yk_learner_open(&x->l, x->c.job, &x->c.s, NULL, &o, err));
    if (r->grpo_kl <= 0 && r->grpo_kl_limit <= 0) goto done;
    YK_TRY(yk_weights_new(&x->reference, x->c.s.model, false, err));
    yk_weights_copy(x->c.s.model, x->reference.weight, x->l.weights.weight);
    yk_learner_also(&x->l, "reference.", x->reference.weight);
done:
    return st;
}

static yk_status open_all(grpo *x, char data[33], yk_error *err)
{
    yk_status st = YK_OK;
    const yk_recipe *r = x->r;
    YK_TRY(yk_grader_new(&x->grader, x->c.job, err));
    YK_TRY(yk_problem_set_read(&x->train, &x->c, &x->grader, &r->grpo_data, "grpo.data", "problems.train.jsonl",
                               r->grpo_bad_lines, err));
    YK_TRY(yk_problem_set_read(&x->heldout, &x->c, &x->grader, &r->grpo_heldout, "grpo.heldout",
                               "problems.heldout.jsonl", r->grpo_bad_lines, err));
    yk_hash128_join(x->train.examples.hash, x->heldout.examples.hash, data);
    YK_TRY(open_learner(x, data, err));
    int64_t answers = r->grpo_prompts * r->grpo_group;
    YK_TRY(yk_decoder_new(&x->decoder, &x->c.s, answers < YK_COURSE_SLOTS ? answers : YK_COURSE_SLOTS, x->c.context,
                          err));
    YK_TRY(yk_deal_new(&x->deal, (uint64_t)r->seed, YK_DEAL_GRPO, x->train.n, err));
    YK_NEW(x->advantage, answers);
    const double high = r->grpo_clip_high > 0 ? r->grpo_clip_high : r->grpo_clip;
    x->g.terms = (yk_grouped_terms){.low = r->grpo_clip, .high = high, .kl = r->grpo_kl,
                                    .by_sequence = strcmp(r->grpo_loss, "sequence") == 0};
done:
    return st;
}

/* --- answers and what they earn -------------------------------------------------------------- */

static yk_status answer(grpo *x, int64_t step, yk_error *err)
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
    if (!x->reference.weight) goto done;
    YK_TRY(yk_rollouts_rows(&x->x, &x->logp, err));
    const yk_weights policy = yk_model_use(s->model, x->reference);
    st = yk_rollouts_logp(&x->x, s, x->logp, err);
    yk_model_use(s->model, policy);
done:
    free(problem);
    return st;
}

static void free_answers(grpo *x)
{
    yk_rollouts_free(&x->x);
    free(x->logp);
    x->logp = NULL;
}

static void add_tokens(const grpo *x, means *m)
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

static yk_status grade(grpo *x, means *m, yk_error *err)
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
        if (!yk_group_advantages(reward + i, group, x->r->grpo_scale_by_std, x->advantage + i))
            m->no_signal += (double)group / n;
    add_tokens(x, m);
done:
    free(part);
    free(reward);
    return st;
}

/* --- learning -------------------------------------------------------------------------------- */

static yk_status learn(grpo *x, yk_error *err)
{
    yk_status st = YK_OK;
    const int64_t parts = x->r->grpo_minibatches, group = x->r->grpo_group, n = x->r->grpo_prompts;
    x->g.x = &x->x;
    x->g.reference = x->r->grpo_kl > 0 ? x->logp : NULL;
    x->g.advantage = x->advantage;
    x->g.clipped = x->g.tokens = 0;
    for (int64_t u = 0; u < updates_a_step(x->r); u++) {
        const int64_t part = u % parts, first = part * n / parts * group;
        YK_TRY(yk_grouped_step(&x->g, &x->l, first, (part + 1) * n / parts * group - first, err));
    }
done:
    return st;
}

static yk_status record(grpo *x, const means *m, double seconds, double learning, yk_error *err)
{
    json_t *row = yk_learner_row(&x->l, seconds);
    json_object_update_new(row, json_pack("{s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "reward",
                                          m->reward, "accuracy", m->accuracy, "format", m->format, "length_part",
                                          m->length_part, "language", m->language, "length", m->length, "ended",
                                          m->ended, "kl", m->kl, "entropy", m->entropy, "no_signal", m->no_signal,
                                          "clip_fraction", x->g.tokens > 0 ? x->g.clipped / x->g.tokens : 0,
                                          "generation_seconds", x->x.seconds, "learning_seconds", learning));
    yk_progress("grpo       %lld/%lld  reward %.3f  %.0f %% right, %.0f %% well-formed  %.1f tokens",
                (long long)(x->l.step / updates_a_step(x->r)), (long long)x->r->grpo_steps, m->reward,
                100 * m->accuracy, 100 * m->format, m->length);
    return yk_metrics_add(&x->c.metrics, row, err);
}

/* The policy has run away: what it was trained to until the last checkpoint is kept, and the run ends. */
static yk_status check_divergence(const grpo *x, const means *m, int64_t step, yk_error *err)
{
    if (x->r->grpo_kl_limit <= 0 || m->kl <= x->r->grpo_kl_limit) return YK_OK;
    return yk_fail(err, YK_ERR_NUMERIC, "the policy is %.2f nats a token from the reference, above grpo.kl_limit: "
                   "step %lld is not taken; raise grpo.kl or lower grpo.lr, remove %s, which has the checkpoints "
                   "before, and run again", m->kl, (long long)step + 1, x->c.dir);
}

static yk_status save(grpo *x, yk_error *err)
{
    json_t *own = json_pack("{s:o, s:o, s:{s:f, s:f, s:f, s:f, s:f}, s:o}", "before",
                            yk_marks_json(&x->heldout, &x->before), "now", yk_marks_json(&x->heldout, &x->now),
                            "so_far", "scoring", x->scoring, "generating", x->generating, "generated", x->generated,
                            "kl", x->kl, "no_signal", x->no_signal, "verifier",
                            yk_grader_counts(&x->grader, x->counts));
    yk_status st = yk_learner_save_step(&x->l, own, err);
    json_decref(own);
    return st;
}

/* *stops when the job does: then the answers, which may not be graded, are not learnt from. */
static yk_status train_step(grpo *x, bool *stops, yk_error *err)
{
    yk_status st = YK_OK;
    const double began = yk_now(), learned = x->l.seconds;
    const int64_t step = x->l.step / updates_a_step(x->r);
    means m;
    YK_TRY(answer(x, step, err));
    YK_TRY(grade(x, &m, err));
    const double scoring = yk_now() - began - x->x.seconds;
    YK_TRY(check_divergence(x, &m, step, err));
    *stops = yk_learner_stops(&x->l);
    /* now that the policy is known to be near enough */
    if (step > 0 && (*stops || yk_learner_save_is_due(&x->l))) YK_TRY(save(x, err));
    if (*stops) goto done;
    x->generating += x->x.seconds;
    x->generated += x->x.tokens;
    x->scoring += scoring;
    YK_TRY(learn(x, err));
    const double seconds = yk_now() - began;
    x->kl = m.kl;
    x->no_signal = m.no_signal;
    YK_TRY(record(x, &m, seconds, x->l.seconds - learned, err));
    if (x->reference.weight && x->r->grpo_reference_every && (step + 1) % x->r->grpo_reference_every == 0)
        yk_weights_copy(x->c.s.model, x->reference.weight, x->l.weights.weight);
done:
    free_answers(x);
    return st;
}

/* --- the stage ------------------------------------------------------------------------------- */

/* An evaluation that was cut is not recorded, and no checkpoint is saved after it. */
static yk_status evaluate(grpo *x, bool shows, bool *cut, yk_error *err)
{
    yk_status st = YK_OK;
    YK_TRY(yk_problem_set_mark(&x->heldout, &x->c, x->decoder, &x->grader, x->r->grpo_tokens,
                               shows ? x->r->grpo_samples : 0, x->l.step, &x->now, err));
    *cut = yk_grader_was_cut(&x->grader);
    if (*cut) goto done;
    if (x->l.step == 0) x->before = x->now;
    YK_TRY(yk_metrics_add(&x->c.metrics,
                          json_pack("{s:s, s:I, s:f, s:f, s:f}", "type", "eval", "step", (json_int_t)x->l.step,
                                    "accuracy", x->now.accuracy / x->now.n, "format", x->now.format / x->now.n,
                                    "length", x->now.tokens / x->now.n), err));
    yk_log("grpo       step %lld of %lld: held-out problems %.1f %% right, %.1f %% well-formed",
           (long long)(x->l.step / updates_a_step(x->r)), (long long)x->r->grpo_steps, 100 * x->now.accuracy / x->now.n,
           100 * x->now.format / x->now.n);
done:
    return st;
}

static yk_status resume(grpo *x, yk_error *err)
{
    json_t *d;
    yk_status st = yk_learner_resume(&x->l, &d, err);
    if (!d) return st;
    const json_t *so_far = json_object_get(d, "so_far");
    x->before = yk_marks_of_json(&x->heldout, json_object_get(d, "before"));
    x->now = yk_marks_of_json(&x->heldout, json_object_get(d, "now"));
    x->scoring = json_number_value(json_object_get(so_far, "scoring"));
    x->generating = json_number_value(json_object_get(so_far, "generating"));
    x->generated = json_number_value(json_object_get(so_far, "generated"));
    x->kl = json_number_value(json_object_get(so_far, "kl"));
    x->no_signal = json_number_value(json_object_get(so_far, "no_signal"));
    x->counts = json_incref(json_object_get(d, "verifier"));
    json_decref(d);
    return st;
}

static yk_status loop(grpo *x, yk_error *err)
{
    yk_status st = YK_OK;
    const int64_t updates = updates_a_step(x->r), steps = x->r->grpo_steps;
    const int64_t every = x->r->grpo_eval_every ? x->r->grpo_eval_every : (steps + 3) / 4;
    bool stops = false;
    if (x->l.step == steps * updates) goto done; /* resumed after the last step */
    if (x->l.step == 0) YK_TRY(evaluate(x, true, &stops, err));
    while (x->l.step < steps * updates && !stops) {
        YK_TRY(train_step(x, &stops, err));
        const int64_t step = x->l.step / updates;
        if (!stops && (step % every == 0 || step == steps)) YK_TRY(evaluate(x, step == steps, &stops, err));
    }
    if (!stops) YK_TRY(save(x, err));
done:
    return st;
}

static json_t *summary_of(const grpo *x)
{
    const yk_marks *before = &x->before, *after = &x->now;
    const double all = x->generating + x->scoring + x->l.seconds, unit = all > 0 ? all : 1;
    return json_pack("{s:I, s:I, s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:o, s:f, s:f, s:{s:f, s:f, s:f}, s:f, s:f, "
                     "s:o}", "steps", (json_int_t)x->r->grpo_steps, "problems", (json_int_t)x->train.n, "left_out",
                     (json_int_t)x->train.left_out, "heldout", (json_int_t)x->heldout.n, "accuracy_before",
                     before->accuracy / before->n, "accuracy_after", after->accuracy / after->n, "format_before",
                     before->format / before->n, "format_after", after->format / after->n, "kl", x->kl, "no_signal",
                     x->no_signal, "by_kind", yk_marks_by_kind(&x->heldout, before, after), "seconds", all,
                     "generation_share", x->generating / unit, "shares", "generation", x->generating / unit, "scoring",
                     x->scoring / unit, "learning", x->l.seconds / unit, "rollout_tokens", x->generated,
                     "rollout_tokens_per_s", x->generating > 0 ? x->generated / x->generating : 0, "verifier",
                     yk_grader_counts(&x->grader, x->counts));
}

yk_status yk_grpo_stage(const yk_job *job, bool *finished, yk_error *err)
{
    yk_status st = YK_OK;
    grpo x = {.r = job->recipe};
    char data[33];
    *finished = false;
    YK_TRY(yk_course_open(&x.c, job, "grpo", YK_COURSE_ROWS, false, err));
    YK_TRY(open_all(&x, data, err));
    YK_TRY(resume(&x, err));
    YK_TRY(yk_metrics_open(&x.c.metrics, x.c.comm, x.c.dir, x.l.step, err));
    yk_log("grpo       %lld problems, %lld held out, %lld steps of %lld x %lld answers", (long long)x.train.n,
           (long long)x.heldout.n, (long long)x.r->grpo_steps, (long long)x.r->grpo_prompts,
           (long long)x.r->grpo_group);
    YK_TRY(loop(&x, err));
    if (x.l.step < x.r->grpo_steps * updates_a_step(x.r) || yk_grader_was_cut(&x.grader)) goto done;
    YK_TRY(yk_course_finish(&x.c, &x.l, false, summary_of(&x), err));
    *finished = true;
done:
    free_answers(&x);
    yk_decoder_free(x.decoder);
    yk_learner_close(&x.l);
    yk_deal_free(&x.deal);
    free(x.advantage);
    if (x.c.s.model) yk_weights_free(&x.reference, x.c.s.model);
    yk_problem_set_free(&x.train);
    yk_problem_set_free(&x.heldout);
    yk_grader_free(&x.grader);
    json_decref(x.counts);
    yk_course_close(&x.c);
    return st;
}
