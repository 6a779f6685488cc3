/* Loss, gradients and 20 steps of AdamW against the same model in PyTorch (tests/peers/reference.py), on every table. */
#include "model/model.h"
#include "optim/optim.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ROWS = 32, VOCAB = 61, PROBES = 3, STEPS = 20 };
static const double TOLERANCE = 1e-4;

#include "reference_values.h"

typedef struct reference {
    const char *name;
    yk_model_shape shape;
    double loss;
    const double (*gradients)[1 + PROBES];
    const double *training;
} reference;

#define SHAPE(C, L, H, K, D, F, norm, tie)                                                                            \
    {.vocab = VOCAB, .width = C, .layers = L, .heads = H, .kv_heads = K, .head_size = D, .ffn = F, .positions = ROWS, \
     .qk_norm = norm, .tied = tie, .rope_theta = 1e4, .norm_eps = 1e-5, .init_std = 0.02}
#define REFERENCE(name, ...) {#name, SHAPE(__VA_ARGS__), name##_loss, name##_gradients, name##_training}

static const reference references[] = {
    REFERENCE(dense_tied, 32, 2, 2, 2, 16, 48, false, true),
    REFERENCE(grouped_free, 48, 2, 4, 2, 16, 96, false, false),
    REFERENCE(qk_norm_tied, 32, 1, 4, 1, 32, 64, true, true),
    {"gpt2", {.vocab = VOCAB, .width = 32, .layers = 2, .heads = 2, .kv_heads = 2, .head_size = 16, .ffn = 128,
              .positions = ROWS, .tied = true, .layernorm = true, .gelu = true, .learned_positions = true, .bias = true,
              .norm_eps = 1e-5}, gpt2_loss, gpt2_gradients, gpt2_training},
    REFERENCE(deep_free, 16, 4, 2, 1, 16, 32, true, false),
};
enum { REFERENCES = sizeof references / sizeof *references };

static const yk_segment segments[] = {{0, 0, 0, 14, 14, 1}, {14, 14, 0, 6, 6, 1}, {20, 20, 0, 12, 12, 0}};
static int32_t token[ROWS], target[ROWS], position[ROWS];
static float weight[ROWS];

/* The i-th number of a stream, in [-0.5, 0.5): `numbers` of reference.py. */
static double number(uint32_t stream, uint32_t i)
{
    uint32_t x = i * 2654435761u + stream * 974711u + 12345u;
    x ^= x >> 16;
    x *= 2246822519u;
    x ^= x >> 13;
    x *= 3266489917u;
    x ^= x >> 16;
    return (double)(x >> 8) / 0x1p24 - 0.5;
}

static int set_up(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < ROWS; i++) {
        token[i] = (int32_t)((number(1, i) + 0.5) * VOCAB);
        target[i] = (int32_t)((number(2, i) + 0.5) * VOCAB);
        weight[i] = i % 5 == 4 ? 0.0f : 1.0f;
    }
    for (int s = 0; s < 3; s++)
        for (int i = 0; i < segments[s].count; i++) position[segments[s].query + i] = i;
    return 0;
}

static yk_model *make(const reference *x, const yk_kernels *k)
{
    yk_error err;
    yk_model *m = NULL;
    assert_int_equal(yk_model_new(&m, &x->shape, ROWS, true, k, &(yk_team){.threads = 2}, &err), YK_OK);
    int count;
    const yk_param *p = yk_model_params(m, &count);
    for (int i = 0; i < count; i++)
        for (int64_t j = 0; j < p[i].count; j++) {
            double u = number(100 + (uint32_t)i, (uint32_t)j);
            yk_model_weights(m)[p[i].offset + j] = (float)(p[i].rank == 1 ? u * 0.4 + 1.0 : u * 0.6);
        }
    return m;
}

/* Returns the sum of losses; gradients accumulate. */
static double train(yk_model *m)
{
    float loss[ROWS];
    double sum = 0;
    yk_batch b = {.rows = ROWS, .token = token, .position = position, .target = target, .weight = weight,
                  .segment = segments, .segments = 3};
    yk_model_train(m, &b, 1e-4f, loss, NULL);
    yk_model_finish_gradients(m);
    for (int i = 0; i < ROWS; i++) sum += (double)loss[i];
    return sum;
}

static void check(const char *what, const char *where, double got, double wanted, double unit)
{
    if (!(fabs(got - wanted) <= TOLERANCE * unit))
        fail_msg("%s, %s: %.9g, PyTorch has %.9g", where, what, got, wanted);
}

static void check_gradients(const reference *x, const yk_model *m, const char *isa)
{
    int count;
    const yk_param *p = yk_model_params(m, &count);
    for (int i = 0; i < count; i++) {
        const float *g = yk_model_gradients((yk_model *)m) + p[i].offset;
        double square = 0, product[PROBES] = {0}, length[PROBES] = {0};
        for (int64_t j = 0; j < p[i].count; j++) {
            square += (double)g[j] * (double)g[j];
            for (int k = 0; k < PROBES; k++) {
                double u = number(1000 + 10 * (uint32_t)i + (uint32_t)k, (uint32_t)j);
                product[k] += (double)g[j] * u;
                length[k] += u * u;
            }
        }
        const double *wanted = x->gradients[i];
        char where[160];
        snprintf(where, sizeof where, "%s on %s", x->name, isa);
        check(p[i].name, where, sqrt(square), wanted[0], wanted[0]);
        for (int k = 0; k < PROBES; k++)
            check(p[i].name, where, product[k], wanted[1 + k], wanted[0] * sqrt(length[k] / (double)p[i].count));
    }
}

static void loss_and_gradients_agree(void **state)
{
    (void)state;
    const yk_kernels *k;
    for (int t = 0; (k = yk_kernels_at(t, YK_FP32)); t++)
        for (int i = 0; yk_kernels_runs_here(k) && i < REFERENCES; i++) {
            yk_model *m = make(&references[i], k);
            check("loss", references[i].name, train(m), references[i].loss, references[i].loss);
            check_gradients(&references[i], m, k->name);
            yk_model_free(m);
        }
}

static void twenty_steps_of_adamw_agree(void **state)
{
    (void)state;
    yk_error err;
    const yk_kernels *k;
    const yk_schedule schedule = {.kind = "cosine", .peak = 5e-3, .end = 0.1, .warmup = 0.1, .steps = STEPS};
    const yk_adamw_options adamw = {.beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .decay = 0.1, .clip = 1.0};
    double targets = 0, norm;
    for (int i = 0; i < ROWS; i++) targets += (double)weight[i];
    assert_int_equal(yk_kernels_pick(&k, NULL, YK_FP32, &err), YK_OK);
    for (int i = 0; i < REFERENCES; i++) {
        yk_model *m = make(&references[i], k);
        yk_optimiser o;
        assert_int_equal(yk_optimiser_new(&o, m, k, &adamw, &err), YK_OK);
        for (int step = 1; step <= STEPS; step++) {
            double loss = train(m) / targets;
            check("loss of a step", references[i].name, loss, references[i].training[step - 1], loss);
            double rate = yk_learning_rate(&schedule, step);
            assert_true(yk_optimiser_step(&o, k, &(yk_team){.threads = 2}, 1 / targets, rate, step, &norm));
        }
        yk_optimiser_free(&o, k);
        yk_model_free(m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loss_and_gradients_agree),
        cmocka_unit_test(twenty_steps_of_adamw_agree),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
