/* Attention under patterns beside that over all tokens. */
#include "cli/bench.h"

#include "base/half.h"
#include "base/log.h"
#include "base/rng.h"
#include "model/model.h"
#include "train/measure.h"

#include <math.h>
#include <stdio.h>

/* Of the layer: GPT-2's heads at a width of 512. */
enum { H = 8, D = 64, C = H * D, TOKENS = 8192, REPEATS = 5, MOST_REPEATS = 99, MOST_TOKENS = 1 << 20 };
enum { SELECT, FORWARD, BACKWARD, PARTS };

static const char *const type_name[YK_PRECISIONS] = {"fp32", "bf16", "fp16"};

typedef struct named_pattern {
    const char *name;
    yk_sparsity pattern;
} named_pattern;

/* The last: a little more than an eighth of the pairs. */
enum { PATTERNS = 5 };
static void patterns_of(int64_t T, named_pattern out[PATTERNS])
{
    const named_pattern all[PATTERNS] = {
        {"full", {0}},
        {"window 512", {.window = 512}},
        {"window 512, 64 global", {.window = 512, .global = 64}},
        {"window 256, stride 16", {.window = 256, .stride = 16}},
        {"an eighth selected", {.blocks = T / YK_KEY_BLOCK / 16 + 1}}};
    for (int i = 0; i < PATTERNS; i++) out[i] = all[i];
    if (out[4].pattern.blocks < 3) out[4].pattern.blocks = 3;
}

typedef struct layer {
    const yk_kernels *k;
    void *qkv, *o, *d_o, *scratch;
    float *lse, *dqkv;
    yk_chosen *selected;
} layer;

static void release(layer *x)
{
    void *const taken[] = {x->qkv, x->o, x->d_o, x->scratch, x->lse, x->dqkv, x->selected};
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) x->k->free(taken[i]);
}

static void fill(const yk_kernels *k, void *to, int64_t n, uint64_t number)
{
    const yk_rng rng = yk_rng_make(number, YK_STREAM_TEST, 0);
    for (int64_t i = 0; i < n; i++) {
        const float x = (float)yk_rng_normal(&rng, (uint64_t)i);
        if (k->precision == YK_FP32) ((float *)to)[i] = x;
        else ((uint16_t *)to)[i] = k->precision == YK_BF16 ? yk_to_bf16(x) : yk_to_fp16(x);
    }
}

static yk_status prepare(const yk_bench *b, const yk_kernels *k, int64_t T, layer *x, yk_error *err)
{
    const int64_t size = yk_type_size(k, YK_STORED), lists = T / YK_KEY_BLOCK * H * (T / YK_KEY_BLOCK / 16 + 3);
    *x = (layer){.k = k, .qkv = k->alloc(T * 3 * C * size), .o = k->alloc(T * C * size), .d_o = k->alloc(T * C * size),
                 .scratch = k->alloc(k->attention_scratch(&b->team, D)), .lse = k->alloc(T * H * 4),
                 .dqkv = k->alloc(T * 3 * C * 4), .selected = k->alloc(lists * (int64_t)sizeof *x->selected)};
    if (!x->qkv || !x->o || !x->d_o || !x->scratch || !x->lse || !x->dqkv || !x->selected)
        return yk_fail(err, YK_ERR_MEMORY, "--seq %lld: the layer needs more memory than can be had", (long long)T);
    fill(k, x->qkv, T * 3 * C, 1);
    fill(k, x->d_o, T * C, 2);
    return YK_OK;
}

static void run(const yk_bench *b, const layer *x, const yk_sparsity *pattern, int64_t T, double seconds[PARTS])
{
    const int64_t size = yk_type_size(x->k, YK_STORED);
    const yk_segment all = {.count = (int32_t)T, .keys = (int32_t)T, .causal = 1};
    yk_attention a = {.o = x->o, .lse = x->lse, .q = x->qkv, .k = (char *)x->qkv + C * size,
                      .v = (char *)x->qkv + 2 * C * size, .d_o = x->d_o, .dq = x->dqkv, .dk = x->dqkv + C,
                      .dv = x->dqkv + 2 * C, .segment = &all, .segments = 1, .heads = H, .kv_heads = H, .head_size = D,
                      .q_row = 3 * C, .k_row = 3 * C, .v_row = 3 * C, .o_row = C, .dq_row = 3 * C, .dkv_row = 3 * C,
                      .pattern = *pattern, .scale = 1.0f / sqrtf((float)D), .scratch = x->scratch};
    a.pattern.selected = x->selected;
    double began = yk_now();
    if (pattern->blocks > 0) x->k->attention_select(&b->team, &a);
    seconds[SELECT] = yk_now() - began;
    x->k->attention_forward(&b->team, &a);
    seconds[FORWARD] = yk_now() - began - seconds[SELECT];
    x->k->attention_backward(&b->team, &a);
    seconds[BACKWARD] = yk_now() - began - seconds[SELECT] - seconds[FORWARD];
}

/* All patterns by turns, so that what else the machine does meets them alike. */
static yk_status measure_type(const yk_bench *b, const yk_kernels *k, int64_t T, json_t *rows, yk_error *err)
{
    yk_status st = YK_OK;
    named_pattern p[PATTERNS];
    double t[PATTERNS][PARTS][MOST_REPEATS], sum[PATTERNS][MOST_REPEATS], now[PARTS];
    int repeats = b->repeats > 0 && b->repeats < MOST_REPEATS ? (int)b->repeats : REPEATS;
    layer x;
    patterns_of(T, p);
    YK_TRY(prepare(b, k, T, &x, err));
    for (int i = -1; i < repeats; i++)
        for (int j = 0; j < PATTERNS; j++) {
            run(b, &x, &p[j].pattern, T, now);
            for (int part = 0; i >= 0 && part < PARTS; part++) t[j][part][i] = now[part];
            if (i >= 0) sum[j][i] = now[SELECT] + now[FORWARD] + now[BACKWARD];
        }
    for (int j = 0; j < PATTERNS; j++) {
        double quicker[MOST_REPEATS];
        for (int i = 0; i < repeats; i++) quicker[i] = sum[0][i] / sum[j][i];
        const yk_model_shape shape = {.layers = 1, .pattern = p[j].pattern};
        json_array_append_new(
            rows, json_pack("{s:s, s:s, s:I, s:f, s:f, s:f, s:f, s:f}", "type", type_name[k->precision], "pattern",
                            p[j].name, "seq", (json_int_t)T, "density", yk_model_density(&shape, T), "select",
                            yk_median(t[j][SELECT], repeats), "forward", yk_median(t[j][FORWARD], repeats),
                            "backward", yk_median(t[j][BACKWARD], repeats), "quicker",
                            yk_median(quicker, repeats)));
    }
done:
    release(&x);
    return st;
}

static yk_status measure(const yk_bench *b, json_t *result, yk_error *err)
{
    yk_status st = YK_OK;
    const int64_t T = b->seq ? b->seq : TOKENS;
    json_t *rows = json_array();
    json_object_set_new(result, "rows", rows);
    if (T < 1 || T > MOST_TOKENS) YK_FAIL(YK_ERR_USAGE, "--seq %lld: from 1 to %d", (long long)T, MOST_TOKENS);
    for (int p = YK_FP32; p <= YK_BF16; p++) YK_TRY(measure_type(b, b->k[p], T, rows, err));
done:
    return st;
}

static double real_of(const json_t *x, const char *key)
{
    return json_real_value(json_object_get(x, key));
}

static void print(const json_t *result)
{
    size_t i;
    const json_t *row;
    printf("%d heads of %d, ms\n", H, D);
    printf("%-5s %-22s %8s %8s %8s %9s %9s\n", "type", "pattern", "pairs", "select", "forward", "backward", "as quick");
    json_array_foreach(json_object_get(result, "rows"), i, row)
        printf("%-5s %-22s %7.1f%% %8.1f %8.1f %9.1f %9.2f\n", json_string_value(json_object_get(row, "type")),
               json_string_value(json_object_get(row, "pattern")), 100 * real_of(row, "density"),
               1e3 * real_of(row, "select"), 1e3 * real_of(row, "forward"), 1e3 * real_of(row, "backward"),
               real_of(row, "quicker"));
}

const yk_bench_kind yk_bench_attention = {"attention", measure, print};
