/* A first version: the peak, and matrix products of training shapes against it. */
#include "base/log.h"
#include "cli/cli.h"
#include "simd/kernels.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 2048, REPEATS = 5 };

typedef struct options {
    const char *what;
    bool json;
    long threads;
} options;

static bool take(void *context, int key, const char *text)
{
    options *o = context;
    if (key == 'j') o->json = true;
    else if (key == 'T') o->threads = atol(text);
    else if (key == 0 && !o->what) o->what = text;
    else return false;
    return true;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median_seconds(const yk_kernels *k, const yk_team *team, const yk_gemm *g)
{
    double t[REPEATS];
    k->gemm(team, g);
    for (int i = 0; i < REPEATS; i++) {
        double began = yk_now();
        k->gemm(team, g);
        t[i] = yk_now() - began;
    }
    qsort(t, REPEATS, sizeof *t, by_size);
    return t[REPEATS / 2];
}

static const char *const type_name[YK_PRECISIONS] = {"fp32", "bf16", "fp16"};

/* The three products of training for one weight matrix [N,K]: forward, gradient of the input, of the weight. */
static yk_gemm training_product(int pass, int64_t N, int64_t K)
{
    if (pass == 0) return (yk_gemm){.c_row = N, .a_row = K, .a_col = 1, .b_row = 1, .b_col = K, .m = ROWS, .n = N, .k = K};
    if (pass == 1) return (yk_gemm){.c_row = K, .a_row = N, .a_col = 1, .b_row = K, .b_col = 1, .m = ROWS, .n = K, .k = N};
    return (yk_gemm){.c_row = K, .a_row = 1, .a_col = N, .b_row = K, .b_col = 1, .m = N, .n = K, .k = ROWS,
                     .init_row = K};
}

static yk_status bench_gemm(const yk_kernels *k, const yk_team *team, json_t *rows, json_t *aggregate, yk_error *err)
{
    static const int64_t shape[][2] = {{2304, 768}, {3072, 768}, {768, 3072}, {50304, 768}};
    static const char *const pass[] = {"forward", "dx", "dw"};
    const int64_t room = (int64_t)ROWS * 50304;
    float *a = k->alloc(room * 4), *b = k->alloc(room * 4), *c = k->alloc(room * 4);
    void *scratch = k->alloc(k->gemm_scratch(team));
    double peak = k->peak_flops(team, 0.5), flops = 0, seconds = 0;
    yk_status st = YK_OK;
    if (!a || !b || !c || !scratch) YK_FAIL(YK_ERR_MEMORY, "1.3 GB are needed for the matrices");
    for (int64_t i = 0; i < room; i++) a[i] = b[i] = (float)(i % 17 - 8) * 0.125f;
    for (size_t s = 0; s < 3 * sizeof shape / sizeof *shape; s++) {
        yk_gemm g = training_product((int)s % 3, shape[s / 3][0], shape[s / 3][1]);
        g.a = a, g.b = b, g.c = c, g.scratch = scratch;
        g.init = g.init_row ? c : NULL;
        double t = median_seconds(k, team, &g), work = 2.0 * (double)g.m * (double)g.n * (double)g.k;
        flops += work;
        seconds += t;
        json_array_append_new(rows, json_pack("{s:s, s:s, s:I, s:I, s:I, s:f, s:f}", "type", type_name[k->precision], "pass",
                                              pass[s % 3], "m", (json_int_t)g.m, "n", (json_int_t)g.n, "k",
                                              (json_int_t)g.k, "gflops", work / t / 1e9, "share", work / t / peak));
    }
    json_object_set_new(aggregate, type_name[k->precision],
                        json_pack("{s:f, s:f, s:f}", "gflops", flops / seconds / 1e9, "share", flops / seconds / peak,
                                  "peak_gflops", peak / 1e9));
done:
    k->free(a), k->free(b), k->free(c), k->free(scratch);
    return st;
}

static void print_gemm(const json_t *rows, json_t *aggregate)
{
    size_t i;
    const char *type;
    const json_t *row;
    json_t *all;
    printf("%-5s %-8s %6s %6s %6s %9s %7s\n", "type", "pass", "m", "n", "k", "GFLOP/s", "share");
    json_array_foreach(rows, i, row)
        printf("%-5s %-8s %6lld %6lld %6lld %9.1f %6.1f%%\n", json_string_value(json_object_get(row, "type")),
               json_string_value(json_object_get(row, "pass")), (long long)json_integer_value(json_object_get(row, "m")),
               (long long)json_integer_value(json_object_get(row, "n")),
               (long long)json_integer_value(json_object_get(row, "k")), json_real_value(json_object_get(row, "gflops")),
               100 * json_real_value(json_object_get(row, "share")));
    json_object_foreach(aggregate, type, all)
        printf("%-5s all %32.1f %6.1f%%\n", type, json_real_value(json_object_get(all, "gflops")),
               100 * json_real_value(json_object_get(all, "share")));
}

static yk_status perform(int argc, char **argv, yk_error *err)
{
    yk_status st = YK_OK;
    options o = {0};
    yk_team team;
    const yk_kernels *k[2];
    json_t *result = NULL, *rows = json_array(), *aggregate = json_object();
    YK_TRY(yk_parse(&yk_command_bench, argc, argv, 1, take, &o, err));
    YK_TRY(yk_team_make(&team, (int)o.threads, err));
    for (int p = 0; p < 2; p++) YK_TRY(yk_kernels_pick(&k[p], NULL, p ? YK_BF16 : YK_FP32, err));
    bool gemm = strcmp(o.what, "gemm") == 0;
    if (!gemm && strcmp(o.what, "peak") != 0) YK_FAIL(YK_ERR_USAGE, "`%s`: expected peak or gemm", o.what);
    double fp32 = k[0]->peak_flops(&team, 0.5) / 1e9, bf16 = k[1]->peak_flops(&team, 0.5) / 1e9;
    for (int p = 0; gemm && p < 2; p++) YK_TRY(bench_gemm(k[p], &team, rows, aggregate, err));
    result = json_pack("{s:s, s:i, s:f, s:f}", "isa", k[0]->name, "threads", team.threads, "fp32_gflops", fp32,
                       "bf16_gflops", bf16);
    if (gemm) json_object_update_new(result, json_pack("{s:O, s:O}", "rows", rows, "aggregate", aggregate));
    if (o.json) {
        json_dumpf(result, stdout, JSON_INDENT(1));
        putchar('\n');
    } else {
        printf("%s, threads %d, peak measured: fp32 %.1f, bf16 %.1f GFLOP/s\n", k[0]->name, team.threads, fp32, bf16);
        if (gemm) print_gemm(rows, aggregate);
    }
done:
    json_decref(result);
    json_decref(rows);
    json_decref(aggregate);
    return st;
}

static const struct argp_option option[] = {
    {"json", 'j', NULL, 0, "print JSON", 0},
    {"threads", 'T', "N", 0, "threads; 0: all", 0},
    {0},
};

const yk_command yk_command_bench = {
    "bench", "peak|gemm", "measure this machine and the kernels",
    "Measures the peak of fused multiply-adds and the matrix products of training against it.\v"
    "Example:\n  yoke bench gemm --json",
    option, perform};
