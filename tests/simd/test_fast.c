/* OpenBLAS as a kernel, against sums in double precision, and counting, against one by one. */
#include "base/rng.h"
#include "simd/fast.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ROOM = 1 << 16, PAD = 3 };

static void fill(float *x, int64_t n, uint64_t seed)
{
    yk_rng r = yk_rng_make(seed, YK_STREAM_TEST, 0);
    for (int64_t i = 0; i < n; i++) x[i] = (float)yk_rng_normal(&r, (uint64_t)i);
}

typedef struct fixture {
    yk_kernels fast;
    float a[ROOM], b[ROOM], c[ROOM], init[ROOM], before[ROOM];
} fixture;

/* Every way that operands can lie; lines are PAD longer than they must be, and what lies between stays. `begin`: with
 * nothing, with C, with other rows, with one row for all. */
static void check_product(fixture *f, int64_t m, int64_t n, int64_t k, int lie, int begin)
{
    yk_gemm g = {.c = f->c, .c_type = YK_FLOAT, .c_row = n + PAD, .m = m, .n = n, .k = k};
    g.a = lie & 1 ? (yk_operand){f->a, YK_FLOAT, 1, m + PAD} : (yk_operand){f->a, YK_STORED, k + PAD, 1};
    g.b = lie & 2 ? (yk_operand){f->b, YK_FLOAT, 1, k + PAD} : (yk_operand){f->b, YK_STORED, n + PAD, 1};
    g.init = begin == 0 ? NULL : begin == 1 ? f->c : f->init;
    g.init_row = begin == 1 ? g.c_row : begin == 2 ? n : 0;
    for (int64_t i = 0; i < ROOM; i++) f->before[i] = f->c[i] = begin ? f->a[ROOM - 1 - i] : NAN;
    f->fast.gemm(&(yk_team){.threads = 2}, &g);
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < g.c_row; j++) {
            int64_t at = i * g.c_row + j;
            double sum = begin == 0 ? 0 : (double)(begin == 1 ? f->before[at] : f->init[i * g.init_row + j % n]);
            for (int64_t p = 0; p < k; p++)
                sum += (double)f->a[i * g.a.row + p * g.a.col] * (double)f->b[p * g.b.row + j % n * g.b.col];
            if (j < n && !(fabs((double)f->c[at] - sum) < 1e-4))
                fail_msg("%lld x %lld x %lld, lie %d, begin %d: %g, wanted %g", (long long)m, (long long)n,
                         (long long)k, lie, begin, (double)f->c[at], sum);
            if (j >= n) assert_memory_equal(&f->c[at], &f->before[at], sizeof *f->c);
        }
}

static void openblas_is_the_sum(void **state)
{
    fixture *f = *state;
    static const int64_t shape[][3] = {{1, 1, 1}, {1, 40, 7},     {40, 1, 7}, {5, 9, 1},
                                       {0, 5, 4}, {70, 100, 90}, {6, 5, 0}};
    for (size_t s = 0; s < sizeof shape / sizeof *shape; s++)
        for (int lie = 0; lie < 4; lie++)
            for (int begin = 0; begin < 4; begin++)
                check_product(f, shape[s][0], shape[s][1], shape[s][2], lie, begin);
}

/* A single line may be told by any strides. */
static void one_line_of_any_stride(void **state)
{
    fixture *f = *state;
    yk_gemm g = {.c = f->c, .c_row = 1, .a = {f->a, YK_FLOAT, 1, 1}, .b = {f->b, YK_FLOAT, 1, 1}, .m = 1, .n = 1,
                 .k = 30};
    f->fast.gemm(&(yk_team){.threads = 1}, &g);
    double sum = 0;
    for (int i = 0; i < 30; i++) sum += (double)f->a[i] * (double)f->b[i];
    assert_true(fabs((double)f->c[0] - sum) < 1e-4);
}

/* Of a group, what has no terms is left alone, and those that are listed are summed. */
static void groups_sum_over_listed_terms(void **state)
{
    fixture *f = *state;
    enum { M = 20, N = 30 };
    static const int32_t term[] = {3, 4, 5, -1, 6, -1};
    yk_gemm g[2] = {{.c = f->c, .c_row = N, .a = {f->a, YK_FLOAT, 1, M}, .b = {f->b, YK_FLOAT, N, 1}, .m = M, .n = N,
                     .k = 6, .term = term, .init = f->init, .init_row = N}};
    g[1] = g[0], g[1].k = 0, g[1].c = f->c + M * N;
    for (int i = 0; i < 2 * M * N; i++) f->c[i] = 7;
    f->fast.gemm_group(&(yk_team){.threads = 2}, &(yk_gemm_group){.product = g, .products = 2});
    for (int i = 0; i < M * N; i++) {
        double sum = (double)f->init[i];
        for (int k = 3; k <= 6; k++) sum += (double)f->a[k * M + i / N] * (double)f->b[k * N + i % N];
        assert_true(fabs((double)f->c[i] - sum) < 1e-4);
        assert_true(f->c[M * N + i] == 7);
    }
}

static void repeats_itself(void **state)
{
    fixture *f = *state;
    yk_gemm g = {.c = f->c, .c_row = 150, .a = {f->a, YK_FLOAT, 200, 1}, .b = {f->b, YK_FLOAT, 150, 1},
                 .m = 130, .n = 150, .k = 200};
    for (int i = 0; i < 20; i++) {
        f->fast.gemm(&(yk_team){.threads = 2}, &g);
        if (i > 0) assert_memory_equal(f->c, f->before, 130 * 150 * sizeof *f->c);
        memcpy(f->before, f->c, sizeof f->before);
    }
}

/* The portable kernels are no match for OpenBLAS; products of 16 bits are never its. */
static void measures(void **state)
{
    (void)state;
    const yk_team one = {.threads = 1};
    assert_true(yk_openblas_is_quicker(yk_kernels_at(0, YK_FP32), &one, 256, 256, 256));
    assert_false(yk_openblas_is_quicker(yk_kernels_at(0, YK_BF16), &one, 256, 256, 256));
    assert_false(yk_openblas_is_quicker(yk_kernels_at(0, YK_FP16), &one, 256, 256, 256));
}

static void counts_below(void **state)
{
    fixture *f = *state;
    const yk_kernels *k;
    fill(f->c, ROOM, 9);
    for (int i = 0; i < ROOM; i += 3) f->c[i] = i % 2 ? 0.0f : -0.0f;
    f->c[1] = 0x1p-149f, f->c[2] = -0x1p-57f, f->c[4] = 0x1p-56f, f->c[5] = NAN, f->c[7] = -INFINITY;
    int64_t below = 0;
    for (int i = 0; i < ROOM; i++) below += f->c[i] != 0.0f && fabs((double)f->c[i]) < 0.5;
    for (int t = 0; (k = yk_kernels_at(t, YK_BF16)); t++)
        for (int threads = 1; yk_kernels_runs_here(k) && threads < 5; threads++) {
            int64_t tiny = 0, half = 5;
            k->count_below(&(yk_team){.threads = threads}, &(yk_count_below){f->c, ROOM, 0x1p-56f, &tiny});
            k->count_below(&(yk_team){.threads = threads}, &(yk_count_below){f->c, ROOM, 0.5f, &half});
            assert_int_equal(tiny, 2);
            assert_int_equal(half, below + 5);
        }
}

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    yk_kernels_openblas(&f->fast, yk_kernels_at(0, YK_FP32), &(yk_team){.threads = 2});
    fill(f->a, ROOM, 1), fill(f->b, ROOM, 2), fill(f->init, ROOM, 3);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    free(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(openblas_is_the_sum),
        cmocka_unit_test(one_line_of_any_stride),
        cmocka_unit_test(groups_sum_over_listed_terms),
        cmocka_unit_test(repeats_itself),
        cmocka_unit_test(counts_below),
        cmocka_unit_test(measures),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
