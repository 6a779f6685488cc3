/* Every table against double-precision definitions, and bit for bit against the portable one. */
#include "tables.h"

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

static void subtract_matches_its_definition(void **state)
{
    (void)state;
    enum { N = 1003 };
    fill(in[0], N, 1, 1), fill(in[1], N, 2, 1);
    for (int t = 0; t < tables; t++)
        table[t]->subtract(&(yk_team){.threads = 1 + t}, &(yk_add){.y = out[t][0], .a = in[0], .b = in[1], .n = N});
    same_bits(0, N);
    for (int i = 0; i < N; i++) assert_true(out[0][0][i] == in[0][i] - in[1][i]);
}

static void sums_and_copies(void **state)
{
    (void)state;
    enum { N = 3 * YK_SUM_BLOCK + 77, R = 10, W = 48 };
    static uint16_t half[TABLES][N];
    double partial[TABLES][4], sum = 0;
    int32_t id[R] = {3, 1, 3, 0, 2, 2, 2, 1, 3, 3};
    fill(in[0], N, 1, 1), fill(in[1], N, 2, 1);
    for (int t = 0; t < tables; t++) {
        table[t]->sum_squares(&(yk_team){.threads = 1 + t}, &(yk_sum_squares){in[0], N, partial[t]});
        assert_memory_equal(partial[t], partial[0], sizeof partial[0]);
        table[t]->add(&(yk_team){.threads = 1 + t}, &(yk_add){.y = out[t][0], .a = in[0], .b = in[1], .n = N});
        table[t]->round(&(yk_team){.threads = 1 + t}, &(yk_round){half[t], in[1], N});
        table[t]->add(&(yk_team){.threads = 1 + t}, &(yk_add){out[t][3], in[0], in[1], N, .rounds = true});
        table[t]->add(&(yk_team){.threads = 1 + t}, &(yk_add){out[t][2], in[0], NULL, N, true, half[t]});
        assert_memory_equal(out[t][3], out[t][2], N * sizeof **out[t]);
        memset(out[t][1], 0, ROOM * 4);
        const yk_embed e = {.y = out[t][2], .table = in[1], .dy = in[0], .dtable = out[t][1], .id = id, .rows = R,
                            .width = W};
        table[t]->embed_forward(&(yk_team){.threads = 1 + t}, &e);
        table[t]->embed_backward(&(yk_team){.threads = 1 + t}, &e);
    }
    same_bits(0, N), same_bits(1, 4 * W), same_bits(2, R * W), same_bits(3, N);
    for (int i = 0; i < N; i++)
        assert_true(fabsf(out[0][3][i] - out[0][0][i]) <= 0x1p-8f * (fabsf(in[0][i]) + fabsf(in[1][i])));
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
        cmocka_unit_test(adamw_matches_its_definition),
        cmocka_unit_test(nesterov_matches_its_definition),
        cmocka_unit_test(subtract_matches_its_definition),
        cmocka_unit_test(sums_and_copies),
        cmocka_unit_test(unknown_sets_are_refused),
    };
    return cmocka_run_group_tests_name("kernels", tests, set_up, tear_down);
}
