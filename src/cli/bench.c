/* Measures the machine and the kernels; the peak itself here, the rest in bench_*.c. */
#include "cli/bench.h"

#include "base/log.h"
#include "cli/cli.h"
#include "simd/fast.h"
#include "train/measure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REPEATS = 7, STREAM = 64 << 20 }; /* floats */

static bool take(void *context, int key, const char *text)
{
    yk_bench *o = context;
    switch (key) {
    case 'j': o->json = true; break;
    case 'T': o->threads = atol(text); break;
    case 'm': o->model = text; break;
    case 'b': o->batch = atol(text); break;
    case 't': o->seq = atol(text); break;
    case 'u': o->micro_batch = atol(text); break;
    case 'n': o->repeats = atol(text); break;
    case 'p': o->precision = text; break;
    case 'r': o->recompute = text; break;
    case 'a': o->against = text; break;
    case 'f': o->profile = text; break;
    default:
        if (key != 0 || o->what) return false;
        o->what = text;
    }
    return true;
}

typedef struct stream {
    float *x;
    double *sink; /* [threads] keeps the work from being removed */
} stream;

static void read_rows(const void *args, int64_t begin, int64_t end, int thread)
{
    const stream *s = args;
    uint64_t sum[8] = {0};
    const uint64_t *x = (const uint64_t *)(const void *)s->x;
    for (int64_t i = 8 * begin; i < 8 * end; i += 8)
        for (int j = 0; j < 8; j++) sum[j] ^= x[i + j];
    s->sink[thread] = (double)(sum[0] ^ sum[1] ^ sum[2] ^ sum[3] ^ sum[4] ^ sum[5] ^ sum[6] ^ sum[7]);
}

/* Bytes a second. */
static double read_rate(const yk_bench *b, const stream *s)
{
    double t[REPEATS];
    for (int i = 0; i < REPEATS; i++) {
        double began = yk_now();
        yk_team_rows(&b->team, STREAM / 16, 0, read_rows, s);
        t[i] = yk_now() - began;
    }
    return 4 * (double)STREAM / yk_median(t, REPEATS);
}

static yk_status measure_peak(const yk_bench *b, json_t *result, yk_error *err)
{
    yk_status st = YK_OK;
    double sink[1024];
    char processor[128];
    const yk_kernels *k = b->k[YK_FP32];
    stream s = {k->alloc(STREAM * (int64_t)sizeof(float)), sink};
    if (!s.x) YK_FAIL(YK_ERR_MEMORY, "256 MB are needed for the bandwidth");
    if (b->team.threads > 1024) YK_FAIL(YK_ERR_USAGE, "--threads %d: at most 1024", b->team.threads);
    const double update = yk_measure_update(&b->team, s.x, STREAM);
    yk_processor_name(processor, sizeof processor);
    json_object_set_new(result, "processor", json_string(processor));
    json_object_set_new(result, "isa", json_string(k->name));
    json_object_set_new(result, "threads", json_integer(b->team.threads));
    json_object_set_new(result, "fp32_gflops", json_real(k->peak_flops(&b->team, 0.5) / 1e9));
    json_object_set_new(result, "bf16_gflops", json_real(b->k[YK_BF16]->peak_flops(&b->team, 0.5) / 1e9));
    json_object_set_new(result, "read_gbs", json_real(read_rate(b, &s) / 1e9));
    json_object_set_new(result, "update_gbs", json_real(update / 1e9));
done:
    k->free(s.x);
    return st;
}

static void print_peak(const json_t *r)
{
    printf("%s, %s, %s%s, threads %lld\n", json_string_value(json_object_get(r, "processor")),
           json_string_value(json_object_get(r, "isa")), json_string_value(json_object_get(r, "profile")),
           json_is_true(json_object_get(r, "openblas")) ? " (OpenBLAS in fp32)" : "",
           (long long)json_integer_value(json_object_get(r, "threads")));
    printf("peak measured: fp32 %.1f, bf16 %.1f GFLOP/s; memory: read %.1f GB/s, update in place %.1f GB/s\n",
           json_real_value(json_object_get(r, "fp32_gflops")), json_real_value(json_object_get(r, "bf16_gflops")),
           json_real_value(json_object_get(r, "read_gbs")), json_real_value(json_object_get(r, "update_gbs")));
}

/* Only the peak: it is part of every result. */
static yk_status nothing(const yk_bench *b, json_t *result, yk_error *err)
{
    (void)b, (void)result, (void)err;
    return YK_OK;
}

static void no_more(const json_t *result)
{
    (void)result;
}

static const yk_bench_kind peak = {"peak", nothing, no_more};
static const yk_bench_kind *const kinds[] = {&peak, &yk_bench_gemm, &yk_bench_attention, &yk_bench_step,
                                             &yk_bench_decode};

/* As a run of that profile does; `fast` decides by the products of GPT-2's feed-forward block. */
static yk_status pick_tables(yk_bench *b, json_t *result, yk_error *err)
{
    yk_status st = YK_OK;
    bool fast = strcmp(b->profile, "fast") == 0;
    if (!fast && strcmp(b->profile, "exact") != 0)
        YK_FAIL(YK_ERR_USAGE, "--profile %s: expected exact or fast", b->profile);
    for (int p = 0; p < YK_PRECISIONS; p++) YK_TRY(yk_kernels_pick(&b->k[p], NULL, (yk_precision)p, err));
    bool openblas = fast && yk_openblas_is_quicker(b->k[YK_FP32], &b->team, 1024, 3072, 768);
    json_object_set_new(result, "profile", json_string(b->profile));
    json_object_set_new(result, "openblas", json_boolean(openblas));
    if (!openblas) goto done;
    yk_kernels_openblas(&b->fast, b->k[YK_FP32], &b->team);
    b->k[YK_FP32] = &b->fast;
done:
    return st;
}

static yk_status perform(int argc, char **argv, yk_error *err)
{
    yk_status st = YK_OK;
    yk_bench b = {.model = "gpt2-124m", .precision = "bf16", .recompute = "none", .profile = "exact"};
    json_t *result = json_object();
    const yk_bench_kind *kind = NULL;
    YK_TRY(yk_parse(&yk_command_bench, argc, argv, 1, take, &b, err));
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(b.what, kinds[i]->name) == 0) kind = kinds[i];
    if (!kind) YK_FAIL(YK_ERR_USAGE, "`%s`: expected peak, gemm, attention, step or decode", b.what);
    YK_TRY(yk_team_make(&b.team, (int)b.threads, err));
    YK_TRY(pick_tables(&b, result, err));
    YK_TRY(measure_peak(&b, result, err));
    YK_TRY(kind->measure(&b, result, err));
    if (b.json) {
        json_dumpf(result, stdout, JSON_INDENT(1));
        putchar('\n');
    } else {
        print_peak(result);
        kind->print(result);
    }
done:
    json_decref(result);
    return st;
}

static const struct argp_option option[] = {
    {"json", 'j', NULL, 0, "print JSON", 0},
    {"threads", 'T', "N", 0, "threads; 0: all", 0},
    {"repeats", 'n', "N", 0, "measurements, of which the median is shown (5)", 0},
    {"against", 'a', "openblas", 0, "gemm: beside OpenBLAS, in fp32", 0},
    {"profile", 'f', "exact|fast", 0, "the recipe key `numerics` (exact)", 0},
    {"model", 'm', "NAME", 0, "step, decode: gpt2-124m, llama-34m, moe-168m or quickstart-2m", 0},
    {"batch", 'b', "B", 0, "step: sequences a step; decode: sequences side by side (1)", 0},
    {"seq", 't', "T", 0, "attention, step, decode: tokens a sequence", 0},
    {"micro-batch", 'u', "N", 0, "step: sequences computed at once", 0},
    {"precision", 'p', "P", 0, "step, decode: fp32, bf16 or fp16 (bf16)", 0},
    {"recompute", 'r', "R", 0, "step: the recipe key of that name (none)", 0},
    {0},
};

const yk_command yk_command_bench = {
    "bench", "peak|gemm|attention|step|decode", "measure this machine and the kernels",
    "Measures the peak of multiply-adds and of memory; the matrix products of training; attention under each pattern "
    "(model.attention); a whole training step (forward, backward, AdamW) of a known model; or generating token by "
    "token. Shares are of the peak measured in the same run.\v"
    "Examples:\n  yoke bench gemm --against openblas\n"
    "  yoke bench step --model llama-34m --batch 8 --seq 512 --precision bf16 --json",
    option, perform};
