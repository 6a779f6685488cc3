/* Matrix products of training shapes against the peak, and beside OpenBLAS. */
#include "cli/bench.h"

#include "base/log.h"
#include "train/measure.h"

#include <cblas.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { ROWS = 2048, REPEATS = 7, MOST_REPEATS = 99 };

static const char *const type_name[YK_PRECISIONS] = {"fp32", "bf16", "fp16"};

typedef struct matrices {
    float *a, *b, *c;
    void *scratch;
} matrices;

/* The three products of training for one weight matrix w[N,K]: forward x w^T, gradient of the input dy w, of the weight
 * dy^T x. Activations are stored in the table's precision, weights and sums are fp32, as in a step. */
static yk_gemm training_product(int pass, int64_t N, int64_t K, const matrices *x)
{
    yk_gemm g = {.c = x->c, .c_type = YK_FLOAT, .c_row = pass ? K : N, .m = ROWS, .n = pass ? K : N, .k = pass ? N : K,
                 .scratch = x->scratch};
    if (pass == 0) g.a = (yk_operand){x->a, YK_STORED, K, 1}, g.b = (yk_operand){x->b, YK_FLOAT, 1, K};
    if (pass == 1) g.a = (yk_operand){x->a, YK_STORED, N, 1}, g.b = (yk_operand){x->b, YK_FLOAT, K, 1};
    if (pass == 2) {
        g.a = (yk_operand){x->a, YK_STORED, 1, N}, g.b = (yk_operand){x->b, YK_STORED, K, 1};
        g.m = N, g.k = ROWS, g.init = x->c, g.init_row = K;
    }
    return g;
}

/* The same product by sgemm. */
static void by_openblas(const yk_gemm *g)
{
    bool ta = g->a.col != 1, tb = g->b.col != 1;
    cblas_sgemm(CblasRowMajor, ta ? CblasTrans : CblasNoTrans, tb ? CblasTrans : CblasNoTrans, (int)g->m, (int)g->n,
                (int)g->k, 1.0f, g->a.data, (int)(ta ? g->a.col : g->a.row), g->b.data, (int)(tb ? g->b.col : g->b.row),
                g->init ? 1.0f : 0.0f, g->c, (int)g->c_row);
}

/* Median seconds of the kernel and, when asked for, of OpenBLAS, taken by turns. */
static void time_product(const yk_bench *b, const yk_kernels *k, const yk_gemm *g, bool both, double seconds[2])
{
    double t[2][MOST_REPEATS];
    int repeats = b->repeats > 0 && b->repeats < MOST_REPEATS ? (int)b->repeats : REPEATS;
    for (int i = -1; i < repeats; i++)
        for (int who = 0; who <= both; who++) {
            double began = yk_now();
            if (who) by_openblas(g);
            else k->gemm(&b->team, g);
            if (i >= 0) t[who][i] = yk_now() - began;
        }
    for (int who = 0; who <= both; who++) seconds[who] = yk_median(t[who], repeats);
}

static void measure_type(const yk_bench *b, const yk_kernels *k, const matrices *x, json_t *rows, json_t *aggregate)
{
    static const int64_t shape[][2] = {{2304, 768}, {3072, 768}, {768, 3072}, {50304, 768}};
    static const char *const pass[] = {"forward", "dx", "dw"};
    bool both = b->against && k->precision == YK_FP32;
    double peak = k->peak_flops(&b->team, 0.5), flops = 0, seconds[2] = {0};
    for (size_t s = 0; s < 3 * sizeof shape / sizeof *shape; s++) {
        yk_gemm g = training_product((int)s % 3, shape[s / 3][0], shape[s / 3][1], x);
        double t[2], work = 2.0 * (double)g.m * (double)g.n * (double)g.k;
        time_product(b, k, &g, both, t);
        flops += work;
        peak = fmax(peak, k->peak_flops(&b->team, 0.1)); /* threads may not have had their processors at once */
        json_t *row = json_pack("{s:s, s:s, s:I, s:I, s:I, s:f, s:f}", "type", type_name[k->precision], "pass",
                                pass[s % 3], "m", (json_int_t)g.m, "n", (json_int_t)g.n, "k", (json_int_t)g.k, "gflops",
                                work / t[0] / 1e9, "share", work / t[0] / peak);
        if (both) json_object_set_new(row, "openblas_gflops", json_real(work / t[1] / 1e9));
        json_array_append_new(rows, row);
        for (int who = 0; who <= both; who++) seconds[who] += t[who];
    }
    json_t *all = json_pack("{s:f, s:f, s:f}", "gflops", flops / seconds[0] / 1e9, "share", flops / seconds[0] / peak,
                            "peak_gflops", peak / 1e9);
    if (both) json_object_set_new(all, "openblas_gflops", json_real(flops / seconds[1] / 1e9));
    json_object_set_new(aggregate, type_name[k->precision], all);
}

static yk_status measure(const yk_bench *b, json_t *result, yk_error *err)
{
    yk_status st = YK_OK;
    const int64_t room = (int64_t)ROWS * 50304;
    const yk_kernels *k = b->k[YK_FP32];
    json_t *rows = json_array(), *aggregate = json_object();
    json_object_set_new(result, "rows", rows);
    json_object_set_new(result, "aggregate", aggregate);
    matrices x = {k->alloc(room * 4), k->alloc(room * 4), k->alloc(room * 4), k->alloc(k->gemm_scratch(&b->team))};
    if (b->against && strcmp(b->against, "openblas") != 0)
        YK_FAIL(YK_ERR_USAGE, "--against %s: expected openblas", b->against);
    if (!x.a || !x.b || !x.c || !x.scratch) YK_FAIL(YK_ERR_MEMORY, "1.3 GB are needed for the matrices");
    for (int64_t i = 0; i < room; i++) x.a[i] = x.b[i] = (float)(i % 17 - 8) * 0.125f;
    openblas_set_num_threads(b->team.threads);
    for (int p = YK_FP32; p <= YK_BF16; p++) measure_type(b, b->k[p], &x, rows, aggregate);
done:
    k->free(x.a), k->free(x.b), k->free(x.c), k->free(x.scratch);
    return st;
}

static double real_of(const json_t *x, const char *key)
{
    return json_real_value(json_object_get(x, key));
}

static void print_rate(const json_t *x)
{
    printf(" %9.1f %6.1f%%", real_of(x, "gflops"), 100 * real_of(x, "share"));
    if (json_object_get(x, "openblas_gflops")) printf("   OpenBLAS %6.1f", real_of(x, "openblas_gflops"));
    putchar('\n');
}

static void print(const json_t *result)
{
    size_t i;
    const char *type;
    const json_t *row;
    json_t *all;
    printf("%-5s %-8s %6s %6s %6s %9s %7s\n", "type", "pass", "m", "n", "k", "GFLOP/s", "share");
    json_array_foreach(json_object_get(result, "rows"), i, row) {
        printf("%-5s %-8s %6lld %6lld %6lld", json_string_value(json_object_get(row, "type")),
               json_string_value(json_object_get(row, "pass")),
               (long long)json_integer_value(json_object_get(row, "m")),
               (long long)json_integer_value(json_object_get(row, "n")),
               (long long)json_integer_value(json_object_get(row, "k")));
        print_rate(row);
    }
    json_object_foreach(json_object_get(result, "aggregate"), type, all) {
        printf("%-5s all %26s", type, "");
        print_rate(all);
    }
}

const yk_bench_kind yk_bench_gemm = {"gemm", measure, print};
