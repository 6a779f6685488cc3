/* Every table against double-precision definitions, and bit for bit against the portable one. */
#include "base/rng.h"
#include "simd/kernels.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { TABLES = 8, ROOM = 1 << 17 };

static const yk_kernels *table[TABLES];
static int tables;
static float *in[4], *out[TABLES][4], *scratch;
static void *stored[4]; /* in[] in the precision of the test */

static int set_up(void **state)
{
    (void)state;
    const yk_kernels *k;
    for (int i = 0; (k = yk_kernels_at(i, YK_FP32)); i++)
        if (yk_kernels_runs_here(k)) table[tables++] = k;
    for (int i = 0; i < 4; i++) {
        in[i] = table[0]->alloc(ROOM * 4);
        stored[i] = table[0]->alloc(ROOM * 4);
        for (int t = 0; t < tables; t++) out[t][i] = table[0]->alloc(ROOM * 4);
    }
    scratch = table[0]->alloc((int64_t)64 << 20);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        table[0]->free(in[i]);
        table[0]->free(stored[i]);
        for (int t = 0; t < tables; t++) table[0]->free(out[t][i]);
    }
    table[0]->free(scratch);
    return 0;
}

static void fill(float *x, int64_t n, uint64_t seed, double scale)
{
    yk_rng r = yk_rng_make(seed, YK_STREAM_TEST, 0);
    for (int64_t i = 0; i < n; i++) x[i] = (float)(scale * yk_rng_normal(&r, (uint64_t)i));
}

/* All tables wrote the same bytes into output `i`. */
static void same_bytes(int i, int64_t bytes)
{
    for (int t = 1; t < tables; t++) {
        if (memcmp(out[t][i], out[0][i], (size_t)bytes) == 0) continue;
        for (int64_t j = 0; j < bytes; j += 2)
            if (memcmp((char *)out[t][i] + j, (char *)out[0][i] + j, 2) != 0)
                fail_msg("%s differs from portable at byte %lld of output %d", table[t]->name, (long long)j, i);
    }
}

static void same_bits(int i, int64_t n)
{
    same_bytes(i, 4 * n);
}

static void same_stored(int i, int64_t n, yk_precision precision)
{
    same_bytes(i, n * yk_type_size(table[0] + precision, YK_STORED));
}

static void close_to(double got, double want, double tolerance)
{
    if (!(fabs(got - want) <= tolerance * (1 + fabs(want)))) fail_msg("%g, wanted %g", got, want);
}

/* x to so many significant bits, ties to even, no finer than `quantum`; independent of the kernels. */
static float rounded(float x, yk_precision precision)
{
    int e;
    if (precision == YK_FP32 || x == 0.0f || !isfinite(x)) return x;
    frexp((double)x, &e);
    if (precision == YK_BF16)
        return fabs((double)x) < 0x1p-56 ? 0.0f : (float)ldexp(rint(ldexp((double)x, 8 - e)), e - 8);
    int unit = e - 11 < -24 ? -24 : e - 11;
    double y = ldexp(rint(ldexp((double)x, -unit)), unit);
    return fabs(y) > 65504 ? copysignf(INFINITY, x) : (float)y;
}

/* x as a tensor of a precision: independent of the kernels. */
static void put(yk_precision precision, void *to, const float *from, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        float x = rounded(from[i], precision);
        uint32_t bits;
        memcpy(&bits, &x, sizeof bits);
        _Float16 half = (_Float16)x;
        if (precision == YK_FP32) ((float *)to)[i] = x;
        if (precision == YK_BF16) ((uint16_t *)to)[i] = (uint16_t)(bits >> 16);
        if (precision == YK_FP16) memcpy((uint16_t *)to + i, &half, sizeof half);
    }
}

static float get(yk_precision precision, const void *from, int64_t i)
{
    _Float16 half;
    if (precision == YK_FP32) return ((const float *)from)[i];
    memcpy(&half, (const uint16_t *)from + i, sizeof half);
    uint32_t bits = (uint32_t)((const uint16_t *)from)[i] << 16;
    float x;
    memcpy(&x, &bits, sizeof x);
    return precision == YK_BF16 ? x : (float)half;
}

/* What may lie between a stored result and its definition. */
static double grain(yk_precision precision)
{
    return precision == YK_FP32 ? 1e-6 : precision == YK_FP16 ? 0x1p-11 : 0x1p-8;
}

/* The contract's sum for one element of C; x(i), y(i): the i-th factors. */
static float contract_sum(float sum, const float *a, int64_t along_a, const float *b, int64_t along_b, int64_t k,
                          yk_precision precision)
{
    if (precision == YK_BF16 && fabsf(sum) < 0x1p-102f) sum = 0.0f;
    for (int64_t p = 0; p < k + (precision == YK_BF16 && k % 2); p++) {
        int64_t term = precision == YK_BF16 ? p ^ 1 : p;
        if (term < k) sum = fmaf(rounded(a[term * along_a], precision), rounded(b[term * along_b], precision), sum);
    }
    return sum;
}

/* One product in every way to store a, b and c, against the sum. */
static void check_product(const int64_t *shape, yk_precision precision, bool ta, bool tb, bool add, int types)
{
    int64_t m = shape[0], n = shape[1], k = shape[2], c_row = n + 3;
    yk_gemm g = {.c_type = (yk_type)(types >> 2), .c_row = c_row, .m = m, .n = n, .k = k, .scratch = scratch};
    g.a = (yk_operand){types & 1 ? (void *)in[0] : stored[0], (yk_type)(types & 1), ta ? 1 : k, ta ? m : 1};
    g.b = (yk_operand){types >> 1 & 1 ? (void *)in[1] : stored[1], (yk_type)(types >> 1 & 1), tb ? 1 : n, tb ? k : 1};
    for (int t = 0; t < tables; t++) {
        memcpy(out[t][0], in[2], (size_t)(m * c_row) * 4);
        g.c = out[t][0];
        if (add) g.init = types >> 2 ? g.c : in[2], g.init_row = c_row;
        (table[t] + precision)->gemm(&(yk_team){.threads = 1 + t % 3, .cache = {0, 1 << (12 + 2 * t), 1 << 20}}, &g);
    }
    same_bits(0, m * c_row);
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            float sum = contract_sum(add ? in[2][i * c_row + j] : 0.0f, in[0] + i * g.a.row, g.a.col,
                                     in[1] + j * g.b.col, g.b.row, k, precision);
            if (types >> 2) assert_memory_equal(&sum, &out[0][0][i * c_row + j], 4);
            else assert_true(rounded(sum, precision) == get(precision, out[0][0], i * c_row + j));
        }
}

static void gemm_is_the_sum(void **state)
{
    (void)state;
    static const int64_t shape[][3] = {{1, 1, 1},      {3, 17, 5},    {12, 32, 64},  {13, 33, 300},
                                       {70, 100, 257}, {200, 48, 16}, {2, 3, 4300}, {2100, 7, 2}};
    for (size_t s = 0; s < sizeof shape / sizeof *shape; s++)
        for (int kind = 0; kind < 64 * YK_PRECISIONS; kind++) {
            int64_t m = shape[s][0], n = shape[s][1], k = shape[s][2];
            yk_precision precision = (yk_precision)(kind / 64);
            if (m > 100 && kind % 9 != 0) continue;
            fill(in[0], m * k, 1, 1), fill(in[1], k * n, 2, kind & 4 ? 1 : 1e-4), fill(in[2], m * (n + 3), 3, 1);
            in[2][0] = 0x1p-130f, in[0][0] = 0x1p-57f, in[1][0] = -0x1p-60f, in[0][m * k / 2] = 1e-7f;
            put(precision, stored[0], in[0], m * k), put(precision, stored[1], in[1], k * n);
            check_product(shape[s], precision, kind & 1, kind & 2, kind & 4, kind >> 3 & 7);
        }
}

/* A product with a packed operand against that of portable without, in every way to store the rest. */
static void check_packed(int64_t m, int64_t n, int64_t k, yk_precision precision, bool tb, bool b_float, bool c_float)
{
    int64_t c_row = n + 5;
    yk_operand b = {b_float ? (void *)in[1] : stored[1], b_float ? YK_FLOAT : YK_STORED, tb ? 1 : n, tb ? k : 1};
    yk_gemm g = {.c_type = c_float ? YK_FLOAT : YK_STORED, .c_row = c_row, .a = {stored[0], YK_STORED, k, 1}, .b = b,
                 .m = m, .n = n, .k = k, .scratch = scratch};
    if (tb) g.init = in[2], g.init_row = b_float ? c_row : 0;
    for (int t = 0; t < tables; t++) memset(out[t][0], 0, (size_t)(m * c_row) * 4);
    g.c = out[0][0];
    (table[0] + precision)->gemm(&(yk_team){.threads = 2}, &g);
    for (int t = 0; t < tables; t++) {
        const yk_kernels *kernels = table[t] + precision;
        const yk_team team = {.threads = 1 + t % 3, .cache = {0, 1 << (12 + 2 * t), 1 << 20}};
        void *packed = kernels->alloc(kernels->packed_bytes(n, k));
        kernels->pack(&team, &(yk_pack){.packed = packed, .b = b, .n = n, .k = k});
        g.c = t ? out[t][0] : out[0][1];
        if (t == 0) memset(g.c, 0, (size_t)(m * c_row) * 4);
        g.b = (yk_operand){.data = packed, .type = YK_PACKED};
        kernels->gemm(&team, &g);
        kernels->free(packed);
    }
    same_bits(0, m * c_row);
    assert_memory_equal(out[0][1], out[0][0], m * c_row * 4);
}

static void gemm_of_packed_has_the_same_bits(void **state)
{
    (void)state;
    static const int64_t rows[] = {1, 2, 3, 7, 16, 17, 64, 200}, shape[][2] = {{1, 1}, {33, 47}, {100, 129}, {250, 64}};
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++)
        for (size_t s = 0; s < sizeof shape / sizeof *shape; s++)
            for (int kind = 0; kind < 8 * YK_PRECISIONS; kind++) {
                int64_t m = rows[r], n = shape[s][0], k = shape[s][1];
                yk_precision precision = (yk_precision)(kind / 8);
                fill(in[0], m * k, 1, 1), fill(in[1], k * n, 2, 1), fill(in[2], m * (n + 5), 3, 1);
                put(precision, stored[0], in[0], m * k), put(precision, stored[1], in[1], k * n);
                check_packed(m, n, k, precision, kind & 1, kind & 2, kind & 4);
            }
}

enum { NORM_ROWS = 9, NORM_GROUPS = 3, NORM_WIDTH = 48, NORM_ROW = NORM_GROUPS * NORM_WIDTH + 16 };

/* `y` of the backward pass is that of the forward pass. */
static void rmsnorm_case(yk_precision precision, yk_type x_type)
{
    enum { N = NORM_ROWS, G = NORM_GROUPS, C = NORM_WIDTH, ROW = NORM_ROW };
    static char forward[N * ROW * 4];
    for (int t = 0; t < tables; t++) {
        yk_rmsnorm a = {.y = out[t][0], .rstd = out[t][1], .x = x_type == YK_STORED ? stored[0] : in[0],
                        .x_type = x_type, .weight = in[1], .dy = in[2], .dx = out[t][2], .dweight = out[t][3],
                        .rows = N, .groups = G, .width = C, .x_row = ROW, .y_row = ROW, .dx_row = ROW, .dy_row = ROW,
                        .eps = 1e-5f};
        for (int i = 0; i < 4; i++) memset(out[t][i], 0, ROOM * 4);
        (table[t] + precision)->rmsnorm_forward(&(yk_team){.threads = 1 + t}, &a);
        memcpy(forward, out[t][0], sizeof forward);
        memset(out[t][0], 0, ROOM * 4);
        (table[t] + precision)->rmsnorm_backward(&(yk_team){.threads = 1 + t}, &a);
        assert_memory_equal(forward, out[t][0], sizeof forward);
    }
    same_stored(0, N * ROW, precision), same_bits(1, N * G), same_bits(2, N * ROW), same_bits(3, C);
    double dweight[C] = {0};
    for (int r = 0; r < N; r++)
        for (int g = 0; g < G; g++) {
            double square = 0, back = 0, x[C];
            const float *dy = in[2] + r * ROW + g * C;
            for (int c = 0; c < C; c++) {
                int at = r * ROW + g * C + c;
                x[c] = x_type == YK_STORED ? get(precision, stored[0], at) : in[0][at];
                square += x[c] * x[c];
                back += (double)dy[c] * in[1][c] * x[c];
            }
            double rstd = 1 / sqrt(square / C + 1e-5);
            for (int c = 0; c < C; c++) {
                close_to(get(precision, out[0][0], r * ROW + g * C + c), x[c] * rstd * in[1][c], grain(precision));
                double dx = rstd * (dy[c] * in[1][c] - x[c] * rstd * rstd * back / C);
                close_to(out[0][2][r * ROW + g * C + c], dx, 1e-5);
                dweight[c] += dy[c] * x[c] * rstd;
            }
        }
    for (int c = 0; c < C; c++) close_to(out[0][3][c], dweight[c], 1e-5);
}

static void rmsnorm_matches_its_definition(void **state)
{
    (void)state;
    fill(in[0], NORM_ROWS * NORM_ROW, 1, 2), fill(in[1], NORM_WIDTH, 2, 1), fill(in[2], NORM_ROWS * NORM_ROW, 3, 1);
    for (int precision = YK_FP32; precision < YK_PRECISIONS; precision++) {
        put(precision, stored[0], in[0], NORM_ROWS * NORM_ROW);
        rmsnorm_case(precision, YK_STORED);
        rmsnorm_case(precision, YK_FLOAT);
    }
}

static void layernorm_matches_its_definition(void **state)
{
    (void)state;
    enum { N = 7, C = 80 };
    fill(in[0], N * C, 1, 2), fill(in[1], 2 * C, 2, 1), fill(in[2], N * C, 3, 1);
    for (int p = YK_FP32; p < YK_PRECISIONS; p++) {
        for (int t = 0; t < tables; t++) {
            yk_layernorm a = {.y = out[t][0], .mean = out[t][1], .rstd = out[t][1] + N, .x = in[0], .weight = in[1],
                              .bias = in[1] + C, .dy = in[2], .dx = out[t][2], .dweight = out[t][3],
                              .dbias = out[t][3] + C, .rows = N, .width = C, .eps = 1e-5f};
            for (int i = 0; i < 4; i++) memset(out[t][i], 0, ROOM * 4);
            (table[t] + p)->layernorm_forward(&(yk_team){.threads = 1 + t}, &a);
            (table[t] + p)->layernorm_backward(&(yk_team){.threads = 1 + t}, &a);
        }
        same_stored(0, N * C, p), same_bits(1, 2 * N), same_bits(2, N * C), same_bits(3, 2 * C);
    }
    for (int r = 0; r < N; r++) {
        const float *x = in[0] + r * C, *dy = in[2] + r * C;
        double mean = 0, square = 0, mean_g = 0, mean_gh = 0;
        for (int c = 0; c < C; c++) mean += (double)x[c] / C;
        for (int c = 0; c < C; c++) square += (x[c] - mean) * (x[c] - mean) / C;
        double rstd = 1 / sqrt(square + 1e-5);
        for (int c = 0; c < C; c++) {
            mean_g += (double)dy[c] * in[1][c] / C;
            mean_gh += (double)dy[c] * in[1][c] * (x[c] - mean) * rstd / C;
        }
        for (int c = 0; c < C; c++) {
            double h = (x[c] - mean) * rstd;
            close_to(get(YK_FP16, out[0][0], r * C + c), h * in[1][c] + in[1][C + c], grain(YK_FP16));
            close_to(out[0][2][r * C + c], rstd * (dy[c] * in[1][c] - mean_g - h * mean_gh), 1e-5);
        }
    }
}

static void rope_turns_and_turns_back(void **state)
{
    (void)state;
    enum { N = 7, H = 3, D = 32 };
    int32_t position[N] = {0, 1, 2, 3, 0, 1, 5};
    for (int p = 0; p < 8; p++)
        for (int i = 0; i < D / 2; i++) {
            in[1][p * D / 2 + i] = (float)cos(p * pow(100, -i / 16.0));
            in[2][p * D / 2 + i] = (float)sin(p * pow(100, -i / 16.0));
        }
    fill(in[0], N * H * D, 1, 1);
    yk_rope a = {.type = YK_FLOAT, .position = position, .cosine = in[1], .sine = in[2], .rows = N, .heads = H,
                 .head_size = D, .x_row = H * D};
    for (int t = 0; t < tables; t++) {
        memcpy(out[t][0], in[0], N * H * D * 4);
        a.x = out[t][0], a.inverse = false;
        table[t]->rope(&(yk_team){.threads = 1 + t}, &a);
    }
    same_bits(0, N * H * D);
    for (int r = 0; r < N; r++)
        for (int h = 0; h < H; h++)
            for (int i = 0; i < D / 2; i++) {
                const float *x = in[0] + (r * H + h) * D;
                double angle = position[r] * pow(100, -i / 16.0);
                close_to(out[0][0][(r * H + h) * D + i], x[i] * cos(angle) - x[i + D / 2] * sin(angle), 1e-6);
            }
    a.x = out[0][0], a.inverse = true;
    table[0]->rope(&(yk_team){.threads = 1}, &a);
    for (int i = 0; i < N * H * D; i++) close_to(out[0][0][i], in[0][i], 1e-6);
    a.type = YK_STORED, a.inverse = false;
    for (int p = YK_FP32; p < YK_PRECISIONS; p++) {
        for (int t = 0; t < tables; t++) {
            put(p, a.x = out[t][0], in[0], N * H * D);
            (table[t] + p)->rope(&(yk_team){.threads = 1 + t}, &a);
        }
        same_stored(0, N * H * D, p);
        for (int i = 0; i < N * H * D; i += D) {
            const int32_t at = position[i / H / D];
            close_to(get(p, out[0][0], i), in[0][i] * cos(at) - in[0][i + D / 2] * sin(at), 3 * grain(p));
        }
    }
}

/* Backward in place: dx over x, y over dy. */
static void swiglu_matches_its_definition(void **state)
{
    (void)state;
    enum { N = 5, F = 64 };
    fill(in[0], N * 2 * F, 1, 3), fill(in[1], N * F, 2, 1);
    for (int p = YK_FP32; p < YK_PRECISIONS; p++) {
        put(p, stored[0], in[0], N * 2 * F);
        for (int t = 0; t < tables; t++) {
            put(p, out[t][1], in[0], 2 * N * F), put(p, out[t][2], in[1], N * F);
            yk_swiglu a = {.y = out[t][0], .x = stored[0], .rows = N, .width = F};
            (table[t] + p)->swiglu_forward(&(yk_team){.threads = 1 + t}, &a);
            a.x = a.dx = out[t][1], a.dy = a.y = out[t][2];
            (table[t] + p)->swiglu_backward(&(yk_team){.threads = 1 + t}, &a);
            assert_memory_equal(out[t][0], out[t][2], N * F * 2);
        }
        same_stored(0, N * F, p), same_stored(1, 2 * N * F, p), same_stored(2, N * F, p);
        for (int r = 0; r < N; r++)
            for (int i = 0; i < F; i++) {
                double g = get(p, stored[0], r * 2 * F + i), u = get(p, stored[0], r * 2 * F + F + i);
                double s = 1 / (1 + exp(-g));
                double dy = rounded(in[1][r * F + i], p);
                close_to(get(p, out[0][0], r * F + i), g * s * u, 2 * grain(p));
                close_to(get(p, out[0][1], r * 2 * F + i), dy * u * s * (1 + g * (1 - s)), 10 * grain(p));
                close_to(get(p, out[0][1], r * 2 * F + F + i), dy * g * s, 2 * grain(p));
            }
    }
}

static void gelu_matches_its_definition(void **state)
{
    (void)state;
    enum { N = 320 };
    fill(in[0], N, 1, 3), fill(in[1], N, 2, 1);
    for (int p = YK_FP32; p < YK_PRECISIONS; p++) {
        put(p, stored[0], in[0], N);
        for (int t = 0; t < tables; t++) {
            put(p, out[t][1], in[0], N), put(p, out[t][2], in[1], N);
            yk_gelu a = {.y = out[t][0], .x = stored[0], .n = N};
            (table[t] + p)->gelu_forward(&(yk_team){.threads = 1 + t}, &a);
            a.x = a.dx = out[t][1], a.dy = a.y = out[t][2];
            (table[t] + p)->gelu_backward(&(yk_team){.threads = 1 + t}, &a);
            assert_memory_equal(out[t][0], out[t][2], N * 2);
        }
        same_stored(0, N, p), same_stored(1, N, p), same_stored(2, N, p);
        for (int i = 0; i < N; i++) {
            double x = get(p, stored[0], i), root = sqrt(2 / M_PI), th = tanh(root * (x + 0.044715 * x * x * x));
            double slope = (1 + th) / 2 + x / 2 * (1 - th * th) * root * (1 + 3 * 0.044715 * x * x);
            close_to(get(p, out[0][0], i), x * (1 + th) / 2, 2 * grain(p));
            close_to(get(p, out[0][1], i), rounded(in[1][i], p) * slope, 4 * grain(p));
        }
    }
}

/* Gradients in place of the logits. */
static void cross_entropy_matches_its_definition(void **state)
{
    (void)state;
    enum { N = 6, V = 103 };
    int32_t target[N] = {0, 102, 50, 3, 7, 9}, best[TABLES][N];
    float weight[N] = {1, 1, 0.5f, 0, 1, 1};
    fill(in[0], N * V, 1, 3);
    for (int p = YK_FP32; p < YK_PRECISIONS; p++) {
        int64_t d_row = V * 4 / yk_type_size(table[0] + p, YK_STORED);
        for (int t = 0; t < tables; t++) {
            memcpy(out[t][0], in[0], N * V * 4);
            memset(out[t][2], 0, ROOM * 4);
            (table[t] + p)->cross_entropy(&(yk_team){.threads = 1 + t},
                                          &(yk_cross_entropy){.logits = out[t][0], .dlogits = out[t][0], .d_row = d_row,
                                                              .target = target, .weight = weight, .loss = out[t][1],
                                                              .best = best[t], .rows = N, .vocab = V, .z = 1e-3f});
            for (int r = 0; r < N; r++)
                for (int i = 0; i < V; i++) out[t][2][r * V + i] = get(p, out[t][0], r * d_row + i);
            assert_memory_equal(best[t], best[0], sizeof best[0]);
        }
        same_bits(1, N), same_bits(2, N * V);
        for (int r = 0; r < N; r++) {
            const float *x = in[0] + r * V;
            double sum = 0;
            int top = 0;
            for (int i = 0; i < V; i++) {
                sum += exp((double)x[i]);
                if (x[i] > x[top]) top = i;
            }
            assert_int_equal(best[0][r], weight[r] > 0 ? top : -1);
            close_to(out[0][1][r], weight[r] * (log(sum) - x[target[r]]), 1e-6);
            for (int i = 0; i < V; i++)
                close_to(out[0][2][r * V + i],
                         weight[r] * ((1 + 2e-3 * log(sum)) * exp((double)x[i]) / sum - (i == target[r])), grain(p));
        }
    }
}

/* Loss and gradient of a row in double precision. */
static double distilled(const float *x, const float *t, int vocab, int target, double mix, double tau, double *slope)
{
    double sum = 0, cooled = 0, taught = 0, divergence = 0;
    for (int i = 0; i < vocab; i++) {
        sum += exp((double)x[i]);
        cooled += exp((double)x[i] / tau);
        taught += exp((double)t[i] / tau);
    }
    for (int i = 0; i < vocab; i++) {
        double p = exp((double)x[i] / tau) / cooled, q = exp((double)t[i] / tau) / taught;
        divergence += q * log(q / p);
        slope[i] = (1 - mix) * (exp((double)x[i]) / sum - (i == target)) + mix * tau * (p - q);
    }
    return (1 - mix) * (log(sum) - (double)x[target]) + mix * tau * tau * divergence;
}

static void distillation_matches_its_definition(void **state)
{
    (void)state;
    enum { N = 6, V = 103 };
    static const struct { float mix, tau; } cases[] = {{0.5f, 2}, {1, 1}, {0, 3}, {0.9f, 0.5f}};
    int32_t target[N] = {0, 102, 50, 3, 7, 9};
    float weight[N] = {1, 1, 0.5f, 0, 1, -2};
    fill(in[0], N * V, 1, 3), fill(in[1], N * V, 2, 3);
    for (int c = 0; c < 4 * YK_PRECISIONS; c++) {
        const yk_precision p = (yk_precision)(c / 4);
        const double mix = (double)cases[c % 4].mix, tau = (double)cases[c % 4].tau;
        int64_t d_row = V * 4 / yk_type_size(table[0] + p, YK_STORED);
        for (int t = 0; t < tables; t++) {
            memcpy(out[t][0], in[0], N * V * 4);
            (table[t] + p)->distillation(&(yk_team){.threads = 1 + t},
                                         &(yk_distillation){.logits = out[t][0], .teacher = in[1], .dlogits = out[t][0],
                                                            .d_row = d_row, .target = target, .weight = weight,
                                                            .loss = out[t][1], .rows = N, .vocab = V,
                                                            .mix = cases[c % 4].mix, .tau = cases[c % 4].tau});
            for (int r = 0; r < N; r++)
                for (int i = 0; i < V; i++) out[t][2][r * V + i] = get(p, out[t][0], r * d_row + i);
        }
        same_bits(1, N), same_bits(2, N * V);
        for (int r = 0; r < N; r++) {
            double slope[V], w = (double)weight[r];
            close_to((double)out[0][1][r], w * distilled(in[0] + r * V, in[1] + r * V, V, target[r], mix, tau, slope),
                     2e-6);
            for (int i = 0; i < V; i++) close_to((double)out[0][2][r * V + i], w * slope[i], 2 * grain(p));
        }
    }
}

/* One document after another, causal and not, with grouped heads; the definition in double precision. */
enum { AN = 200, AH = 4, AK = 2, AD = 32, AQ = AH * AD, AKV = 2 * AK * AD };

static yk_attention attention_case(yk_precision precision, int t, const yk_segment *segment, int segments)
{
    int64_t half = AK * AD * yk_type_size(table[0] + precision, YK_STORED);
    return (yk_attention){.o = out[t][0], .lse = out[t][1], .q = stored[0], .k = stored[1],
                          .v = (char *)stored[1] + half, .d_o = stored[2], .dq = out[t][2], .dk = out[t][3],
                          .dv = out[t][3] + AK * AD, .segment = segment, .segments = segments, .heads = AH,
                          .kv_heads = AK, .head_size = AD, .q_row = AQ, .k_row = AKV, .v_row = AKV, .o_row = AQ,
                          .dq_row = AQ, .dkv_row = AKV, .scale = 0.2f, .scratch = scratch};
}

static void attention_is_near(yk_precision precision, const yk_segment *segment, int segments, double tolerance)
{
    static double dq[AN * AQ], dkv[AN * AKV];
    memset(dq, 0, sizeof dq), memset(dkv, 0, sizeof dkv);
    for (int s = 0; s < segments; s++)
        for (int h = 0; h < AH; h++)
            for (int i = 0; i < segment[s].count; i++) {
                int row = segment[s].query + i, last = segment[s].causal ? i + 1 : segment[s].keys, kh = h / (AH / AK);
                double p[AN], sum = 0, o[AD] = {0}, delta = 0;
                for (int j = 0; j < last; j++) {
                    double dot = 0;
                    for (int d = 0; d < AD; d++)
                        dot += (double)in[0][row * AQ + h * AD + d] * in[1][(segment[s].key + j) * AKV + kh * AD + d];
                    p[j] = exp(0.2f * dot);
                    sum += p[j];
                }
                for (int j = 0; j < last; j++)
                    for (int d = 0; d < AD; d++)
                        o[d] += (p[j] /= d ? 1 : sum) * in[1][(segment[s].key + j) * AKV + (AK + kh) * AD + d];
                close_to(out[0][1][row * AH + h], log(sum), tolerance);
                for (int d = 0; d < AD; d++) {
                    close_to(get(precision, out[0][0], row * AQ + h * AD + d), o[d], tolerance);
                    delta += o[d] * in[2][row * AQ + h * AD + d];
                }
                for (int j = 0; j < last; j++) {
                    const float *k = in[1] + (segment[s].key + j) * AKV + kh * AD, *v = k + AK * AD;
                    double *dk = dkv + (segment[s].key + j) * AKV + kh * AD, *dv = dk + AK * AD, dp = 0;
                    for (int d = 0; d < AD; d++) dp += (double)in[2][row * AQ + h * AD + d] * v[d];
                    double ds = 0.2f * p[j] * (dp - delta);
                    for (int d = 0; d < AD; d++) {
                        dq[row * AQ + h * AD + d] += ds * k[d];
                        dk[d] += ds * in[0][row * AQ + h * AD + d];
                        dv[d] += p[j] * in[2][row * AQ + h * AD + d];
                    }
                }
            }
    for (int i = 0; i < AN * AQ; i++) close_to(out[0][2][i], dq[i], tolerance);
    for (int i = 0; i < AN * AKV; i++) close_to(out[0][3][i], dkv[i], tolerance);
}

static void attention_matches_its_definition(void **state)
{
    (void)state;
    static const yk_segment segment[] = {{0, 0, 0, 130, 130, 1}, {130, 130, 0, 1, 1, 1}, {131, 131, 0, 69, 69, 0}};
    fill(in[0], AN * AQ, 1, 1), fill(in[1], AN * AKV, 2, 1), fill(in[2], AN * AQ, 3, 1);
    for (int precision = YK_PRECISIONS - 1; precision >= YK_FP32; precision--) {
        put(precision, stored[0], in[0], AN * AQ), put(precision, stored[1], in[1], AN * AKV);
        put(precision, stored[2], in[2], AN * AQ);
        for (int t = 0; t < tables; t++) {
            yk_attention a = attention_case(precision, t, segment, 3);
            (table[t] + precision)->attention_forward(&(yk_team){.threads = 1 + t}, &a);
            (table[t] + precision)->attention_backward(&(yk_team){.threads = 1 + t}, &a);
        }
        same_stored(0, AN * AQ, precision), same_bits(1, AN * AH), same_bits(2, AN * AQ), same_bits(3, AN * AKV);
        attention_is_near(precision, segment, 3, precision == YK_FP32 ? 2e-5 : precision == YK_FP16 ? 5e-3 : 4e-2);
    }
}

/* A row has the same bits computed alone, as decoding does, and in the whole document. */
static void attention_of_a_row_stands_alone(void **state)
{
    (void)state;
    const yk_segment whole = {0, 0, 0, 130, 130, 1};
    fill(in[0], AN * AQ, 1, 9), fill(in[1], AN * AKV, 2, 9);
    for (int precision = YK_FP32; precision < YK_PRECISIONS; precision++) {
        put(precision, stored[0], in[0], AN * AQ), put(precision, stored[1], in[1], AN * AKV);
        yk_attention a = attention_case(precision, 0, &whole, 1);
        (table[0] + precision)->attention_forward(&(yk_team){.threads = 1}, &a);
        for (int i = 0; i < 130; i++) {
            const yk_segment one = {i, 0, i, 1, i + 1, 1};
            a = attention_case(precision, 1, &one, 1);
            (table[tables - 1] + precision)->attention_forward(&(yk_team){.threads = 2}, &a);
        }
        assert_memory_equal(out[0][0], out[1][0], 130 * AQ * yk_type_size(table[0] + precision, YK_STORED));
        assert_memory_equal(out[0][1], out[1][1], 130 * AH * 4);
    }
}

static void adamw_matches_its_definition(void **state)
{
    (void)state;
    enum { N = 1003 };
    fill(in[0], N, 1, 1), fill(in[1], N, 2, 1), fill(in[2], N, 3, 0.1), fill(in[3], N, 4, 0.1);
    for (int i = 0; i < N; i++) in[3][i] *= in[3][i];
    for (int t = 0; t < tables; t++) {
        for (int i = 0; i < 4; i++) memcpy(out[t][i], in[i], N * 4);
        const yk_adamw a = {.weight = out[t][0], .gradient = out[t][1], .m = out[t][2], .v = out[t][3], .n = N,
                            .scale = 0.5f, .lr = 0.01f, .beta1 = 0.9f, .beta2 = 0.95f, .eps = 1e-8f, .decay = 0.1f,
                            .bias1 = 0.271f, .bias2 = 0.142625f};
        table[t]->adamw(&(yk_team){.threads = 1 + t}, &a);
    }
    for (int i = 0; i < 4; i++) same_bits(i, N);
    for (int i = 0; i < N; i++) {
        double g = 0.5 * in[1][i], m = 0.9f * in[2][i] + (1 - 0.9f) * g, v = 0.95f * in[3][i] + (1 - 0.95f) * g * g;
        double w = in[0][i] - 0.01f * (m / 0.271f) / (sqrt(v / 0.142625f) + 1e-8) - 0.01f * 0.1f * in[0][i];
        close_to(out[0][0][i], w, 1e-6);
        assert_true(out[0][1][i] == 0.0f);
    }
}

static void nesterov_matches_its_definition(void **state)
{
    (void)state;
    enum { N = 1003 };
    fill(in[0], N, 1, 1), fill(in[1], N, 2, 1), fill(in[2], N, 3, 0.1);
    for (int t = 0; t < tables; t++) {
        for (int i = 0; i < 2; i++) memcpy(out[t][i], in[2 * i], N * 4);
        const yk_nesterov a = {.weight = out[t][0], .velocity = out[t][1], .gradient = in[1], .n = N, .scale = 0.25f,
                               .lr = 0.7f, .momentum = 0.9f};
        table[t]->nesterov(&(yk_team){.threads = 1 + t}, &a);
    }
    for (int i = 0; i < 2; i++) same_bits(i, N);
    for (int i = 0; i < N; i++) {
        const double g = 0.25 * in[1][i], velocity = 0.9f * in[2][i] + g;
        close_to(out[0][1][i], velocity, 1e-6);
        close_to(out[0][0][i], in[0][i] - 0.7f * (g + 0.9f * velocity), 1e-6);
    }
}

static void sums_and_copies(void **state)
{
    (void)state;
    enum { N = 3 * YK_SUM_BLOCK + 77, R = 10, W = 48 };
    double partial[TABLES][4], sum = 0;
    int32_t id[R] = {3, 1, 3, 0, 2, 2, 2, 1, 3, 3};
    fill(in[0], N, 1, 1), fill(in[1], N, 2, 1);
    for (int t = 0; t < tables; t++) {
        table[t]->sum_squares(&(yk_team){.threads = 1 + t}, &(yk_sum_squares){in[0], N, partial[t]});
        assert_memory_equal(partial[t], partial[0], sizeof partial[0]);
        table[t]->add(&(yk_team){.threads = 1 + t}, &(yk_add){out[t][0], in[0], in[1], N});
        table[t]->subtract(&(yk_team){.threads = 1 + t}, &(yk_add){out[t][3], out[t][0], in[1], N});
        memset(out[t][1], 0, ROOM * 4);
        const yk_embed e = {.y = out[t][2], .table = in[1], .dy = in[0], .dtable = out[t][1], .id = id, .rows = R,
                            .width = W};
        table[t]->embed_forward(&(yk_team){.threads = 1 + t}, &e);
        table[t]->embed_backward(&(yk_team){.threads = 1 + t}, &e);
    }
    same_bits(0, N), same_bits(1, 4 * W), same_bits(2, R * W), same_bits(3, N);
    for (int i = 0; i < N; i++) close_to(out[0][3][i], in[0][i], 1e-6);
    for (int i = 0; i < N; i++) sum += (double)in[0][i] * in[0][i];
    close_to(partial[0][0] + partial[0][1] + partial[0][2] + partial[0][3], sum, 1e-13);
    for (int r = 0; r < R; r++) assert_memory_equal(out[0][2] + r * W, in[1] + id[r] * W, W * 4);
    for (int c = 0; c < W; c++)
        close_to(out[0][1][3 * W + c], (double)in[0][c] + in[0][2 * W + c] + in[0][8 * W + c] + in[0][9 * W + c], 1e-6);
}

static void unknown_sets_are_refused(void **state)
{
    (void)state;
    yk_error err;
    const yk_kernels *k;
    assert_int_equal(yk_kernels_pick(&k, "avx1024", YK_FP32, &err), YK_ERR_USAGE);
    assert_non_null(strstr(err.text, "portable"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gemm_is_the_sum),
        cmocka_unit_test(gemm_of_packed_has_the_same_bits),
        cmocka_unit_test(rmsnorm_matches_its_definition),
        cmocka_unit_test(layernorm_matches_its_definition),
        cmocka_unit_test(rope_turns_and_turns_back),
        cmocka_unit_test(swiglu_matches_its_definition),
        cmocka_unit_test(gelu_matches_its_definition),
        cmocka_unit_test(cross_entropy_matches_its_definition),
        cmocka_unit_test(distillation_matches_its_definition),
        cmocka_unit_test(attention_matches_its_definition),
        cmocka_unit_test(attention_of_a_row_stands_alone),
        cmocka_unit_test(adamw_matches_its_definition),
        cmocka_unit_test(nesterov_matches_its_definition),
        cmocka_unit_test(sums_and_copies),
        cmocka_unit_test(unknown_sets_are_refused),
    };
    return cmocka_run_group_tests_name("kernels", tests, set_up, tear_down);
}
