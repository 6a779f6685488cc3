/* The whole decoder: gradients by finite differences, and what may not change the bits. */
#include "base/rng.h"
#include "model/model.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ROWS = 24, VOCAB = 50 };

static const yk_model_shape shapes[] = {
    {.vocab = VOCAB, .width = 32, .layers = 2, .heads = 2, .kv_heads = 1, .head_size = 16, .ffn = 48, .positions = 32,
     .qk_norm = true, .tied = true, .rope_theta = 1e4, .norm_eps = 1e-5, .init_std = 0.3, .score = true},
    {.vocab = VOCAB, .width = 16, .layers = 1, .heads = 2, .kv_heads = 2, .head_size = 32, .ffn = 32, .positions = 32,
     .qk_norm = false, .tied = false, .rope_theta = 1e4, .norm_eps = 1e-5, .init_std = 0.3,
     .score = true},
    {.vocab = VOCAB, .width = 32, .layers = 2, .heads = 2, .kv_heads = 2, .head_size = 16, .ffn = 64, .positions = 32,
     .tied = true, .layernorm = true, .gelu = true, .learned_positions = true, .bias = true, .norm_eps = 1e-5,
     .init_std = 0.2, .score = true},
    {.vocab = VOCAB, .width = 32, .layers = 2, .heads = 2, .kv_heads = 1, .head_size = 16, .ffn = 48, .positions = 32,
     .tied = true, .qkv_bias = true, .rope_theta = 1e4, .rope_factor = 8, .rope_original = 48, .norm_eps = 1e-5,
     .init_std = 0.3, .score = true},
    {.vocab = VOCAB, .width = 32, .layers = 2, .heads = 2, .kv_heads = 1, .head_size = 16, .ffn = 48, .positions = 32,
     .tied = true, .rope_theta = 1e4, .norm_eps = 1e-5, .init_std = 0.3, .score = true,
     .pattern = {.window = 3, .global = 2}, .full_every = 2},
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

static int32_t token[ROWS], target[ROWS], position[ROWS];
static float weight[ROWS];
static const yk_segment segments[] = {{0, 0, 0, 10, 10, 1}, {10, 10, 0, 4, 4, 1}, {14, 14, 0, 10, 10, 0}};

static yk_batch batch_of(int first, int count, yk_segment *moved)
{
    yk_batch b = {.token = token, .position = position, .target = target, .weight = weight, .segment = moved,
                  .segments = count};
    int row = segments[first].query;
    for (int i = 0; i < count; i++) {
        moved[i] = segments[first + i];
        moved[i].query -= row;
        moved[i].key -= row;
        b.rows += moved[i].count;
    }
    b.token += row, b.position += row, b.target += row, b.weight += row;
    return b;
}

static int set_up(void **state)
{
    (void)state;
    yk_rng r = yk_rng_make(5, YK_STREAM_TEST, 0);
    for (int s = 0; s < 3; s++)
        for (int i = 0; i < segments[s].count; i++) position[segments[s].query + i] = i;
    for (int i = 0; i < ROWS; i++) {
        token[i] = (int32_t)yk_rng_below(&r, 2 * (uint64_t)i, VOCAB);
        target[i] = (int32_t)yk_rng_below(&r, 2 * (uint64_t)i + 1, VOCAB);
        weight[i] = i % 5 == 4 ? 0.0f : 1.0f;
    }
    return 0;
}

static yk_model *make_in(yk_precision precision, int shape, const char *isa, int threads)
{
    yk_error err;
    yk_model *m = NULL;
    const yk_kernels *k;
    assert_int_equal(yk_kernels_pick(&k, isa, precision, &err), YK_OK);
    assert_int_equal(yk_model_new(&m, &shapes[shape], ROWS, true, k, &(yk_team){.threads = threads}, &err), YK_OK);
    yk_model_initialise(m, 3);
    return m;
}

static yk_model *make(int shape, const char *isa, int threads)
{
    return make_in(YK_FP32, shape, isa, threads);
}

/* What is learnt: the cross-entropy, or an objective: a sum of coefficient x value^2 over rows, of log-probabilities or
 * of scores; or a teacher's distributions. */
typedef enum learnt { ENTROPY, SQUARED_LOGP, SQUARED_SCORE, TAUGHT, LEARNT } learnt;

enum { LOGITS = ROWS * VOCAB };
static const float mix = 0.6f, temperature = 2;

/* A teacher's logits, made of each row's token. */
static const float *teacher_logits(void *context, const yk_batch *batch, int64_t first, int64_t rows)
{
    float *logits = context;
    for (int64_t i = 0; i < rows * VOCAB; i++) {
        const yk_rng rng = yk_rng_make(6, YK_STREAM_TEST, (uint64_t)batch->token[first + i / VOCAB]);
        logits[i] = (float)(2 * yk_rng_normal(&rng, (uint64_t)(i % VOCAB)));
    }
    return logits;
}

/* Losses of distillation by the kernel, from a forward pass alone. */
static void taught_losses(yk_model *m, const yk_batch *b, float *loss)
{
    static float logits[LOGITS], teacher[LOGITS];
    const yk_kernels *k;
    yk_error err;
    assert_int_equal(yk_kernels_pick(&k, NULL, YK_FP32, &err), YK_OK);
    yk_model_forward(m, b);
    yk_model_logits(m, b, 0, 7, logits);
    yk_model_logits(m, b, 7, b->rows - 7, logits + 7 * VOCAB);
    k->distillation(&(yk_team){.threads = 1},
                    &(yk_distillation){.logits = logits, .teacher = teacher_logits(teacher, b, 0, b->rows),
                                       .target = b->target, .weight = b->weight, .loss = loss, .rows = b->rows,
                                       .vocab = VOCAB, .mix = mix, .tau = temperature});
}

static double coefficient(int64_t row)
{
    return 0.3 + 0.1 * (double)(row % 7);
}

/* The rows of a micro-batch are a part of all rows: where it begins is the context. */
static void weigh(void *context, const yk_batch *batch, const float *value, const float *entropy, float *w, float *loss)
{
    int64_t first = *(const int64_t *)context;
    for (int64_t r = 0; r < batch->rows; r++) {
        bool counts = !entropy || batch->weight[r] != 0.0f;
        double c = counts ? coefficient(first + r) : 0, v = (double)value[r];
        w[r] = (float)(-2 * c * v);
        loss[r] = (float)(c * v * v);
        if (entropy) assert_true(entropy[r] >= -1e-4f && (double)entropy[r] <= log(VOCAB) + 1e-4);
    }
}

static double total_loss(yk_model *m, learnt what)
{
    float loss[ROWS];
    yk_segment s[3];
    yk_batch b = batch_of(0, 3, s);
    double sum = 0;
    if (what == SQUARED_SCORE)
        yk_model_score(m, &b, loss);
    else if (what == TAUGHT)
        taught_losses(m, &b, loss);
    else
        yk_model_evaluate(m, &b, loss, NULL, NULL);
    for (int i = 0; i < ROWS; i++) {
        double v = (double)loss[i];
        sum += what == ENTROPY || what == TAUGHT ? v : coefficient(i) * v * v;
    }
    return sum;
}

static void learn_in_parts(yk_model *m, learnt what, int parts, float *loss)
{
    yk_segment s[3];
    float w[ROWS], logits[LOGITS];
    const yk_teaching teaching = {teacher_logits, logits, mix, temperature};
    for (int first = 0; first < 3; first += 3 / parts) {
        yk_batch b = batch_of(first, 3 / parts, s);
        int64_t row = segments[first].query;
        const yk_objective o = {.score = what == SQUARED_SCORE, .weigh = weigh, .context = &row};
        if (what == ENTROPY)
            yk_model_train(m, &b, 0.0f, loss + row, NULL);
        else if (what == TAUGHT)
            yk_model_distil(m, &b, &teaching, loss + row);
        else
            yk_model_descend(m, &b, &o, w, loss + row);
    }
    yk_model_finish_gradients(m, 0, yk_model_floats(m));
}

static void train_in_parts(yk_model *m, int parts, float *loss)
{
    learn_in_parts(m, ENTROPY, parts, loss);
}

/* (loss(w + h u) - loss(w - h u)) / 2h for one parameter and a random direction u. */
static double central_difference(yk_model *m, learnt what, const yk_param *p, const float *keep, const yk_rng *u,
                                 double h)
{
    float *w = yk_model_weights(m) + p->offset;
    double side[2];
    for (int s = 0; s < 2; s++) {
        for (int64_t j = 0; j < p->count; j++)
            w[j] = (float)(keep[j] + (s ? -h : h) * yk_rng_normal(u, (uint64_t)j));
        side[s] = total_loss(m, what);
    }
    memcpy(w, keep, (size_t)p->count * sizeof *keep);
    return (side[0] - side[1]) / (2 * h);
}

/* The score head begins as zero, which would hide the gradient of all below it. */
static void set_score(yk_model *m, const yk_param *p, int count)
{
    const yk_rng rng = yk_rng_make(9, YK_STREAM_TEST, 77);
    float *w = yk_model_weights(m) + p[count - 1].offset;
    assert_string_equal(p[count - 1].name, YK_SCORE_NAME);
    for (int64_t j = 0; j < p[count - 1].count; j++) w[j] = (float)(0.3 * yk_rng_normal(&rng, (uint64_t)j));
}

/* Richardson's extrapolation of two steps against gradient . u, whose size is that of the gradient's norm. */
static void gradients_match_finite_differences(void **state)
{
    (void)state;
    for (int kind = 0; kind < SHAPES * LEARNT; kind++) {
        learnt what = (learnt)(kind / SHAPES);
        yk_model *m = make(kind % SHAPES, NULL, 2);
        float loss[ROWS];
        int count;
        const yk_param *p = yk_model_params(m, &count);
        if (what == SQUARED_SCORE) set_score(m, p, count);
        learn_in_parts(m, what, 1, loss);
        for (int i = 0; i < count; i++) {
            const float *g = yk_model_gradients(m) + p[i].offset;
            size_t bytes = (size_t)p[i].count * sizeof(float);
            float *keep = memcpy(malloc(bytes), yk_model_weights(m) + p[i].offset, bytes);
            yk_rng u = yk_rng_make(9, YK_STREAM_TEST, (uint64_t)i);
            double slope = 0, square = 0, h = 0.06 / sqrt((double)p[i].count);
            for (int64_t j = 0; j < p[i].count; j++) {
                slope += (double)g[j] * yk_rng_normal(&u, (uint64_t)j);
                square += (double)g[j] * (double)g[j];
            }
            double got = (4 * central_difference(m, what, &p[i], keep, &u, h / 2) -
                          central_difference(m, what, &p[i], keep, &u, h)) / 3;
            if (fabs(got - slope) > 1e-3 * (sqrt(square) + 1))
                fail_msg("%s: learning %d: finite difference %g, gradient %g", p[i].name, what, got, slope);
            free(keep);
        }
        yk_model_free(m);
    }
}

static void objectives_do_not_depend_on_the_micro_batch(void **state)
{
    (void)state;
    for (int kind = 0; kind < SHAPES * YK_PRECISIONS * LEARNT; kind++) {
        yk_model *m[2];
        float loss[2][ROWS];
        for (int i = 0; i < 2; i++) {
            int count;
            m[i] = make_in((yk_precision)(kind / SHAPES % YK_PRECISIONS), kind % SHAPES, i ? "portable" : NULL, i + 1);
            const yk_param *p = yk_model_params(m[i], &count);
            set_score(m[i], p, count);
            learn_in_parts(m[i], (learnt)(kind / SHAPES / YK_PRECISIONS), i ? 3 : 1, loss[i]);
        }
        assert_memory_equal(loss[1], loss[0], sizeof *loss);
        assert_memory_equal(yk_model_gradients(m[1]), yk_model_gradients(m[0]),
                            (size_t)yk_model_gradient_floats(m[0]) * sizeof(float));
        for (int i = 0; i < 2; i++) yk_model_free(m[i]);
    }
}

static void bits_do_not_depend_on_how_it_is_computed(void **state)
{
    (void)state;
    for (int shape = 0; shape < SHAPES * YK_PRECISIONS; shape++) {
        yk_precision precision = (yk_precision)(shape / SHAPES);
        yk_model *first = make_in(precision, shape % SHAPES, "portable", 1);
        float loss[ROWS], again[ROWS];
        train_in_parts(first, 1, loss);
        size_t bytes = (size_t)yk_model_gradient_floats(first) * sizeof(float);
        const yk_kernels *k;
        for (int t = 0; (k = yk_kernels_at(t, precision)); t++)
            for (int parts = 1; parts <= 3; parts += 2)
                for (int threads = 1; threads <= 5; threads += 2) {
                    if (!yk_kernels_runs_here(k)) continue;
                    yk_model *m = make_in(precision, shape % SHAPES, k->name, threads);
                    assert_memory_equal(yk_model_weights(m), yk_model_weights(first),
                                        (size_t)yk_model_floats(m) * sizeof(float));
                    train_in_parts(m, parts, again);
                    assert_memory_equal(again, loss, sizeof loss);
                    assert_memory_equal(yk_model_gradients(m), yk_model_gradients(first), bytes);
                    yk_model_free(m);
                }
        yk_model_free(first);
    }
}

/* Computing activations again gives the same bits and keeps less. */
static void recomputation_has_the_same_bits(void **state)
{
    (void)state;
    yk_error err;
    const yk_kernels *k;
    yk_model_shape deep = shapes[0];
    deep.layers = 5;
    assert_int_equal(yk_kernels_pick(&k, NULL, YK_FP32, &err), YK_OK);
    yk_model *all = NULL;
    float loss[ROWS], again[ROWS];
    assert_int_equal(yk_model_new(&all, &deep, ROWS, true, k, &(yk_team){.threads = 2}, &err), YK_OK);
    yk_model_initialise(all, 3);
    train_in_parts(all, 3, loss);
    int64_t most = yk_model_memory(all).activations;
    for (int policy = 0; policy < 4; policy++) { /* attention, block, every-2, every-7 */
        static const int64_t blocks[] = {0, 1, 2, 7};
        yk_model *m = NULL, *outline = NULL;
        deep.recompute_attention = policy == 0;
        deep.recompute_blocks = blocks[policy];
        assert_int_equal(yk_model_outline(&outline, &deep, ROWS, true, k, &(yk_team){.threads = 2}, &err), YK_OK);
        const yk_memory planned = yk_model_memory(outline);
        yk_model_free(outline);
        assert_int_equal(yk_model_new(&m, &deep, ROWS, true, k, &(yk_team){.threads = 2}, &err), YK_OK);
        assert_int_equal(yk_model_pack(m, true, &err), YK_OK);
        assert_int_equal(yk_memory_sum(yk_model_memory(m)), yk_memory_sum(planned));
        assert_true(policy == 3 || yk_model_memory(m).activations < most);
        yk_model_initialise(m, 3);
        train_in_parts(m, 3, again);
        assert_memory_equal(again, loss, sizeof loss);
        assert_memory_equal(yk_model_gradients(m), yk_model_gradients(all),
                            (size_t)yk_model_gradient_floats(all) * sizeof(float));
        yk_model_free(m);
    }
    yk_model_free(all);
}

/* Decoding token by token gives the losses of the training forward, bit for bit, with weights packed or not. */
static void decoding_has_the_bits_of_training(void **state)
{
    (void)state;
    yk_error err;
    for (int kind = 0; kind < 2 * SHAPES * YK_PRECISIONS; kind++) {
        yk_precision precision = (yk_precision)(kind / 2 / SHAPES);
        yk_model *m = make_in(precision, kind / 2 % SHAPES, NULL, 2);
        const yk_kernels *k;
        assert_int_equal(yk_kernels_pick(&k, NULL, precision, &err), YK_OK);
        float loss[ROWS], one[1], logits[VOCAB];
        yk_segment s[3];
        yk_batch whole = batch_of(0, 1, s);
        yk_model_evaluate(m, &whole, loss, NULL, NULL);
        if (kind % 2) assert_int_equal(yk_model_pack(m, false, &err), YK_OK);
        yk_cache cache;
        assert_int_equal(yk_cache_new(&cache, m, 16, &err), YK_OK);
        for (int32_t i = 0; i < segments[0].count; i++) {
            yk_segment now = {.query = 0, .key = 4, .first = i, .count = 1, .keys = i + 1, .causal = 1};
            int32_t row = 4 + i, wanted = 0;
            yk_batch b = {.rows = 1, .token = token + i, .position = position + i, .segment = &now, .segments = 1};
            yk_model_decode(m, &cache, &b, &row, &wanted, 1, logits);
            k->cross_entropy(&(yk_team){.threads = 1}, &(yk_cross_entropy){.logits = logits, .target = target + i,
                             .weight = weight + i, .loss = one, .rows = 1, .vocab = VOCAB});
            assert_memory_equal(one, loss + i, sizeof *one);
        }
        yk_cache_free(&cache, m);
        yk_model_free(m);
    }
}

/* A model that packs its weights trains as one that does not, also after they changed. */
static void packed_weights_have_the_same_bits(void **state)
{
    (void)state;
    yk_error err;
    for (int kind = 0; kind < SHAPES * YK_PRECISIONS; kind++) {
        yk_model *m[2];
        float loss[2][ROWS];
        for (int i = 0; i < 2; i++) m[i] = make_in((yk_precision)(kind / SHAPES), kind % SHAPES, NULL, 2);
        for (int step = 0; step < 2; step++) {
            assert_int_equal(yk_model_pack(m[1], true, &err), YK_OK);
            assert_true(yk_model_memory(m[1]).packed_back > 0);
            for (int i = 0; i < 2; i++) {
                train_in_parts(m[i], 3, loss[i]);
                for (int64_t j = 0; j < yk_model_floats(m[i]); j++)
                    yk_model_weights(m[i])[j] -= 0.1f * yk_model_gradients(m[i])[j];
                yk_model_weights_changed(m[i]);
            }
            assert_memory_equal(loss[1], loss[0], sizeof *loss);
            assert_memory_equal(yk_model_gradients(m[1]), yk_model_gradients(m[0]),
                                (size_t)yk_model_gradient_floats(m[0]) * sizeof(float));
        }
        for (int i = 0; i < 2; i++) yk_model_free(m[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_match_finite_differences),
        cmocka_unit_test(objectives_do_not_depend_on_the_micro_batch),
        cmocka_unit_test(bits_do_not_depend_on_how_it_is_computed),
        cmocka_unit_test(recomputation_has_the_same_bits),
        cmocka_unit_test(decoding_has_the_bits_of_training),
        cmocka_unit_test(packed_weights_have_the_same_bits),
    };
    return cmocka_run_group_tests_name("model", tests, set_up, NULL);
}
