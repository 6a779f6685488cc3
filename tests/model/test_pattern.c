/* A decoder whose layers see a part of their tokens, on documents of several blocks. */
#include "base/rng.h"
#include "model/model.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ROWS = 600, FIRST = 330, VOCAB = 50, BLOCK = YK_KEY_BLOCK };

static const struct { yk_sparsity pattern; int64_t full_every; } kinds[] = {
    {{.window = 70}, 2}, {{.window = 20, .global = 5}, 0}, {{.window = 30, .global = 3, .stride = 2}, 0},
    {{.blocks = 3}, 0}, {{.blocks = 4}, 2}};
enum { KINDS = sizeof kinds / sizeof *kinds };

static int32_t token[ROWS], target[ROWS], position[ROWS];
static float weight[ROWS];
static const yk_segment documents[] = {{0, 0, 0, FIRST, FIRST, 1}, {FIRST, FIRST, 0, ROWS - FIRST, ROWS - FIRST, 0}};

static yk_model_shape shape_of(int kind)
{
    return (yk_model_shape){.vocab = VOCAB, .width = 32, .layers = 2, .heads = 4, .kv_heads = 2, .head_size = 16,
                            .ffn = 48, .positions = FIRST, .qk_norm = true, .tied = true, .rope_theta = 1e4,
                            .norm_eps = 1e-5, .init_std = 0.3, .pattern = kinds[kind].pattern,
                            .full_every = kinds[kind].full_every};
}

static int set_up(void **state)
{
    (void)state;
    const yk_rng r = yk_rng_make(5, YK_STREAM_TEST, 0);
    for (int i = 0; i < ROWS; i++) {
        token[i] = (int32_t)yk_rng_below(&r, 2 * (uint64_t)i, VOCAB);
        target[i] = (int32_t)yk_rng_below(&r, 2 * (uint64_t)i + 1, VOCAB);
        position[i] = i < FIRST ? i : i - FIRST;
        weight[i] = i % 5 == 4 ? 0.0f : 1.0f;
    }
    return 0;
}

static yk_model *make(yk_precision precision, int kind, const char *isa, int threads)
{
    yk_error err;
    yk_model *m = NULL;
    const yk_kernels *k;
    const yk_model_shape shape = shape_of(kind);
    assert_int_equal(yk_kernels_pick(&k, isa, precision, &err), YK_OK);
    assert_int_equal(yk_model_new(&m, &shape, ROWS, true, k, &(yk_team){.threads = threads}, &err), YK_OK);
    yk_model_initialise(m, 3);
    return m;
}

/* Documents first to last, from row 0 on. */
static yk_batch batch_of(int first, int last, yk_segment *moved)
{
    const int32_t row = documents[first].query;
    yk_batch b = {.token = token + row, .position = position + row, .target = target + row, .weight = weight + row,
                  .segment = moved, .segments = last - first + 1};
    for (int i = first; i <= last; i++) {
        moved[i - first] = documents[i];
        moved[i - first].query -= row;
        moved[i - first].key -= row;
        b.rows += documents[i].count;
    }
    return b;
}

static void train(yk_model *m, bool apart, float *loss)
{
    yk_segment s[2];
    yk_batch b = batch_of(0, apart ? 0 : 1, s);
    yk_model_train(m, &b, 0.0f, loss, NULL);
    if (apart) {
        b = batch_of(1, 1, s);
        yk_model_train(m, &b, 0.0f, loss + FIRST, NULL);
    }
    yk_model_finish_gradients(m, 0, yk_model_floats(m));
}

static double loss_of(yk_model *m)
{
    float loss[ROWS];
    yk_segment s[2];
    const yk_batch b = batch_of(0, 1, s);
    double sum = 0;
    yk_model_evaluate(m, &b, loss, NULL, NULL);
    for (int i = 0; i < ROWS; i++) sum += (double)loss[i];
    return sum;
}

/* Along a random direction of one parameter; Richardson's extrapolation of two central differences. */
static void check_gradient(yk_model *m, const yk_param *p, uint64_t number)
{
    float *w = yk_model_weights(m) + p->offset;
    const float *g = yk_model_gradients(m) + p->offset;
    float *keep = memcpy(malloc((size_t)p->count * sizeof *w), w, (size_t)p->count * sizeof *w);
    const yk_rng u = yk_rng_make(9, YK_STREAM_TEST, number);
    double slope = 0, square = 0, difference[2];
    for (int half = 0; half < 2; half++) {
        double h = (half ? 2e-3 : 4e-3) / sqrt((double)p->count), side[2];
        for (int s = 0; s < 2; s++) {
            for (int64_t j = 0; j < p->count; j++)
                w[j] = (float)((double)keep[j] + (s ? -h : h) * yk_rng_normal(&u, (uint64_t)j));
            side[s] = loss_of(m);
        }
        difference[half] = (side[0] - side[1]) / (2 * h);
    }
    memcpy(w, keep, (size_t)p->count * sizeof *w);
    for (int64_t j = 0; j < p->count; j++) {
        slope += (double)g[j] * yk_rng_normal(&u, (uint64_t)j);
        square += (double)g[j] * (double)g[j];
    }
    double got = (4 * difference[1] - difference[0]) / 3;
    if (fabs(got - slope) > 2e-2 * (sqrt(square) + 1))
        fail_msg("%s: finite difference %g, gradient %g, norm %g", p->name, got, slope, sqrt(square));
    free(keep);
}

/* A step is so small that no selection changes with it. */
static void gradients_match_finite_differences(void **state)
{
    (void)state;
    for (int kind = 0; kind < KINDS; kind++) {
        float loss[ROWS];
        int count;
        yk_model *m = make(YK_FP32, kind, NULL, 2);
        const yk_param *p = yk_model_params(m, &count);
        train(m, false, loss);
        for (int i = 0; i < count; i++) check_gradient(m, &p[i], (uint64_t)i);
        yk_model_free(m);
    }
}

static void bits_do_not_depend_on_how_it_is_computed(void **state)
{
    (void)state;
    for (int kind = 0; kind < KINDS * YK_PRECISIONS; kind++) {
        const yk_precision precision = (yk_precision)(kind / KINDS);
        float loss[ROWS], again[ROWS];
        const yk_kernels *k;
        yk_model *first = make(precision, kind % KINDS, "portable", 1);
        train(first, false, loss);
        for (int t = 0; (k = yk_kernels_at(t, precision)); t++) {
            if (!yk_kernels_runs_here(k)) continue;
            yk_model *m = make(precision, kind % KINDS, k->name, 1 + t);
            train(m, t % 2 == 0, again);
            assert_memory_equal(again, loss, sizeof loss);
            assert_memory_equal(yk_model_gradients(m), yk_model_gradients(first),
                                (size_t)yk_model_gradient_floats(m) * sizeof(float));
            yk_model_free(m);
        }
        yk_model_free(first);
    }
}

/* The first document in parts of `part` tokens, from key row `key` of the cache on: logits of each of its rows. */
static void decode(yk_model *m, int32_t part, int32_t key, float *logits)
{
    yk_error err;
    yk_cache cache;
    int32_t row[FIRST], wanted[FIRST];
    assert_int_equal(yk_cache_new(&cache, m, key + FIRST, &err), YK_OK);
    for (int32_t i = 0; i < FIRST; i += part) {
        const int32_t n = FIRST - i < part ? FIRST - i : part;
        const yk_segment s = {.query = 0, .key = key, .first = i, .count = n, .keys = i + n, .causal = 1};
        const yk_batch b = {.rows = n, .token = token + i, .position = position + i, .segment = &s, .segments = 1};
        for (int32_t j = 0; j < n; j++) row[j] = key + i + j, wanted[j] = j;
        yk_model_decode(m, &cache, &b, row, wanted, n, logits + i * VOCAB);
    }
    yk_cache_free(&cache, m);
}

static void decoding_has_the_bits_of_training(void **state)
{
    (void)state;
    static const struct { int32_t part, key; } ways[] = {{1, 0}, {1, 77}, {50, 5}, {64, 130}};
    float *whole = malloc(FIRST * VOCAB * sizeof *whole), *parts = malloc(FIRST * VOCAB * sizeof *parts);
    for (int kind = 0; kind < KINDS * YK_PRECISIONS; kind++) {
        yk_model *m = make((yk_precision)(kind / KINDS), kind % KINDS, NULL, 2);
        yk_segment s[2];
        const yk_batch b = batch_of(0, 0, s);
        yk_model_forward(m, &b);
        yk_model_logits(m, &b, 0, FIRST, whole);
        for (size_t w = 0; w < sizeof ways / sizeof *ways; w++) {
            decode(m, ways[w].part, ways[w].key, parts);
            assert_memory_equal(parts, whole, FIRST * VOCAB * sizeof *whole);
        }
        yk_model_free(m);
    }
    free(whole);
    free(parts);
}

/* Pairs of query and key that are counted one by one. */
static double pairs(const yk_sparsity *p, int seq)
{
    double n = 0;
    for (int t = 0; t < seq; t++)
        for (int s = 0; s <= t; s++) {
            bool sees = p->blocks ? t / BLOCK < p->blocks || s / BLOCK == t / BLOCK || s / BLOCK < p->blocks - 1
                                  : t - s < p->window || s < p->global ||
                                        (p->stride && (t / BLOCK - s / BLOCK) % p->stride == 0);
            n += sees ? s == t ? 0.5 : 1 : 0;
        }
    return n;
}

static void density_is_the_share_of_pairs(void **state)
{
    (void)state;
    for (int kind = 0; kind < KINDS; kind++)
        for (int seq = 1; seq < 700; seq += 99) {
            const yk_model_shape shape = shape_of(kind);
            double share = pairs(&shape.pattern, seq) / (seq * (double)seq / 2);
            if (kinds[kind].full_every == 2) share = (share + 1) / 2;
            assert_true(fabs(yk_model_density(&shape, seq) - share) < 1e-12);
        }
    assert_true(yk_model_density(&(yk_model_shape){.layers = 3}, 1000) == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_match_finite_differences),
        cmocka_unit_test(bits_do_not_depend_on_how_it_is_computed),
        cmocka_unit_test(decoding_has_the_bits_of_training),
        cmocka_unit_test(density_is_the_share_of_pairs),
    };
    return cmocka_run_group_tests_name("patterns", tests, set_up, NULL);
}
