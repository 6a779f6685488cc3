/* Loss, gradients and 20 steps of AdamW against the same model in PyTorch (tests/peers/reference.py), on
 * every table. */
#include "reference.h"
#include "reference_values.h"

#include "optim/optim.h"

#define REFERENCE(name, ...) {#name, SHAPE(__VA_ARGS__), name##_loss, name##_gradients, name##_training}

static const reference references[] = {
    REFERENCE(dense_tied, 32, 2, 2, 2, 16, 48, false, true),
    REFERENCE(grouped_free, 48, 2, 4, 2, 16, 96, false, false),
    REFERENCE(qk_norm_tied, 32, 1, 4, 1, 32, 64, true, true),
    {"gpt2", {.vocab = VOCAB, .width = 32, .layers = 2, .heads = 2, .kv_heads = 2, .head_size = 16, .ffn = 128,
              .positions = ROWS, .tied = true, .layernorm = true, .gelu = true, .learned_positions = true, .bias = true,
              .norm_eps = 1e-5}, gpt2_loss, gpt2_gradients, gpt2_training},
    REFERENCE(deep_free, 16, 4, 2, 1, 16, 32, true, false),
    {"qkv_bias", {.vocab = VOCAB, .width = 32, .layers = 2, .heads = 2, .kv_heads = 1, .head_size = 16, .ffn = 48,
                  .positions = ROWS, .tied = true, .qkv_bias = true, .rope_theta = 1e4, .rope_factor = 8,
                  .rope_original = 48, .norm_eps = 1e-5}, qkv_bias_loss, qkv_bias_gradients, qkv_bias_training},
    {"window", {.vocab = VOCAB, .width = 32, .layers = 2, .heads = 4, .kv_heads = 2, .head_size = 16, .ffn = 48,
                .positions = ROWS, .qk_norm = true, .tied = true, .rope_theta = 1e4, .norm_eps = 1e-5,
                .pattern = {.window = 4}, .full_every = 2}, window_loss, window_gradients, window_training},
    {"global_tokens", {.vocab = VOCAB, .width = 32, .layers = 2, .heads = 2, .kv_heads = 1, .head_size = 16, .ffn = 48,
                       .positions = ROWS, .rope_theta = 1e4, .norm_eps = 1e-5, .pattern = {.window = 3, .global = 2}},
     global_tokens_loss, global_tokens_gradients, global_tokens_training},
};
enum { REFERENCES = sizeof references / sizeof *references };

/* Returns the sum of losses; gradients accumulate. */
static double train(yk_model *m)
{
    float loss[ROWS];
    double sum = 0;
    yk_batch b = {.rows = ROWS, .token = token, .position = position, .target = target, .weight = weight,
                  .segment = segments, .segments = 3};
    yk_model_train(m, &b, 1e-4f, loss, NULL);
    yk_model_finish_gradients(m, 0, yk_model_floats(m));
    for (int i = 0; i < ROWS; i++) sum += (double)loss[i];
    return sum;
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
        assert_int_equal(yk_optimiser_new(&o, m, k, &adamw, NULL, &err), YK_OK);
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
