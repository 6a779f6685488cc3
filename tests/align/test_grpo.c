/* Group relative policy optimisation: advantages, the objective and its gradient, and what may not change its bits. */
#include "../train/small.h"
#include "align/grouped.h"
#include "align/losses.h"

#include <math.h>

enum { PROBLEMS = 6, GROUP = 4, ANSWERS = PROBLEMS * GROUP, TOKENS = 12 };

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

/* Answers of a small model to small problems, with rewards and a reference that are made up. */
typedef struct answers {
    small x;
    yk_course c;
    yk_rollouts r;
    float **reference;
    double advantage[ANSWERS];
} answers;

static void answers_open(answers *a, int64_t rows, int threads, const char *const *more)
{
    static const char *const prompt[PROBLEMS] = {"What is 3 + 4?", "The rain", "If you have 12 apples", "give 5", "7",
                                                 "Sum: 3"};
    static yk_turn turn[PROBLEMS];
    static yk_example example[PROBLEMS];
    const yk_example *problem[PROBLEMS];
    yk_error err;
    yk_decoder *d;
    small_open(&a->x, &(yk_session_options){.rows = rows, .training = true}, threads, more);
    a->c = (yk_course){.r = &a->x.r, .context = a->x.r.pretrain_seq};
    must(yk_chat_new(&a->c.chat, "chatml", a->x.s.tokenizer, &err), &err);
    for (int i = 0; i < PROBLEMS; i++) {
        turn[i] = (yk_turn){YK_USER, prompt[i]};
        example[i] = (yk_example){.turn = &turn[i], .turns = 1};
        problem[i] = &example[i];
    }
    yk_sampling how = yk_sampling_of(&a->x.s);
    how.temperature = 1, how.tokens = TOKENS, how.seed = 8;
    must(yk_decoder_new(&d, &a->x.s, 5, a->c.context, &err), &err);
    must(yk_rollouts_make(&a->r, &a->c, d, problem, PROBLEMS, GROUP, &how, 0, &err), &err);
    must(yk_rollouts_rows(&a->r, &a->reference, &err), &err);
    yk_decoder_free(d);
    const yk_rng rng = yk_rng_make(4, YK_STREAM_TEST, 2);
    for (int64_t i = 0; i < ANSWERS; i++) {
        const yk_rollout *o = &a->r.item[i];
        a->advantage[i] = i / GROUP == 2 ? 0 : yk_rng_normal(&rng, (uint64_t)i);
        for (size_t t = 0; t < o->sequence.ids.n; t++)
            a->reference[i][t] = o->logp[t] + 0.3f * (float)yk_rng_normal(&rng, (uint64_t)(1000 + 100 * i) + t);
    }
}

static void answers_close(answers *a)
{
    yk_rollouts_free(&a->r);
    free(a->reference);
    yk_chat_free(a->c.chat);
    small_close(&a->x);
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
            yk_session_clear(&a.x.s);
            assert_int_equal(yk_rollout_add(&a.r.item[i], &a.x.s), 0);
            const yk_batch b = yk_session_batch(&a.x.s);
            const yk_objective o = {.weigh = compare_values, .context = &a.r.item[i]};
            yk_model_descend(a.x.s.model, &b, &o, a.x.s.weight, a.x.s.loss);
            tokens += a.r.item[i].length;
        }
        assert_true(tokens > ANSWERS * TOKENS / 2);
        answers_close(&a);
    }
}

/* --- steps ----------------------------------------------------------------------------------- */

typedef struct stepper {
    yk_job job;
    yk_learner l;
    yk_grouped g;
} stepper;

static void stepper_open(stepper *s, answers *a, double rate, bool by_sequence, bool reference)
{
    yk_error err;
    static const char *const keys[] = {"seed", NULL};
    *s = (stepper){.job = {.recipe = &a->x.r, .dir = a->x.dir, .team = &a->x.team}};
    const yk_learner_options o = {.kind = "test", .folder = a->x.dir, .keys = keys, .data = "",
                                  .schedule = {"constant", rate, 1, 0, 0, 10}, .adamw = yk_adamw_of(&a->x.r)};
    must(yk_learner_open(&s->l, &s->job, &a->x.s, NULL, &o, &err), &err);
    s->g = (yk_grouped){.terms = {.low = 0.2, .high = 0.28, .kl = 0.1, .by_sequence = by_sequence}, .x = &a->r,
                        .reference = reference ? a->reference : NULL, .advantage = a->advantage};
}

static void stepper_close(stepper *s)
{
    yk_learner_close(&s->l);
}

/* The sum that a step descends, not divided, by the forward pass alone. */
static double total_loss(answers *a, const stepper *s)
{
    double total = 0;
    float weight[TOKENS], loss[TOKENS], *logp[ANSWERS], room[ANSWERS][128];
    yk_error err;
    for (int i = 0; i < ANSWERS; i++) logp[i] = room[i];
    must(yk_rollouts_logp(&a->r, &a->x.s, logp, &err), &err);
    for (int i = 0; i < ANSWERS; i++) {
        const yk_rollout *o = &a->r.item[i];
        const int64_t from = o->sequence.prompt;
        const yk_grouped_answer one = {o->logp + from, a->reference[i] + from, o->length, a->advantage[i]};
        yk_grouped_weigh(&s->g.terms, &one, logp[i] + from, weight, loss);
        for (int64_t t = 0; t < o->length; t++) total += (double)loss[t];
    }
    return total;
}

/* (loss(w + h u) - loss(w - h u)) / 2h for one parameter and a random direction u. */
static double central_difference(answers *a, const stepper *s, const yk_param *p, const float *keep, const yk_rng *u,
                                 double h)
{
    float *w = yk_model_weights(a->x.s.model) + p->offset;
    double side[2];
    for (int k = 0; k < 2; k++) {
        const double by = k ? -h : h;
        for (int64_t j = 0; j < p->count; j++) w[j] = (float)((double)keep[j] + by * yk_rng_normal(u, (uint64_t)j));
        yk_model_weights_changed(a->x.s.model);
        side[k] = total_loss(a, s);
    }
    memcpy(w, keep, (size_t)p->count * sizeof *keep);
    yk_model_weights_changed(a->x.s.model);
    return (side[0] - side[1]) / (2 * h);
}

/* Without clipping and decay the first moment is (1 - beta1) times the gradient of the mean. */
static void compare_slopes(answers *a, const stepper *s, double unit)
{
    int count;
    const yk_param *p = yk_model_params(a->x.s.model, &count);
    for (int i = 0; i < count; i++) {
        const float *m = s->l.optimiser.m + p[i].offset;
        size_t bytes = (size_t)p[i].count * sizeof(float);
        float *keep = memcpy(malloc(bytes), yk_model_weights(a->x.s.model) + p[i].offset, bytes);
        const yk_rng u = yk_rng_make(9, YK_STREAM_TEST, (uint64_t)i);
        double slope = 0, square = 0, h = 0.02 / sqrt((double)p[i].count);
        for (int64_t j = 0; j < p[i].count; j++) {
            const double g = (double)m[j] * unit / (1 - s->l.o.adamw.beta1);
            slope += g * yk_rng_normal(&u, (uint64_t)j);
            square += g * g;
        }
        const double coarse = central_difference(a, s, &p[i], keep, &u, h);
        const double got = (4 * central_difference(a, s, &p[i], keep, &u, h / 2) - coarse) / 3;
        if (fabs(got - slope) > 5e-3 * (sqrt(square) + 1))
            fail_msg("%s: finite difference %g, gradient %g", p[i].name, got, slope);
        free(keep);
    }
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
        for (int64_t i = 0; i < ANSWERS; i++)
            for (size_t t = 0; t < a.r.item[i].sequence.ids.n; t++) a.r.item[i].logp[t] += drift[(i + (int64_t)t) % 4];
        stepper_open(&s, &a, 0, by_sequence, true);
        s.l.optimiser.o.clip = 0;
        must(yk_grouped_step(&s.g, &s.l, 0, ANSWERS, &err), &err);
        assert_true(s.g.clipped > 0.02 * s.g.tokens && s.g.clipped < 0.5 * s.g.tokens);
        const double unit = by_sequence ? ANSWERS : s.g.tokens;
        assert_true(fabs(s.l.loss * unit - total_loss(&a, &s)) < 1e-4);
        compare_slopes(&a, &s, unit);
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
        const int64_t floats = yk_model_floats(a.x.s.model);
        const float *w = yk_model_weights(a.x.s.model), *m = s.l.optimiser.m;
        float *keep = memcpy(malloc((size_t)floats * sizeof *w), w, (size_t)floats * sizeof *w);
        double promised = 0, before = total_loss(&a, &s);
        must(yk_grouped_step(&s.g, &s.l, 0, ANSWERS, &err), &err);
        for (int64_t j = 0; j < floats; j++) promised += (double)m[j] * ((double)w[j] - (double)keep[j]);
        promised *= (kind % 2 ? ANSWERS : s.g.tokens) / (1 - s.l.o.adamw.beta1);
        double gained = total_loss(&a, &s) - before;
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
            yk_learner_digest(&s.l, digest[way]);
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
