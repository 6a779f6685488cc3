#include "simd/fast.h"

#include "base/log.h"

#include <cblas.h>
#include <string.h>

/* C begins with the rows of init. */
static void init_rows(const void *args, int64_t begin, int64_t end, int thread)
{
    (void)thread;
    const yk_gemm *g = args;
    for (int64_t i = begin; i < end; i++)
        memcpy((float *)g->c + i * g->c_row, g->init + i * g->init_row, (size_t)g->n * sizeof(float));
}

/* A leading dimension as CBLAS wants it: at least the length of a line, even where there is only one. */
static int leading(int64_t stride, int64_t line)
{
    return (int)(stride > line ? stride : line > 1 ? line : 1);
}

/* In fp32 stored numbers are floats: the types of the operands say nothing. */
static void gemm(const yk_team *team, const yk_gemm *g)
{
    if (g->m <= 0 || g->n <= 0) return;
    if (g->init && g->init != g->c) yk_team_rows(team, g->m, 0, init_rows, g);
    bool ta = g->a.col != 1, tb = g->b.col != 1;
    const float *a = g->a.data, *b = g->b.data;
    int64_t k = g->k;
    if (g->term) {
        const int64_t first = g->term[0], last = g->term[k - 1] < 0 ? g->term[k - 2] : g->term[k - 1];
        a += first * g->a.col, b += first * g->b.row, k = last - first + 1;
    }
    cblas_sgemm(CblasRowMajor, ta ? CblasTrans : CblasNoTrans, tb ? CblasTrans : CblasNoTrans, (int)g->m, (int)g->n,
                (int)k, 1.0f, a, ta ? leading(g->a.col, g->m) : leading(g->a.row, k), b,
                tb ? leading(g->b.col, k) : leading(g->b.row, g->n), g->init ? 1.0f : 0.0f, g->c,
                leading(g->c_row, g->n));
}

static void gemm_group(const yk_team *team, const yk_gemm_group *g)
{
    for (int64_t i = 0; i < g->products; i++)
        if (g->product[i].k > 0) gemm(team, &g->product[i]);
}

static int64_t packs_nothing(int64_t n, int64_t k)
{
    (void)n, (void)k;
    return 0;
}

void yk_kernels_openblas(yk_kernels *fast, const yk_kernels *exact, const yk_team *team)
{
    openblas_set_num_threads(team->threads);
    *fast = *exact;
    fast->gemm = fast->gemm_float = gemm;
    fast->gemm_group = gemm_group;
    fast->packed_bytes = packs_nothing;
}

/* Seconds of the three products of weight w[out,in], x[rows,in] and y[rows,out]. */
static double time_products(const yk_kernels *k, const yk_team *team, int64_t rows, int64_t out, int64_t in, float *w,
                            float *x, float *y, void *scratch)
{
    const yk_gemm product[] = {
        {.c = y, .c_row = out, .a = {x, YK_FLOAT, in, 1}, .b = {w, YK_FLOAT, 1, in}, .m = rows, .n = out, .k = in},
        {.c = x, .c_row = in, .a = {y, YK_FLOAT, out, 1}, .b = {w, YK_FLOAT, in, 1}, .m = rows, .n = in, .k = out},
        {.c = w, .c_row = in, .a = {y, YK_FLOAT, 1, out}, .b = {x, YK_FLOAT, in, 1}, .m = out, .n = in, .k = rows},
    };
    double began = yk_now();
    for (int i = 0; i < 3; i++) {
        yk_gemm g = product[i];
        g.c_type = YK_FLOAT;
        g.scratch = scratch;
        k->gemm(team, &g);
    }
    return yk_now() - began;
}

bool yk_openblas_is_quicker(const yk_kernels *exact, const yk_team *team, int64_t rows, int64_t out, int64_t in)
{
    enum { ROUNDS = 3 };
    double best[2] = {1e30, 1e30};
    yk_kernels openblas;
    if (exact->precision != YK_FP32) return false;
    yk_kernels_openblas(&openblas, exact, team);
    float *w = exact->alloc(out * in * 4), *x = exact->alloc(rows * in * 4), *y = exact->alloc(rows * out * 4);
    void *scratch = exact->alloc(exact->gemm_scratch(team));
    bool ready = w && x && y && scratch;
    double began = yk_now();
    for (int i = 0; ready && (i < 2 * ROUNDS || yk_now() - began < 0.2); i++) { /* by turns: others compute, too */
        double seconds = time_products(i % 2 ? &openblas : exact, team, rows, out, in, w, x, y, scratch);
        if (seconds < best[i % 2]) best[i % 2] = seconds;
    }
    exact->free(w), exact->free(x), exact->free(y), exact->free(scratch);
    return best[1] < 0.95 * best[0];
}
