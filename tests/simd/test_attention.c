/* Attention of every table under every pattern: against double-precision definitions, and bit for bit against the
 * portable one; a row has the same bits alone as in its document. */
#include "tables.h"

/* One document after another, causal and not, with grouped heads. */
enum { N = 520, H = 4, K = 2, D = 32, Q = H * D, KV = 2 * K * D, FIRST = 300, MOST_BLOCKS = 4 };
static const yk_segment segment[] = {
    {0, 0, 0, FIRST, FIRST, 1}, {FIRST, FIRST, 0, 1, 1, 1}, {301, 301, 0, 219, 219, 0}};
enum { SEGMENTS = sizeof segment / sizeof *segment };

static const yk_sparsity patterns[] = {
    {0}, {.window = 1}, {.window = 50}, {.window = 130}, {.window = 1000}, {.window = 20, .global = 3},
    {.window = 33, .global = 70}, {.window = 10, .stride = 2}, {.window = 70, .global = 5, .stride = 3}, {.blocks = 3},
    {.blocks = MOST_BLOCKS}};
enum { PATTERNS = sizeof patterns / sizeof *patterns };

static yk_chosen chosen[TABLES][N / YK_KEY_BLOCK * K * MOST_BLOCKS];

static yk_attention attention_case(yk_precision precision, int t, const yk_sparsity *pattern, const yk_segment *g,
                                   int n)
{
    int64_t half = K * D * yk_type_size(table[0] + precision, YK_STORED);
    yk_attention a = {.o = out[t][0], .lse = out[t][1], .q = stored[0], .k = stored[1], .v = (char *)stored[1] + half,
                      .d_o = stored[2], .dq = out[t][2], .dk = out[t][3], .dv = out[t][3] + K * D, .segment = g,
                      .segments = n, .heads = H, .kv_heads = K, .head_size = D, .q_row = Q, .k_row = KV, .v_row = KV,
                      .o_row = Q, .dq_row = Q, .dkv_row = KV, .pattern = *pattern, .scale = 0.2f, .scratch = scratch};
    a.pattern.selected = chosen[t];
    return a;
}

static void fill_all(yk_precision precision, double scale)
{
    fill(in[0], N * Q, 1, scale), fill(in[1], N * KV, 2, scale), fill(in[2], N * Q, 3, 1);
    put(precision, stored[0], in[0], N * Q), put(precision, stored[1], in[1], N * KV);
    put(precision, stored[2], in[2], N * Q);
}

/* --- definitions ----------------------------------------------------------------------------- */

static bool selected[SEGMENTS][K][N / YK_KEY_BLOCK + 1][N / YK_KEY_BLOCK + 1]; /* [from][to] */

/* How much block `from` of queries wants block `to` of keys. */
static double wish(yk_precision precision, const yk_segment *g, int kh, int from, int to)
{
    int row = g->query + from * YK_KEY_BLOCK, last = to * YK_KEY_BLOCK + YK_KEY_BLOCK;
    if (last > g->keys) last = g->keys;
    double sum = 0;
    for (int d = 0; d < D; d++) {
        double q = 0, mean = 0;
        for (int h = kh * (H / K); h < (kh + 1) * (H / K); h++)
            q += (double)get(precision, stored[0], row * Q + h * D + d);
        for (int s = to * YK_KEY_BLOCK; s < last; s++)
            mean += (double)get(precision, stored[1], (g->key + s) * KV + kh * D + d);
        sum += q * mean / (last - to * YK_KEY_BLOCK);
    }
    return to == 0 || abs(from - to) <= 1 ? INFINITY : sum;
}

static void select_blocks(yk_precision precision, int s, int kh, int64_t room)
{
    const yk_segment *g = &segment[s];
    int all = (g->keys + YK_KEY_BLOCK - 1) / YK_KEY_BLOCK;
    for (int from = 0; from < all; from++)
        for (int to = 0; to < all; to++) {
            int blocks = g->causal ? from + 1 : all, better = 0;
            double mine = wish(precision, g, kh, from, to);
            for (int other = 0; other < blocks; other++) {
                double its = wish(precision, g, kh, from, other);
                better += its > mine || (its == mine && other < to);
            }
            selected[s][kh][from][to] = to < blocks && (from == 0 || blocks <= room || better < room);
        }
}

/* Whether the query at position t of a segment sees the key at position j. */
static bool sees(const yk_sparsity *p, int s, int kh, int t, int j)
{
    if (segment[s].causal && j > t) return false;
    if (p->blocks) return selected[s][kh][t / YK_KEY_BLOCK][j / YK_KEY_BLOCK];
    return !p->window || abs(t - j) < p->window || t < p->global || j < p->global ||
           (p->stride && (t / YK_KEY_BLOCK - j / YK_KEY_BLOCK) % p->stride == 0);
}

/* One row of one head: its output and statistics, and its share of all gradients. */
static void define_row(yk_precision precision, const yk_sparsity *pattern, int s, int h, int t, double tolerance,
                       double *dq, double *dkv)
{
    int row = segment[s].query + t, kh = h / (H / K), keys = segment[s].keys;
    const float *q = in[0] + row * Q + h * D, *d_o = in[2] + row * Q + h * D;
    double p[N], sum = 0, o[D] = {0}, delta = 0;
    for (int j = 0; j < keys; j++) {
        const float *k = in[1] + (segment[s].key + j) * KV + kh * D;
        double dot = 0;
        p[j] = 0;
        if (!sees(pattern, s, kh, t, j)) continue;
        for (int d = 0; d < D; d++) dot += (double)q[d] * k[d];
        sum += p[j] = exp(0.2f * dot);
    }
    for (int j = 0; j < keys; j++) p[j] /= sum;
    for (int j = 0; j < keys; j++)
        for (int d = 0; d < D && p[j] > 0; d++) o[d] += p[j] * in[1][(segment[s].key + j) * KV + (K + kh) * D + d];
    close_to(out[0][1][row * H + h], log(sum), tolerance);
    for (int d = 0; d < D; d++) {
        close_to(get(precision, out[0][0], row * Q + h * D + d), o[d], tolerance);
        delta += o[d] * d_o[d];
    }
    for (int j = 0; j < keys; j++) {
        const float *k = in[1] + (segment[s].key + j) * KV + kh * D, *v = k + K * D;
        double *dk = dkv + (segment[s].key + j) * KV + kh * D, *dv = dk + K * D, dp = 0;
        if (p[j] == 0) continue;
        for (int d = 0; d < D; d++) dp += (double)d_o[d] * v[d];
        double ds = 0.2f * p[j] * (dp - delta);
        for (int d = 0; d < D; d++) {
            dq[row * Q + h * D + d] += ds * k[d];
            dk[d] += ds * q[d];
            dv[d] += p[j] * d_o[d];
        }
    }
}

static void attention_is_near(yk_precision precision, const yk_sparsity *pattern, double tolerance)
{
    static double dq[N * Q], dkv[N * KV];
    memset(dq, 0, sizeof dq), memset(dkv, 0, sizeof dkv);
    for (int s = 0; s < SEGMENTS; s++)
        for (int h = 0; h < H; h++) {
            if (pattern->blocks && h % (H / K) == 0) select_blocks(precision, s, h / (H / K), pattern->blocks);
            for (int t = 0; t < segment[s].count; t++) define_row(precision, pattern, s, h, t, tolerance, dq, dkv);
        }
    for (int i = 0; i < N * Q; i++) close_to(out[0][2][i], dq[i], tolerance);
    for (int i = 0; i < N * KV; i++) close_to(out[0][3][i], dkv[i], tolerance);
}

/* --- tests ------------------------------------------------------------------------------------ */

static void attention_matches_its_definition(void **state)
{
    (void)state;
    static const double tolerance[YK_PRECISIONS] = {[YK_FP32] = 2e-5, [YK_BF16] = 4e-2, [YK_FP16] = 5e-3};
    for (int kind = 0; kind < PATTERNS * YK_PRECISIONS; kind++) {
        const yk_precision precision = (yk_precision)(kind / PATTERNS);
        const yk_sparsity *pattern = &patterns[kind % PATTERNS];
        if (kind % PATTERNS == 0) fill_all(precision, 1);
        for (int t = 0; t < tables; t++) {
            const yk_kernels *k = table[t] + precision;
            const yk_team team = {.threads = 1 + t};
            yk_attention a = attention_case(precision, t, pattern, segment, SEGMENTS);
            memset(chosen[t], 0, sizeof chosen[t]);
            if (pattern->blocks) k->attention_select(&team, &a);
            assert_memory_equal(chosen[t], chosen[0], sizeof chosen[0]);
            k->attention_forward(&team, &a);
            k->attention_backward(&team, &a);
        }
        same_stored(0, N * Q, precision), same_bits(1, N * H), same_bits(2, N * Q), same_bits(3, N * KV);
        if (precision == YK_FP32 || kind % 3 == 0) attention_is_near(precision, pattern, tolerance[precision]);
    }
}

/* A row has the same bits computed alone, as decoding does, or in parts of any length, and in the whole document. */
static void attention_of_a_row_stands_alone(void **state)
{
    (void)state;
    static const int parts[] = {1, 100};
    for (int kind = 0; kind < PATTERNS * YK_PRECISIONS; kind++) {
        const yk_precision precision = (yk_precision)(kind / PATTERNS);
        const yk_sparsity *pattern = &patterns[kind % PATTERNS];
        const yk_kernels *k = table[0] + precision, *last = table[tables - 1] + precision;
        if (kind % PATTERNS == 0) fill_all(precision, 3);
        yk_attention a = attention_case(precision, 0, pattern, segment, 1);
        if (pattern->blocks) k->attention_select(&(yk_team){.threads = 1}, &a);
        k->attention_forward(&(yk_team){.threads = 1}, &a);
        for (size_t p = 0; p < sizeof parts / sizeof *parts; p++) {
            memset(out[1][0], 0, ROOM * 4), memset(out[1][1], 0, ROOM * 4), memset(chosen[1], 0, sizeof chosen[1]);
            for (int i = 0; i < FIRST; i += parts[p]) {
                const int n = FIRST - i < parts[p] ? FIRST - i : parts[p];
                const yk_segment some = {i, 0, i, n, i + n, 1};
                a = attention_case(precision, 1, pattern, &some, 1);
                const yk_team team = {.threads = n > 1 ? 2 : 1};
                if (pattern->blocks) last->attention_select(&team, &a);
                last->attention_forward(&team, &a);
            }
            assert_memory_equal(out[0][0], out[1][0], FIRST * Q * yk_type_size(k, YK_STORED));
            assert_memory_equal(out[0][1], out[1][1], FIRST * H * 4);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attention_matches_its_definition),
        cmocka_unit_test(attention_of_a_row_stands_alone),
    };
    return cmocka_run_group_tests_name("attention", tests, set_up, tear_down);
}
