/* Kernels of mixtures of experts against their definitions, and every table bit for bit against the portable one. */
#include "tables.h"

enum { ROWS = 23, EXPERTS = 7, CHOSEN = 3, PLACES = ROWS * CHOSEN, WIDTH = 48 };
static const yk_segment segments[] = {{0, 0, 0, 9, 9, 1}, {9, 9, 0, 1, 1, 1}, {10, 10, 0, 13, 13, 1}};
enum { SEGMENTS = sizeof segments / sizeof *segments };

static float affinity[ROWS * EXPERTS], bias[EXPERTS];
static int32_t expert[PLACES], place[PLACES], row[PLACES], first[EXPERTS + 1];
static int32_t term[2 * PLACES], first_term[EXPERTS + 1];
static float gate[PLACES], load[EXPERTS];

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

/* How many experts of a row stand before expert e: those with more, or as much and a lower number. */
static int ahead(const float *s, int e)
{
    int n = 0;
    for (int other = 0; other < EXPERTS; other++) {
        float a = s[other] + bias[other], b = s[e] + bias[e];
        n += a > b || (a == b && other < e);
    }
    return n;
}

static void route(const float *logits, const yk_kernels *k, int threads)
{
    memcpy(affinity, logits, sizeof affinity);
    k->route(&(yk_team){.threads = threads}, &(yk_route){.affinity = affinity, .bias = bias, .expert = expert,
                                                         .rows = ROWS, .experts = EXPERTS, .chosen = CHOSEN});
}

static void the_highest_are_chosen_and_the_lower_of_equals(void **state)
{
    (void)state;
    float before[ROWS * EXPERTS];
    int32_t chosen[PLACES];
    fill(in[0], ROWS * EXPERTS, 1, 2);
    for (int i = 0; i < EXPERTS; i++) bias[i] = (float)(i % 3) * 0.1f;
    for (int e = 0; e < EXPERTS; e++) in[0][e] = 0.5f - 4.0f * (float)(e % 2); /* equal ones */
    for (int t = 0; t < tables; t++) {
        route(in[0], table[t], 1 + t);
        if (t == 0) memcpy(before, affinity, sizeof before), memcpy(chosen, expert, sizeof chosen);
        assert_memory_equal(affinity, before, sizeof before);
        assert_memory_equal(expert, chosen, sizeof chosen);
    }
    for (int r = 0; r < ROWS; r++) {
        const float *s = affinity + r * EXPERTS;
        for (int e = 0; e < EXPERTS; e++) close_to((double)s[e], sigmoid((double)in[0][r * EXPERTS + e]), 1e-6);
        for (int j = 0; j < CHOSEN; j++) {
            assert_true(ahead(s, expert[r * CHOSEN + j]) < CHOSEN);
            assert_true(j == 0 || expert[r * CHOSEN + j] > expert[r * CHOSEN + j - 1]);
        }
    }
    for (int i = 0; i < EXPERTS; i++) in[0][i] = NAN; /* chooses, whatever */
    route(in[0], table[tables - 1], 1);
    for (int j = 0; j < CHOSEN; j++) assert_int_equal(expert[j], j);
}

static void sort_rows(const yk_kernels *k, int threads, float scale)
{
    memset(load, 0, sizeof load);
    k->sort_rows(&(yk_team){.threads = threads},
                 &(yk_sort_rows){.place = place, .row = row, .first = first, .gate = gate, .term = term,
                                 .first_term = first_term, .load = load, .expert = expert, .affinity = affinity,
                                 .segment = segments, .segments = SEGMENTS, .rows = ROWS, .experts = EXPERTS,
                                 .chosen = CHOSEN, .scale = scale});
}

static int segment_of(int32_t r)
{
    return r < segments[1].query ? 0 : r < segments[2].query ? 1 : 2;
}

/* Of expert e's terms: its places in order, filled up with -1 where a segment ends at an odd number. */
static void check_terms(int e)
{
    int32_t next = first[e];
    for (int32_t i = first_term[e]; i < first_term[e + 1]; i++) {
        const bool odd = (i - first_term[e]) % 2;
        const bool ends = next > first[e] &&
                          (next == first[e + 1] || segment_of(row[next]) != segment_of(row[next - 1]));
        if (odd && ends)
            assert_int_equal(term[i], -1);
        else
            assert_int_equal(term[i], next++);
    }
    assert_int_equal(next, first[e + 1]);
    assert_int_equal((first_term[e + 1] - first_term[e]) % 2, 0);
}

static void rows_are_sorted_by_expert(void **state)
{
    (void)state;
    float gates[PLACES];
    fill(in[0], ROWS * EXPERTS, 1, 2);
    memset(bias, 0, sizeof bias);
    route(in[0], table[0], 1);
    for (int t = 0; t < tables; t++) {
        sort_rows(table[t], 1 + t, 1.5f);
        if (t == 0) memcpy(gates, gate, sizeof gates);
        assert_memory_equal(gate, gates, sizeof gates);
    }
    assert_int_equal(first[0], 0);
    assert_int_equal(first[EXPERTS], PLACES);
    for (int e = 0; e < EXPERTS; e++) {
        for (int32_t i = first[e]; i < first[e + 1]; i++) assert_true(i == first[e] || row[i] > row[i - 1]);
        assert_true(load[e] == (float)(first[e + 1] - first[e]));
        check_terms(e);
    }
    for (int r = 0; r < ROWS; r++) {
        double sum = 0;
        for (int j = 0; j < CHOSEN; j++) sum += (double)affinity[r * EXPERTS + expert[r * CHOSEN + j]];
        for (int j = 0; j < CHOSEN; j++) {
            const int32_t e = expert[r * CHOSEN + j], p = place[r * CHOSEN + j];
            assert_int_equal(row[p], r);
            assert_true(p >= first[e] && p < first[e + 1]);
            close_to((double)gate[p], 1.5 * (double)affinity[r * EXPERTS + e] / sum, 1e-6);
        }
    }
}

/* Sum over chosen of dgate gate, and the balance loss of all segments, of given logits with the choice as it is. */
static double loss_of(const double *logits, const float *dgate, const float *weight, double scale, double balance)
{
    double loss = 0;
    for (int g = 0; g < SEGMENTS; g++) {
        const int begin = segments[g].query, T = segments[g].count;
        double f[EXPERTS] = {0}, P[EXPERTS] = {0}, W = 0;
        for (int r = begin; r < begin + T; r++) {
            double all = 0, sum = 0;
            W += (double)weight[r];
            for (int e = 0; e < EXPERTS; e++) all += sigmoid(logits[r * EXPERTS + e]);
            for (int e = 0; e < EXPERTS; e++) P[e] += sigmoid(logits[r * EXPERTS + e]) / all / T;
            for (int j = 0; j < CHOSEN; j++) sum += sigmoid(logits[r * EXPERTS + expert[r * CHOSEN + j]]);
            for (int j = 0; j < CHOSEN; j++) {
                const int32_t e = expert[r * CHOSEN + j];
                f[e] += (double)EXPERTS / (CHOSEN * T);
                loss += (double)dgate[place[r * CHOSEN + j]] * scale * sigmoid(logits[r * EXPERTS + e]) / sum;
            }
        }
        for (int e = 0; e < EXPERTS; e++) loss += balance * W * f[e] * P[e];
    }
    return loss;
}

static void slopes_match_finite_differences(void **state)
{
    (void)state;
    static double logits[ROWS * EXPERTS];
    float weight[ROWS];
    const float scale = 1.5f, balance = 0.3f;
    const double h = 1e-4;
    fill(in[0], ROWS * EXPERTS, 1, 2), fill(in[1], PLACES, 2, 1);
    for (int r = 0; r < ROWS; r++) weight[r] = r % 4 ? 1.0f : 0.0f;
    route(in[0], table[0], 1);
    sort_rows(table[0], 1, scale);
    for (int t = 0; t < tables; t++)
        table[t]->route_backward(
            &(yk_team){.threads = 1 + t},
            &(yk_route_slope){.slope = out[t][0], .affinity = affinity, .expert = expert, .place = place, .gate = gate,
                              .dgate = in[1], .weight = weight, .segment = segments, .segments = SEGMENTS,
                              .rows = ROWS, .experts = EXPERTS, .chosen = CHOSEN, .scale = scale, .balance = balance});
    same_bits(0, ROWS * EXPERTS);
    for (int i = 0; i < ROWS * EXPERTS; i++) logits[i] = (double)in[0][i];
    for (int i = 0; i < ROWS * EXPERTS; i++) {
        double side[2];
        for (int s = 0; s < 2; s++) {
            logits[i] += s ? -2 * h : h;
            side[s] = loss_of(logits, in[1], weight, (double)scale, (double)balance);
        }
        logits[i] += h;
        close_to((double)out[0][0][i], (side[0] - side[1]) / (2 * h), 2e-6);
    }
}

static void rows_are_gathered_and_combined(void **state)
{
    (void)state;
    fill(in[0], ROWS * EXPERTS, 1, 2), fill(in[1], PLACES * WIDTH, 2, 1), fill(in[2], ROWS * WIDTH, 3, 1);
    route(in[0], table[0], 1);
    sort_rows(table[0], 1, 1);
    for (int p = YK_FP32; p < YK_PRECISIONS; p++) {
        put(p, stored[0], in[2], ROWS * WIDTH);
        for (int t = 0; t < tables; t++) {
            const yk_team team = {.threads = 1 + t};
            const yk_kernels *k = table[t] + p;
            k->gather(&team, &(yk_gather){.y = out[t][0], .y_type = YK_STORED, .x = in[2], .x_type = YK_FLOAT,
                                          .row = row, .rows = PLACES, .width = WIDTH});
            k->gather(&team, &(yk_gather){.y = out[t][1], .y_type = YK_FLOAT, .x = stored[0], .x_type = YK_STORED,
                                          .rows = ROWS, .width = WIDTH});
            k->combine(&team, &(yk_combine){.y = out[t][2], .init = in[2], .x = in[1], .place = place, .rows = ROWS,
                                            .width = WIDTH, .chosen = CHOSEN});
        }
        same_stored(0, PLACES * WIDTH, p), same_bits(1, ROWS * WIDTH), same_bits(2, ROWS * WIDTH);
        for (int i = 0; i < PLACES * WIDTH; i++)
            assert_true(get(p, out[0][0], i) == rounded(in[2][row[i / WIDTH] * WIDTH + i % WIDTH], p));
        for (int i = 0; i < ROWS * WIDTH; i++) {
            float sum = in[2][i];
            assert_true(out[0][1][i] == rounded(in[2][i], p));
            for (int j = 0; j < CHOSEN; j++) sum += in[1][place[i / WIDTH * CHOSEN + j] * WIDTH + i % WIDTH];
            assert_true(out[0][2][i] == sum);
        }
    }
}

static void swiglu_with_factors_matches_its_definition(void **state)
{
    (void)state;
    enum { N = 5, F = 64 };
    fill(in[0], N * 2 * F, 1, 3), fill(in[1], N * F, 2, 1), fill(in[2], N, 3, 1);
    for (int p = YK_FP32; p < YK_PRECISIONS; p++) {
        put(p, stored[0], in[0], N * 2 * F);
        for (int t = 0; t < tables; t++) {
            put(p, out[t][1], in[0], 2 * N * F), put(p, out[t][2], in[1], N * F);
            yk_swiglu a = {.y = out[t][0], .x = stored[0], .rows = N, .width = F, .factor = in[2],
                           .dfactor = out[t][3]};
            (table[t] + p)->swiglu_forward(&(yk_team){.threads = 1 + t}, &a);
            a.x = a.dx = out[t][1], a.dy = a.y = out[t][2];
            (table[t] + p)->swiglu_backward(&(yk_team){.threads = 1 + t}, &a);
            assert_memory_equal(out[t][0], out[t][2], N * F * 2);
        }
        same_stored(0, N * F, p), same_stored(1, 2 * N * F, p), same_bits(3, N);
        for (int r = 0; r < N; r++) {
            double slope = 0;
            for (int i = 0; i < F; i++) {
                double g = (double)get(p, stored[0], r * 2 * F + i), u = (double)get(p, stored[0], r * 2 * F + F + i);
                double s = sigmoid(g), dy = (double)rounded(in[1][r * F + i], p), c = (double)in[2][r];
                slope += dy * g * s * u;
                close_to((double)get(p, out[0][0], r * F + i), c * g * s * u, 2 * grain(p));
                close_to((double)get(p, out[0][1], r * 2 * F + i), c * dy * u * s * (1 + g * (1 - s)), 10 * grain(p));
                close_to((double)get(p, out[0][1], r * 2 * F + F + i), c * dy * g * s, 2 * grain(p));
            }
            close_to((double)out[0][3][r], slope, 1e-5);
        }
    }
}

/* dw of each expert: c[m,n] += sum over its terms of a[term,:]^T b[term,:]. */
enum { M = 40, N = 33 };
static yk_gemm dw_of(int e, float *c, bool listed)
{
    yk_gemm g = {.c = c + e * M * N, .c_type = YK_FLOAT, .c_row = N, .a = {stored[0], YK_STORED, 1, M},
                 .b = {stored[1], YK_STORED, N, 1}, .init = in[2], .init_row = N, .m = M, .n = N,
                 .k = first_term[e + 1] - first_term[e], .scratch = scratch};
    if (listed) g.term = term + first_term[e];
    return g;
}

/* The same product with the terms that the list names copied, and zeros where it names none. */
static void product_of_copies(int e, yk_precision p, float *c)
{
    static float a[2 * PLACES * M], b[2 * PLACES * N];
    const int64_t size = yk_type_size(table[0] + p, YK_STORED), k = first_term[e + 1] - first_term[e];
    yk_gemm g = dw_of(e, c, false);
    memset(a, 0, sizeof a), memset(b, 0, sizeof b);
    for (int64_t i = 0; i < k; i++) {
        const int32_t at = term[first_term[e] + i];
        if (at < 0) continue;
        memcpy((char *)a + i * M * size, (char *)stored[0] + at * M * size, (size_t)(M * size));
        memcpy((char *)b + i * N * size, (char *)stored[1] + at * N * size, (size_t)(N * size));
    }
    g.a.data = a, g.b.data = b;
    if (k > 0) (table[0] + p)->gemm(&(yk_team){.threads = 1}, &g);
}

static void products_of_listed_terms_are_those_of_copies(void **state)
{
    (void)state;
    fill(in[0], ROWS * EXPERTS, 1, 2);
    bias[2] = -9; /* has no rows */
    route(in[0], table[0], 1);
    sort_rows(table[0], 1, 1);
    bias[2] = 0;
    assert_int_equal(first_term[2], first_term[3]);
    for (int p = YK_FP32; p < YK_PRECISIONS; p++) {
        fill(in[0], PLACES * M, 1, 1), fill(in[1], PLACES * N, 2, 1), fill(in[2], M * N, 3, 1);
        put(p, stored[0], in[0], PLACES * M), put(p, stored[1], in[1], PLACES * N);
        memset(out[0][1], 0, EXPERTS * M * N * 4);
        for (int e = 0; e < EXPERTS; e++) product_of_copies(e, p, out[0][1]);
        for (int t = 0; t < tables; t++) {
            yk_gemm g[EXPERTS];
            const yk_team team = {.threads = 1 + t, .cache = {0, 1 << (12 + 2 * t), 1 << 20}};
            memset(out[t][0], 0, EXPERTS * M * N * 4);
            for (int e = 0; e < EXPERTS; e++) g[e] = dw_of(e, out[t][0], true);
            (table[t] + p)->gemm_group(&team, &(yk_gemm_group){g, EXPERTS, scratch});
        }
        same_bits(0, EXPERTS * M * N);
        assert_memory_equal(out[0][0], out[0][1], EXPERTS * M * N * 4);
    }
}

/* Rows of experts by their weights [N,M], packed or not, c stored or not, against one product after another. */
static void check_group(yk_precision p, bool packs, yk_type c_type)
{
    const int64_t size = c_type == YK_FLOAT ? 4 : yk_type_size(table[0] + p, YK_STORED);
    for (int t = 0; t < tables; t++) {
        const yk_kernels *k = table[t] + p;
        const yk_team team = {.threads = 1 + 3 * (t % 3), .cache = {0, 1 << (12 + 2 * t), 1 << 20}};
        const int64_t bytes = k->packed_bytes(N, M), a_size = yk_type_size(k, YK_STORED);
        char *packed = k->alloc(bytes * EXPERTS);
        yk_gemm g[EXPERTS];
        memset(out[t][0], 0, PLACES * N * 4), memset(out[t][1], 0, PLACES * N * 4);
        for (int e = 0; e < EXPERTS; e++) {
            const yk_operand w = {in[1] + e * N * M, YK_FLOAT, 1, M};
            k->pack(&team, &(yk_pack){.packed = packed + e * bytes, .b = w, .n = N, .k = M});
            g[e] = (yk_gemm){.c = (char *)out[t][0] + first[e] * N * size, .c_type = c_type, .c_row = N,
                             .a = {(char *)stored[0] + first[e] * M * a_size, YK_STORED, M, 1}, .b = w,
                             .m = first[e + 1] - first[e], .n = N, .k = M, .scratch = scratch};
            yk_gemm alone = g[e];
            alone.c = (char *)out[t][1] + first[e] * N * size;
            k->gemm(&(yk_team){.threads = 1}, &alone);
            if (packs) g[e].b = (yk_operand){.data = packed + e * bytes, .type = YK_PACKED};
        }
        k->gemm_group(&team, &(yk_gemm_group){g, EXPERTS, scratch});
        k->free(packed);
        assert_memory_equal(out[t][0], out[t][1], PLACES * N * size);
    }
    same_bytes(0, PLACES * N * size);
}

static void products_side_by_side_have_the_same_bits(void **state)
{
    (void)state;
    fill(in[0], ROWS * EXPERTS, 1, 2);
    route(in[0], table[0], 1);
    sort_rows(table[0], 1, 1);
    fill(in[0], PLACES * M, 1, 1), fill(in[1], EXPERTS * N * M, 2, 1);
    for (int kind = 0; kind < 4 * YK_PRECISIONS; kind++) {
        put((yk_precision)(kind / 4), stored[0], in[0], PLACES * M);
        check_group((yk_precision)(kind / 4), kind & 1, kind & 2 ? YK_FLOAT : YK_STORED);
    }
}

static void every_precision_has_the_product_of_floats(void **state)
{
    (void)state;
    fill(in[0], ROWS * WIDTH, 1, 1), fill(in[1], EXPERTS * WIDTH, 2, 1);
    for (int p = YK_FP32; p < YK_PRECISIONS; p++) {
        for (int t = 0; t < tables; t++)
            (table[t] + p)->gemm_float(&(yk_team){.threads = 1 + t},
                                       &(yk_gemm){.c = out[t][p], .c_type = YK_FLOAT, .c_row = EXPERTS,
                                                  .a = {in[0], YK_FLOAT, WIDTH, 1}, .b = {in[1], YK_FLOAT, 1, WIDTH},
                                                  .m = ROWS, .n = EXPERTS, .k = WIDTH, .scratch = scratch});
        same_bits(p, ROWS * EXPERTS);
        assert_memory_equal(out[0][p], out[0][YK_FP32], ROWS * EXPERTS * 4);
    }
    for (int i = 0; i < ROWS * EXPERTS; i++) {
        float sum = 0;
        for (int c = 0; c < WIDTH; c++)
            sum = fmaf(in[0][i / EXPERTS * WIDTH + c], in[1][i % EXPERTS * WIDTH + c], sum);
        assert_true(out[0][0][i] == sum);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_highest_are_chosen_and_the_lower_of_equals),
        cmocka_unit_test(rows_are_sorted_by_expert),
        cmocka_unit_test(slopes_match_finite_differences),
        cmocka_unit_test(rows_are_gathered_and_combined),
        cmocka_unit_test(swiglu_with_factors_matches_its_definition),
        cmocka_unit_test(products_of_listed_terms_are_those_of_copies),
        cmocka_unit_test(products_side_by_side_have_the_same_bits),
        cmocka_unit_test(every_precision_has_the_product_of_floats),
    };
    return cmocka_run_group_tests_name("experts", tests, set_up, tear_down);
}
