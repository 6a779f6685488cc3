/* Group relative policy optimisation: advantages, the objective and its gradient, and what may not change its bits. */
#include "slopes.h"

#include "align/grouped.h"
#include "align/losses.h"

static void advantages_are_as_defined(void **state)
{
    (void)state;
    const yk_rng rng = yk_rng_make(3, YK_STREAM_TEST, 1);
    for (int n = 2; n <= 64; n++) {
        double reward[64], advantage[64], plain[64];
        long double mean = 0, variance = 0;
        for (int i = 0; i < n; i++) reward[i] = (double)(i == 0) + 0.2 * yk_rng_normal(&rng, (uint64_t)(64 * n + i));
        for (int i = 0; i < n; i++) mean += (long double)reward[i] / n;
        for (int i = 0; i < n; i++) variance += ((long double)reward[i] - mean) * ((long double)reward[i] - mean) / n;
        assert_true(yk_group_advantages(reward, n, true, advantage));
        assert_true(yk_group_advantages(reward, n, false, plain));
        for (int i = 0; i < n; i++) {
            assert_true(fabs(plain[i] - (double)((long double)reward[i] - mean)) < 1e-13);
            assert_true(fabs(advantage[i] - (double)(((long double)reward[i] - mean) / sqrtl(variance))) < 1e-12);
        }
        for (int i = 0; i < n; i++) reward[i] = 1.2;
        assert_false(yk_group_advantages(reward, n, true, advantage));
        for (int i = 0; i < n; i++) assert_true(advantage[i] == 0);
    }
}

/* A token whose ratio, advantage and clip are known. */
static void clipping_takes_the_slope_away(void **state)
{
    (void)state;
    static const struct {
        double ratio, advantage, loss, slope;
        int64_t clipped;
    } cases[] = {{1, 2, -2, -2, 0},     {1.1, 2, -2.2, -2.2, 0}, {1.5, 2, -2.56, 0, 1},     {0.5, 2, -1, -1, 0},
                 {1.5, -1, 1.5, 1.5, 0}, {0.9, -1, 0.9, 0.9, 0},  {0.5, -1, 0.8, 0, 1}};
    const yk_grouped_terms o = {.low = 0.2, .high = 0.28, .kl = 0.5};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const float old = -3, logp = old + (float)log(cases[i].ratio), reference = logp + 0.7f;
        float weight, loss;
        yk_grouped_answer a = {.old = &old, .n = 1, .advantage = cases[i].advantage};
        assert_int_equal(yk_grouped_weigh(&o, &a, &logp, &weight, &loss), cases[i].clipped);
        assert_true(fabs((double)loss - cases[i].loss) < 1e-6 && fabs((double)weight + cases[i].slope) < 1e-6);
        a.reference = &reference;
        yk_grouped_weigh(&o, &a, &logp, &weight, &loss);
        assert_true(fabs((double)loss - cases[i].loss - 0.5 * (exp(0.7) - 0.7 - 1)) < 1e-6);
        assert_true(fabs((double)weight + cases[i].slope + 0.5 * (1 - exp(0.7))) < 1e-6);
    }
}

/* Answers with rewards and a reference that are made up. */
typedef struct answers {
    made_answers m;
    float **reference;
    double advantage[ANSWERS];
} answers;

static void answers_open(answers *a, int64_t rows, int threads, const char *const *more)
{
    yk_error err;
    made_answers_open(&a->m, &(yk_session_options){.rows = rows, .training = true}, threads, more);
    must(yk_rollouts_rows(&a->m.r, &a->reference, &err), &err);
    const yk_rng rng = yk_rng_make(4, YK_STREAM_TEST, 2);
    for (int64_t i = 0; i < ANSWERS; i++) {
        const yk_rollout *o = &a->m.r.item[i];
        a->advantage[i] = i / GROUP == 2 ? 0 : yk_rng_normal(&rng, (uint64_t)i);
        for (size_t t = 0; t < o->sequence.ids.n; t++)
            a->reference[i][t] = o->logp[t] + 0.3f * (float)yk_rng_normal(&rng, (uint64_t)(1000 + 100 * i) + t);
    }
}

static void answers_close(answers *a)
{
    free(a->reference);
    made_answers_close(&a->m);
}

/* What the training forward gives where an answer was generated. */
static void compare_values(void *context, const yk_batch *batch, const float *value, const float *entropy,
                           float *weight, float *loss)
{
    const yk_rollout *o = context;
    (void)entropy;
    for (int64_t r = 0; r < batch->rows; r++) weight[r] = loss[r] = 0.0f;
    assert_memory_equal(value + o->sequence.prompt - 1, o->logp + o->sequence.prompt,
                        (size_t)o->length * sizeof *value);
}

static void the_first_ratio_is_one(void **state)
{
    (void)state;
    static const char *const kinds[][2] = {{"precision=fp32", NULL}, {"precision=bf16", NULL}};
    for (int k = 0; k < 2; k++) {
        answers a;
        answers_open(&a, 200, 2, kinds[k]);
        int64_t tokens = 0;
        for (int i = 0; i < ANSWERS; i++) {
            yk_session_clear(&a.m.x.s);
            assert_int_equal(yk_rollout_add(&a.m.r.item[i], &a.m.x.s), 0);
            const yk_batch b = yk_session_batch(&a.m.x.s);
            const yk_objective o = {.weigh = compare_values, .context = &a.m.r.item[i]};
            yk_model_descend(a.m.x.s.model, &b, &o, a.m.x.s.weight, a.m.x.s.loss);
            tokens += a.m.r.item[i].length;
        }
        assert_true(tokens > ANSWERS * TOKENS / 2);
        answers_close(&a);
    }
}

/* --- steps ----------------------------------------------------------------------------------- */

typedef struct stepper {
    answers *a;
    yk_learner l;
    yk_grouped g;
} stepper;

static void stepper_open(stepper *s, answers *a, double rate, bool by_sequence, bool reference)
{
    *s = (stepper){.a = a};
    made_learner_open(&s->l, &a->m, NULL, rate);
    s->g = (yk_grouped){.terms = {.low = 0.2, .high = 0.28, .kl = 0.1, .by_sequence = by_sequence}, .x = &a->m.r,
                        .reference = reference ? a->reference : NULL, .advantage = a->advantage};
}

static void stepper_close(stepper *s)
{
    yk_learner_close(&s->l);
}

/* The sum that a step descends, not divided, by the forward pass alone. */
static double total_loss(const void *context)
{
    const stepper *s = context;
    answers *a = s->a;
    double total = 0;
    float weight[TOKENS], loss[TOKENS], *logp[ANSWERS], room[ANSWERS][128];
    yk_error err;
    for (int i = 0; i < ANSWERS; i++) logp[i] = room[i];
    must(yk_rollouts_logp(&a->m.r, &a->m.x.s, logp, &err), &err);
    for (int i = 0; i < ANSWERS; i++) {
        const yk_rollout *o = &a->m.r.item[i];
        const int64_t from = o->sequence.prompt;
        const yk_grouped_answer one = {o->logp + from, a->reference[i] + from, o->length, a->advantage[i]};
        yk_grouped_weigh(&s->g.terms, &one, logp[i] + from, weight, loss);
        for (int64_t t = 0; t < o->length; t++) total += (double)loss[t];
    }
    return total;
}

/* Away from the policy that made the answers, where some tokens are clipped, and none is near the edge of it. */
static void gradients_match_finite_differences(void **state)
{
    (void)state;
    static const float drift[] = {-0.5f, -0.05f, 0.05f, 0.5f};
    for (int by_sequence = 0; by_sequence < 2; by_sequence++) {
        answers a;
        stepper s;
        yk_error err;
        answers_open(&a, 200, 1, (const char *const[]){"model.init_std=0.1", NULL});
        for (int64_t i = 0; i < ANSWERS; i++) {
            yk_rollout *o = &a.m.r.item[i];
            for (size_t t = 0; t < o->sequence.ids.n; t++) o->logp[t] += drift[(i + (int64_t)t) % 4];
        }
        stepper_open(&s, &a, 0, by_sequence, true);
        s.l.optimiser.o.clip = 0;
        must(yk_grouped_step(&s.g, &s.l, 0, ANSWERS, &err), &err);
        assert_true(s.g.clipped > 0.02 * s.g.tokens && s.g.clipped < 0.5 * s.g.tokens);
        const double unit = by_sequence ? ANSWERS : s.g.tokens;
        assert_true(fabs(s.l.loss * unit - total_loss(&s)) < 1e-4);
        compare_slopes(&(descent){&s.l, unit, total_loss, &s});
        stepper_close(&s);
        answers_close(&a);
    }
}

/* The loss on the same answers falls by what the gradient promises, in bf16 as in fp32. */
static void a_step_gains_what_it_promises(void **state)
{
    (void)state;
    static const char *const kinds[][3] = {{"model.init_std=0.1", "precision=fp32", NULL},
                                           {"model.init_std=0.1", "precision=bf16", NULL}};
    for (int kind = 0; kind < 4; kind++) {
        answers a;
        stepper s;
        yk_error err;
        answers_open(&a, 200, 1, kinds[kind / 2]);
        stepper_open(&s, &a, 3e-4, kind % 2, false);
        s.g.terms.kl = 0;
        s.l.optimiser.o.clip = 0;
        const int64_t floats = yk_model_floats(a.m.x.s.model);
        const float *w = yk_model_weights(a.m.x.s.model), *m = s.l.optimiser.m;
        float *keep = memcpy(malloc((size_t)floats * sizeof *w), w, (size_t)floats * sizeof *w);
        double promised = 0, before = total_loss(&s);
        must(yk_grouped_step(&s.g, &s.l, 0, ANSWERS, &err), &err);
        for (int64_t j = 0; j < floats; j++) promised += (double)m[j] * ((double)w[j] - (double)keep[j]);
        promised *= (kind % 2 ? ANSWERS : s.g.tokens) / (1 - s.l.o.adamw.beta1);
        double gained = total_loss(&s) - before;
        if (!(promised < 0 && fabs(gained / promised - 1) < 0.2)) fail_msg("promised %g, gained %g", promised, gained);
        free(keep);
        stepper_close(&s);
        answers_close(&a);
    }
}

/* Few rows a pass or many, threads and sets. */
static void bits_do_not_depend_on_the_micro_batch(void **state)
{
    (void)state;
    static const int64_t rows[] = {1200, 66, 130, 200};
    static const char *const kinds[][3] = {{"precision=fp32", NULL}, {"precision=bf16", "lanes=2", NULL}};
    for (int kind = 0; kind < 4; kind++) {
        char digest[4][33];
        for (int way = 0; way < 4; way++) {
            answers a;
            stepper s;
            yk_error err;
            setenv("YOKE_ISA", way == 3 ? "portable" : "", 1);
            answers_open(&a, rows[way], way % 3 + 1, kinds[kind / 2]);
            unsetenv("YOKE_ISA");
            stepper_open(&s, &a, 1e-2, kind % 2, kind == 1 || kind == 2);
            for (int step = 0; step < 2; step++) must(yk_grouped_step(&s.g, &s.l, 0, ANSWERS, &err), &err);
            must(yk_grouped_step(&s.g, &s.l, GROUP, 2 * GROUP, &err), &err);
            yk_learner_digest(&s.l, digest[way], &err);
            assert_true(s.g.clipped > 0);
            stepper_close(&s);
            answers_close(&a);
            assert_string_equal(digest[way], digest[0]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(advantages_are_as_defined),
        cmocka_unit_test(clipping_takes_the_slope_away),
        cmocka_unit_test(the_first_ratio_is_one),
        cmocka_unit_test(gradients_match_finite_differences),
        cmocka_unit_test(a_step_gains_what_it_promises),
        cmocka_unit_test(bits_do_not_depend_on_the_micro_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
