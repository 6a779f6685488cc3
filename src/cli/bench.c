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

static json_t *bench_gemm(const yk_kernels *k, const yk_team *team, double peak)
{
    static const int64_t shape[][2] = {{2304, 768}, {3072, 768}, {768, 3072}, {50304, 768}};
    static const char *const pass[] = {"forward", "dx", "dw"};
    const int64_t room = (int64_t)ROWS * 50304;
    float *a = k->alloc(room * 4), *b = k->alloc(room * 4), *c = k->alloc(room * 4);
    void *scratch = k->alloc(k->gemm_scratch(team));
    json_t *rows = json_array();
    double flops = 0, seconds = 0;
    for (size_t s = 0; a && b && c && scratch && s < sizeof shape / sizeof *shape; s++)
        for (int p = 0; p < 3; p++) {
            int64_t N = shape[s][0], K = shape[s][1];
            yk_gemm g = {.c = c, .scratch = scratch, .a = a, .b = b};
            if (p == 0) g.c_row = N, g.a_row = K, g.a_col = 1, g.b_row = 1, g.b_col = K, g.m = ROWS, g.n = N, g.k = K;
            if (p == 1) g.c_row = K, g.a_row = N, g.a_col = 1, g.b_row = K, g.b_col = 1, g.m = ROWS, g.n = K, g.k = N;
            if (p == 2) g.c_row = K, g.a_row = 1, g.a_col = N, g.b_row = K, g.b_col = 1, g.m = N, g.n = K, g.k = ROWS,
                        g.accumulate = true;
            double t = median_seconds(k, team, &g), work = 2.0 * (double)g.m * (double)g.n * (double)g.k;
            flops += work;
            seconds += t;
            json_array_append_new(rows, json_pack("{s:s, s:s, s:I, s:I, s:I, s:f, s:f}", "type", "fp32", "pass", pass[p],
                                                  "m", (json_int_t)g.m, "n", (json_int_t)g.n, "k", (json_int_t)g.k,
                                                  "gflops", work / t / 1e9, "share", work / t / peak));
        }
    k->free(a), k->free(b), k->free(c), k->free(scratch);
    return json_pack("{s:o, s:{s:{s:f, s:f}}}", "rows", rows, "aggregate", "fp32", "gflops", flops / seconds / 1e9, "share",
                     flops / seconds / peak);
}

static void print_gemm(const json_t *result)
{
    size_t i;
    const json_t *row, *all = json_object_get(json_object_get(result, "aggregate"), "fp32");
    printf("%-8s %6s %6s %6s %9s %7s\n", "pass", "m", "n", "k", "GFLOP/s", "share");
    json_array_foreach(json_object_get(result, "rows"), i, row)
        printf("%-8s %6lld %6lld %6lld %9.1f %6.1f%%\n", json_string_value(json_object_get(row, "pass")),
               (long long)json_integer_value(json_object_get(row, "m")),
               (long long)json_integer_value(json_object_get(row, "n")),
               (long long)json_integer_value(json_object_get(row, "k")), json_real_value(json_object_get(row, "gflops")),
               100 * json_real_value(json_object_get(row, "share")));
    printf("all %35.1f %6.1f%%\n", json_real_value(json_object_get(all, "gflops")),
           100 * json_real_value(json_object_get(all, "share")));
}

static yk_status perform(int argc, char **argv, yk_error *err)
{
    yk_status st = YK_OK;
    options o = {0};
    yk_team team;
    const yk_kernels *k;
    json_t *result = NULL;
    YK_TRY(yk_parse(&yk_command_bench, argc, argv, 1, take, &o, err));
    YK_TRY(yk_team_make(&team, (int)o.threads, err));
    YK_TRY(yk_kernels_pick(&k, NULL, err));
    double peak = k->peak_flops(&team, 0.5);
    if (strcmp(o.what, "peak") == 0)
        result = json_pack("{s:f, s:s, s:i}", "fp32_gflops", peak / 1e9, "isa", k->name, "threads", team.threads);
    else if (strcmp(o.what, "gemm") == 0)
        result = bench_gemm(k, &team, peak);
    else
        YK_FAIL(YK_ERR_USAGE, "`%s`: expected peak or gemm", o.what);
    if (o.json) {
        json_dumpf(result, stdout, JSON_INDENT(1));
        putchar('\n');
    } else {
        printf("%s, %d threads, fp32 peak %.1f GFLOP/s (measured)\n", k->name, team.threads, peak / 1e9);
        if (strcmp(o.what, "gemm") == 0) print_gemm(result);
    }
done:
    json_decref(result);
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
