/* Proximal policy optimisation: what experience is, the gradients of both objectives, what may not change their bits,
 * and the control of the divergence. */
#include "slopes.h"

#include "align/gae.h"
#include "align/kl_control.h"
#include "align/losses.h"
#include "align/proximal.h"

enum { LONGEST = 128 };

/* Experience of a small policy; the reference is near it, reward and value models are other random ones. */
typedef struct world {
    made_answers m;
    yk_experience e;
    yk_weights reference, reward, value;
    yk_learner policy, critic;
    yk_proximal p;
} world;

static const yk_credit credit = {.kl = 0.1, .mean = 0.3, .std = 1.7, .gamma = 0.98, .lambda = 0.9};

/* The policy's weights with noise, and a score head. */
static void near_policy(world *w, yk_weights *near, bool training, uint64_t number)
{
    yk_error err;
    const yk_model *m = w->m.x.s.model;
    const yk_rng rng = yk_rng_make(5, YK_STREAM_TEST, number);
    int count;
    const yk_param *p = yk_model_params(m, &count);
    must(yk_weights_new(near, m, training, &err), &err);
    yk_weights_copy(m, near->weight, yk_model_weights(m));
    for (int i = 0; i < count; i++)
        for (int64_t j = 0; j < p[i].count; j++)
            near->weight[p[i].offset + j] += (strcmp(p[i].name, YK_SCORE_NAME) == 0 ? 0.5f : 0.02f) *
                                             (float)yk_rng_normal(&rng, (uint64_t)(p[i].offset + j));
}

static void world_open(world *w, int64_t rows, int threads, double rate, const char *const *more)
{
    yk_error err;
    *w = (world){0};
    made_answers_open(&w->m, &(yk_session_options){.rows = rows, .training = true, .score = true}, threads, more);
    near_policy(w, &w->reference, false, 1);
    near_policy(w, &w->reward, false, 2);
    near_policy(w, &w->value, true, 3);
    w->e.x = w->m.r;
    w->m.r = (yk_rollouts){0};
    must(yk_experience_score(&w->e, &w->m.x.s, w->reference, w->reward, 0.7, &err), &err);
    must(yk_experience_estimate(&w->e, &w->m.x.s, w->value, &credit, &err), &err);
    made_learner_open(&w->policy, &w->m, NULL, rate);
    made_learner_open(&w->critic, &w->m, &w->value, rate);
    w->p = (yk_proximal){.clip = 0.2, .value_clip = 0.2, .e = &w->e};
}

static void world_close(world *w)
{
    yk_learner_close(&w->policy);
    yk_learner_close(&w->critic);
    yk_experience_free(&w->e);
    yk_weights_free(&w->reference, w->m.x.s.model);
    yk_weights_free(&w->reward, w->m.x.s.model);
    yk_weights_free(&w->value, w->m.x.s.model);
    made_answers_close(&w->m);
}

typedef yk_status (*rows_fn)(const yk_rollouts *x, yk_session *s, float **out, yk_error *err);

/* Of all ids by the weights, through whatever passes. */
static float **by(const world *w, yk_weights weights, rows_fn rows)
{
    yk_error err;
    float **out;
    yk_session *s = (yk_session *)&w->m.x.s;
    const yk_weights before = yk_model_use(s->model, weights);
    must(yk_rollouts_rows(&w->e.x, &out, &err), &err);
    must(rows(&w->e.x, s, out, &err), &err);
    yk_model_use(s->model, before);
    return out;
}

static void near(double found, double wanted)
{
    if (!(fabs(found - wanted) <= 1e-5 * (1 + fabs(wanted)))) fail_msg("found %.9g, wanted %.9g", found, wanted);
}

/* The discounted sum of an answer's deltas from its id t on. */
static double advantage_of(const world *w, int64_t i, int64_t t)
{
    const yk_rollout *o = &w->e.x.item[i];
    const int64_t end = (int64_t)o->sequence.ids.n;
    double sum = 0;
    for (int64_t u = end - 1; u >= t; u--) {
        double reward = -credit.kl * ((double)o->logp[u] - (double)w->e.reference[i][u]);
        if (u == end - 1) reward += (w->e.score[i] - credit.mean) / credit.std;
        const double next = u + 1 < end ? (double)w->e.value[i][u + 1] : 0;
        sum = reward + credit.gamma * next - (double)w->e.value[i][u] + credit.gamma * credit.lambda * sum;
    }
    return sum;
}

static void experience_is_as_defined(void **state)
{
    (void)state;
    world w;
    world_open(&w, 200, 2, 0, NULL);
    float **score = by(&w, w.reward, yk_rollouts_score), **value = by(&w, w.value, yk_rollouts_score);
    float **reference = by(&w, w.reference, yk_rollouts_logp);
    double raw[ANSWERS * TOKENS], white[ANSWERS * TOKENS], mean = 0, square = 0, kl = 0;
    int64_t n = 0;
    for (int64_t i = 0; i < ANSWERS; i++) {
        const yk_rollout *o = &w.e.x.item[i];
        const int64_t end = (int64_t)o->sequence.ids.n;
        near(w.e.score[i], (double)score[i][end - 1] - (o->ended ? 0 : 0.7));
        for (int64_t t = o->sequence.prompt; t < end; t++, n++) {
            assert_true(w.e.value[i][t] == value[i][t - 1] && w.e.reference[i][t] == reference[i][t]);
            raw[n] = advantage_of(&w, i, t);
            white[n] = (double)w.e.advantage[i][t];
            near((double)w.e.target[i][t], raw[n] + (double)w.e.value[i][t]);
            kl += ((double)o->logp[t] - (double)reference[i][t]) / ANSWERS;
        }
    }
    for (int64_t k = 0; k < n; k++) mean += raw[k] / (double)n;
    for (int64_t k = 0; k < n; k++) square += (raw[k] - mean) * (raw[k] - mean) / (double)n;
    for (int64_t k = 0; k < n; k++) near(white[k], (raw[k] - mean) / sqrt(square));
    near(yk_experience_means_of(&w.e).kl, kl);
    near(yk_experience_means_of(&w.e).length, (double)n / ANSWERS);
    free(score);
    free(value);
    free(reference);
    world_close(&w);
}

static double total(const world *w, float **value, bool policy)
{
    double sum = 0;
    for (int64_t i = 0; i < ANSWERS; i++)
        for (int64_t t = w->e.x.item[i].sequence.prompt; t < (int64_t)w->e.x.item[i].sequence.ids.n; t++) {
            const double old = policy ? (double)w->e.x.item[i].logp[t] : (double)w->e.value[i][t];
            const yk_slope d = policy ? yk_policy_loss((double)value[i][t], old, (double)w->e.advantage[i][t], 0.2, 0.2)
                                      : yk_value_loss((double)value[i][t - 1], old, (double)w->e.target[i][t], 0.2);
            sum += d.loss;
        }
    free(value);
    return sum;
}

static double policy_total(const void *context)
{
    const world *w = context;
    return total(w, by(w, w->policy.weights, yk_rollouts_logp), true);
}

static double value_total(const void *context)
{
    const world *w = context;
    return total(w, by(w, w->value, yk_rollouts_score), false);
}

/* Away from what made the experience, where some ids are clipped, and none is near the edge of it. */
static void gradients_match_finite_differences(void **state)
{
    (void)state;
    static const float drift[] = {-0.5f, -0.05f, 0.05f, 0.5f};
    world w;
    yk_error err;
    uint64_t order[ANSWERS];
    world_open(&w, 200, 1, 0, (const char *const[]){"model.init_std=0.1", NULL});
    for (int64_t i = 0; i < ANSWERS; i++) {
        order[i] = (uint64_t)((i * 7) % ANSWERS);
        for (size_t t = 0; t < w.e.x.item[i].sequence.ids.n; t++) {
            w.e.x.item[i].logp[t] += drift[(i + (int64_t)t) % 4];
            w.e.value[i][t] += drift[(i / 2 + (int64_t)t) % 4];
        }
    }
    w.policy.optimiser.o.clip = w.critic.optimiser.o.clip = 0;
    must(yk_proximal_step(&w.p, &w.policy, &w.critic, order, ANSWERS, &err), &err);
    assert_true(w.p.clipped > 0.02 * w.p.tokens && w.p.clipped < 0.5 * w.p.tokens);
    assert_true(fabs(w.policy.loss * w.p.tokens - policy_total(&w)) < 1e-4);
    assert_true(fabs(w.critic.loss * w.p.tokens - value_total(&w)) < 1e-4);
    compare_slopes(&(descent){&w.policy, w.p.tokens, policy_total, &w});
    compare_slopes(&(descent){&w.critic, w.p.tokens, value_total, &w});
    world_close(&w);
}

/* Few rows a pass or many, threads and sets. */
static void bits_do_not_depend_on_the_micro_batch(void **state)
{
    (void)state;
    static const int64_t rows[] = {1200, 66, 130, 200};
    static const char *const kinds[][3] = {{"precision=fp32", NULL}, {"precision=bf16", "lanes=2", NULL}};
    for (int kind = 0; kind < 2; kind++) {
        char digest[4][2][33];
        for (int way = 0; way < 4; way++) {
            world w;
            yk_error err;
            uint64_t order[ANSWERS];
            setenv("YOKE_ISA", way == 3 ? "portable" : "", 1);
            world_open(&w, rows[way], way % 3 + 1, 1e-2, kinds[kind]);
            unsetenv("YOKE_ISA");
            for (uint64_t i = 0; i < ANSWERS; i++) order[i] = i * 5 % ANSWERS;
            for (int part = 0; part < 4; part++)
                must(yk_proximal_step(&w.p, &w.policy, &w.critic, order + part % 2 * 10, 14, &err), &err);
            assert_true(w.p.clipped > 0);
            yk_learner_digest(&w.policy, digest[way][0], &err);
            yk_learner_digest(&w.critic, digest[way][1], &err);
            world_close(&w);
            assert_string_equal(digest[way][0], digest[0][0]);
            assert_string_equal(digest[way][1], digest[0][1]);
        }
    }
}

static void the_coefficient_follows_the_divergence(void **state)
{
    (void)state;
    yk_kl_control c = {.coefficient = 0.5, .target = 4, .horizon = 1000};
    yk_kl_control_update(&c, 4.4, 100);
    near(c.coefficient, 0.5 * 1.01);
    yk_kl_control_update(&c, 40, 100); /* clipped */
    near(c.coefficient, 0.5 * 1.01 * 1.02);
    yk_kl_control_update(&c, 0, 50);
    near(c.coefficient, 0.5 * 1.01 * 1.02 * 0.99);
    c = (yk_kl_control){.coefficient = 0.5, .target = 0, .horizon = 1};
    yk_kl_control_update(&c, 40, 100);
    assert_true(c.coefficient == 0.5);
    /* A horizon, in batches large or small, is a factor of e^0.2 at most. */
    for (int64_t n = 1; n <= 100; n *= 10) {
        c = (yk_kl_control){.coefficient = 1, .target = 1, .horizon = 1000};
        for (int64_t done = 0; done < 1000; done += n) yk_kl_control_update(&c, 9, n);
        assert_true(c.coefficient > 1.218 && c.coefficient < exp(0.2));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(experience_is_as_defined),
        cmocka_unit_test(gradients_match_finite_differences),
        cmocka_unit_test(bits_do_not_depend_on_the_micro_batch),
        cmocka_unit_test(the_coefficient_follows_the_divergence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
