/* A storm of kernels, by hand: make kernel-storm [RESULTS=100000000] [KERNEL=gemm] [SEED=1].
 *   storm [RESULTS [KERNEL [SEED]]]
 * Every set against the portable one on random shapes, strides, alignments and teams and on adversarial numbers, until
 * RESULTS outputs a kernel, precision and set are compared; they must be the same bits (a NaN is a NaN).
 *
 * A case is one function. It draws shapes and inputs, calls the kernel of the table at hand, and names its outputs by
 * `out`. It is called once a table with the same draws, so all it does is a function of them. */
#include "base/log.h"
#include "simd/kernels.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_OUTPUTS = 8, GUARD = 16, SHOWN = 5 };
static const int64_t ARENA = (int64_t)96 << 20; /* floats */

/* What the numbers of a tensor may be besides ordinary. */
typedef enum range { MILD, ANY } range; /* |x| in 2^-60 .. 2^12 or 0; everything but NaN */

typedef struct output { const void *data; int64_t n; int size; } output; /* size: bytes of an element; 8: double */

typedef struct storm {
    uint64_t draw; /* state of the generator */
    float *arena;
    int64_t used;
    const yk_kernels *k;
    yk_team team;
    output out[MOST_OUTPUTS];
    int outputs;
} storm;

/* SplitMix64 (Steele, Lea, Flood 2014). */
static uint64_t draw(storm *s)
{
    uint64_t z = s->draw += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

/* low to high, every magnitude as likely. */
static int64_t between(storm *s, int64_t low, int64_t high)
{
    double x = (double)low * pow((double)(high + 1) / (double)low, (double)(draw(s) >> 11) * 0x1p-53);
    return x > (double)high ? high : (int64_t)x;
}

static int64_t below(storm *s, int64_t n) { return (int64_t)(draw(s) % (uint64_t)n); }
static bool once_in(storm *s, int64_t n) { return below(s, n) == 0; }

static float from_bits(uint32_t bits) { return ((union { uint32_t bits; float x; }){bits}).x; }

/* A number whose exponent is one of low .. high, with the given bits of fraction. */
static float number(uint64_t r, int low, int high, uint32_t fraction)
{
    uint32_t e = (uint32_t)(low + (int)((r >> 32 & 0xffff) % (uint64_t)(high - low + 1)) + 127);
    return from_bits((uint32_t)(r >> 63) << 31 | e << 23 | (fraction & 0x7fffff));
}

/* Kinds of numbers; the last three within ANY alone. */
enum { NORMAL, WHOLE, ZEROS, EQUAL, SPREAD, TIE_BF16, TIE_FP16, FLUSHED, TINY, HUGE_ONES, INFINITE, KINDS };

static float one(storm *s, int kind, range within, float equal)
{
    uint64_t r = draw(s);
    uint32_t f = (uint32_t)r, near = (uint32_t)(r >> 24) % 3 - 1;
    bool mild = within == MILD;
    switch (kind) {
    case NORMAL: return (float)((int64_t)((r & 0xffff) + (r >> 16 & 0xffff) + (r >> 32 & 0xffff)) - 98303) * 0x1p-15f;
    case WHOLE: return (float)(int)(r % 17) - 8.0f;
    case ZEROS: return r % 4 ? from_bits((uint32_t)(r >> 63) << 31) : number(r, -2, 2, f);
    case EQUAL: return equal;
    case SPREAD: return mild ? number(r, -60, 11, f) : number(r, -126, 127, f);
    case TIE_BF16: return number(r, -20, 11, (f & 0x7f0000) + 0x8000 + near);
    case TIE_FP16: return number(r, -28, mild ? 11 : 16, (f & 0x7fe000) + 0x1000 + near);
    case FLUSHED: return number(r, -58, -54, r % 3 ? f : near);
    case TINY: return from_bits((uint32_t)(r >> 63) << 31 | (f & 0xffffff));
    case HUGE_ONES: return number(r, 120, 127, f);
    default: return r % 64 ? number(r, -4, 4, f) : number(r, 128, 128, 0);
    }
}

static float *take(storm *s, int64_t n)
{
    float *x = s->arena + s->used + below(s, 16);
    s->used += n + 16 + GUARD;
    if (s->used > ARENA) abort(); /* a case asks for too much */
    return x;
}

/* A tensor of n numbers of one kind, or of all kinds. */
static float *in(storm *s, int64_t n, range within)
{
    float *x = take(s, n);
    int kinds = within == MILD ? TINY : KINDS, kind = (int)below(s, kinds + 1);
    float equal = one(s, SPREAD, within, 0.0f);
    for (int64_t i = 0; i < n; i++) x[i] = one(s, kind == kinds ? (int)below(s, kinds) : kind, within, equal);
    return x;
}

/* Names n elements from x on, and what lies behind them, as an output. */
static void *watch(storm *s, void *x, int64_t n, int size)
{
    memset((char *)x + n * size, 0x5a, GUARD * sizeof(float));
    s->out[s->outputs++] = (output){x, n + GUARD * (int64_t)sizeof(float) / size, size};
    return x;
}

/* Outputs that the kernel also reads, and such as it writes alone: what it leaves out stays as it is in all sets. */
static float *in_out(storm *s, int64_t n, range within) { return watch(s, in(s, n, within), n, 4); }
static float *out(storm *s, int64_t n) { return memset(in_out(s, n, MILD), 0x5a, (size_t)n * sizeof(float)); }

static int32_t *ids(storm *s, int64_t n, int64_t many)
{
    int32_t *id = (int32_t *)take(s, n);
    for (int64_t i = 0; i < n; i++) id[i] = (int32_t)below(s, many);
    return id;
}

static void *scratch(storm *s, int64_t bytes)
{
    return (void *)(((uintptr_t)take(s, bytes / 4 + 32) + 63) & ~(uintptr_t)63);
}

static int64_t width(storm *s, int64_t most) { return 16 * between(s, 1, most / 16); }
static int64_t stride(storm *s, int64_t row) { return row + (once_in(s, 2) ? 0 : below(s, 40)); }

static void gemm_case(storm *s)
{
    int64_t m = between(s, 1, 400), n = between(s, 1, 400), k = between(s, 1, once_in(s, 20) ? 5000 : 100);
    range start = s->k->precision == YK_BF16 ? MILD : ANY; /* VDPBF16PS takes subnormal sums for 0 */
    yk_gemm g = {.m = m, .n = n, .k = k, .c_row = stride(s, n)};
    bool a_turned = once_in(s, 2), b_turned = once_in(s, 2);
    int64_t a_stride = stride(s, a_turned ? m : k), b_stride = stride(s, b_turned ? k : n);
    g.a = in(s, a_stride * (a_turned ? k : m), ANY), g.b = in(s, b_stride * (b_turned ? n : k), ANY);
    g.a_row = a_turned ? 1 : a_stride, g.a_col = a_turned ? a_stride : 1;
    g.b_row = b_turned ? 1 : b_stride, g.b_col = b_turned ? b_stride : 1;
    g.c = in_out(s, g.c_row * m, start);
    switch (below(s, 4)) {
    case 0: break;
    case 1: g.init = g.c, g.init_row = g.c_row; break;
    case 2: g.init = in(s, n, start), g.init_row = 0; break;
    default: g.init_row = stride(s, n), g.init = in(s, m * g.init_row, start);
    }
    g.scratch = scratch(s, s->k->gemm_scratch(&s->team));
    s->k->gemm(&s->team, &g);
}

static void attention_case(storm *s)
{
    int64_t size = width(s, 128), kv_heads = between(s, 1, 3), heads = kv_heads * between(s, 1, 3), rows = 0;
    yk_segment segment[4];
    yk_attention a = {.segment = segment, .segments = between(s, 1, 4), .heads = heads, .kv_heads = kv_heads,
                      .head_size = size, .scale = number(draw(s), -4, 0, (uint32_t)draw(s))};
    for (int i = 0; i < a.segments; i++) {
        int32_t keys = (int32_t)between(s, 1, 300), causal = !once_in(s, 3);
        int32_t first = causal && once_in(s, 2) ? (int32_t)below(s, keys) : 0;
        segment[i] = (yk_segment){(int32_t)rows, (int32_t)rows, first, causal ? keys - first : keys, keys, causal};
        rows += keys;
    }
    a.scale = fabsf(a.scale);
    a.q_row = stride(s, heads * size), a.k_row = stride(s, kv_heads * size), a.v_row = stride(s, kv_heads * size);
    a.o_row = stride(s, heads * size), a.dq_row = stride(s, heads * size), a.dkv_row = stride(s, kv_heads * size);
    a.q = in(s, rows * a.q_row, MILD), a.k = in(s, rows * a.k_row, MILD), a.v = in(s, rows * a.v_row, MILD);
    a.d_o = in(s, rows * a.o_row, MILD);
    a.o = out(s, rows * a.o_row), a.lse = out(s, rows * heads), a.dq = out(s, rows * a.dq_row);
    a.dk = out(s, rows * a.dkv_row), a.dv = out(s, rows * a.dkv_row);
    a.scratch = scratch(s, s->k->attention_scratch(&s->team, size));
    s->k->attention_forward(&s->team, &a);
    s->k->attention_backward(&s->team, &a);
}

static void embed_case(storm *s)
{
    int64_t rows = between(s, 1, 300), w = width(s, 256), vocab = between(s, 1, 300);
    yk_embed a = {.rows = rows, .width = w, .accumulate = once_in(s, 2), .id = ids(s, rows, vocab)};
    a.table = in(s, vocab * w, ANY), a.dy = in(s, rows * w, ANY);
    a.y = in_out(s, rows * w, ANY), a.dtable = in_out(s, vocab * w, ANY);
    s->k->embed_forward(&s->team, &a);
    s->k->embed_backward(&s->team, &a);
}

static void rmsnorm_case(storm *s)
{
    int64_t rows = between(s, 1, 60), groups = between(s, 1, 6), w = width(s, 512);
    yk_rmsnorm a = {.rows = rows, .groups = groups, .width = w, .eps = 1e-5f, .accumulate_dx = once_in(s, 2)};
    a.x_row = stride(s, groups * w), a.y_row = stride(s, groups * w), a.dx_row = stride(s, groups * w);
    a.x = in(s, rows * a.x_row, ANY), a.weight = in(s, w, ANY), a.dy = in(s, rows * a.y_row, ANY);
    a.y = out(s, rows * a.y_row), a.rstd = out(s, rows * groups);
    a.dx = in_out(s, rows * a.dx_row, ANY), a.dweight = in_out(s, w, ANY);
    s->k->rmsnorm_forward(&s->team, &a);
    s->k->rmsnorm_backward(&s->team, &a);
}

static void layernorm_case(storm *s)
{
    int64_t rows = between(s, 1, 200), w = width(s, 512);
    yk_layernorm a = {.rows = rows, .width = w, .eps = 1e-5f, .accumulate_dx = once_in(s, 2)};
    a.x = in(s, rows * w, ANY), a.weight = in(s, w, ANY), a.bias = in(s, w, ANY), a.dy = in(s, rows * w, ANY);
    a.y = out(s, rows * w), a.mean = out(s, rows), a.rstd = out(s, rows);
    a.dx = in_out(s, rows * w, ANY), a.dweight = in_out(s, w, ANY), a.dbias = in_out(s, w, ANY);
    s->k->layernorm_forward(&s->team, &a);
    s->k->layernorm_backward(&s->team, &a);
}

static void rope_case(storm *s)
{
    int64_t rows = between(s, 1, 200), heads = between(s, 1, 8), size = width(s, 128), positions = between(s, 1, 200);
    yk_rope a = {.rows = rows, .heads = heads, .head_size = size, .x_row = stride(s, heads * size)};
    a.inverse = once_in(s, 2), a.position = ids(s, rows, positions);
    a.cosine = in(s, positions * size / 2, ANY), a.sine = in(s, positions * size / 2, ANY);
    a.x = in_out(s, rows * a.x_row, ANY);
    s->k->rope(&s->team, &a);
}

static void swiglu_case(storm *s)
{
    int64_t rows = between(s, 1, 100), w = width(s, 512);
    yk_swiglu a = {.rows = rows, .width = w, .x = in(s, 2 * rows * w, ANY), .dy = in(s, rows * w, ANY)};
    a.y = out(s, rows * w), a.dx = out(s, 2 * rows * w);
    s->k->swiglu_forward(&s->team, &a);
    s->k->swiglu_backward(&s->team, &a);
}

static void gelu_case(storm *s)
{
    int64_t n = width(s, 1 << 17);
    yk_gelu a = {.n = n, .x = in(s, n, ANY), .dy = in(s, n, ANY)};
    a.y = out(s, n), a.dx = out(s, n);
    s->k->gelu_forward(&s->team, &a);
    s->k->gelu_backward(&s->team, &a);
}

static void cross_entropy_case(storm *s)
{
    int64_t rows = between(s, 1, 40), vocab = between(s, 1, 5000), forbid = once_in(s, 3) ? 2 : INT64_MAX;
    yk_cross_entropy a = {.rows = rows, .vocab = vocab, .z = once_in(s, 2) ? 0.0f : 1e-3f, .gradient = !once_in(s, 4)};
    float *weight = take(s, rows);
    for (int64_t r = 0; r < rows; r++) weight[r] = once_in(s, 4) ? 0.0f : number(draw(s), -3, 1, 0);
    a.target = ids(s, rows, vocab), a.weight = weight;
    a.logits = in_out(s, rows * vocab, MILD);
    for (int64_t i = 0; i < rows * vocab; i++)
        if (i % vocab > 0 && once_in(s, forbid)) a.logits[i] = -INFINITY;
    a.loss = out(s, rows);
    a.best = once_in(s, 3) ? NULL : watch(s, ids(s, rows, 1), rows, 4);
    s->k->cross_entropy(&s->team, &a);
}

static void bias_case(storm *s)
{
    int64_t rows = between(s, 1, 200), w = width(s, 512);
    yk_bias a = {.rows = rows, .width = w};
    a.x = in(s, rows * w, ANY), a.bias = in(s, w, ANY), a.dy = in(s, rows * w, ANY);
    a.y = out(s, rows * w), a.dbias = in_out(s, w, ANY);
    s->k->bias_forward(&s->team, &a);
    s->k->bias_backward(&s->team, &a);
}

static void add_case(storm *s)
{
    int64_t n = between(s, 1, 1 << 18);
    yk_add a = {.n = n, .a = in(s, n, ANY), .b = in(s, n, ANY)};
    a.y = out(s, n);
    s->k->add(&s->team, &a);
}

static void copy_rows_case(storm *s)
{
    int64_t rows = between(s, 1, 400), w = between(s, 1, 700), shift = below(s, rows);
    yk_copy_rows a = {.rows = rows, .width = w, .x_row = stride(s, w), .y_row = stride(s, w)};
    int32_t *to = ids(s, rows, 1);
    for (int64_t r = 0; r < rows; r++) to[r] = (int32_t)(rows - 1 - (r + shift) % rows);
    a.to = once_in(s, 2) ? NULL : to;
    a.x = in(s, rows * a.x_row, ANY), a.y = out(s, rows * a.y_row);
    s->k->copy_rows(&s->team, &a);
}

static void sum_squares_case(storm *s)
{
    int64_t n = between(s, 1, 1 << 20), blocks = (n + YK_SUM_BLOCK - 1) / YK_SUM_BLOCK;
    yk_sum_squares a = {.n = n, .x = in(s, n, ANY), .partial = scratch(s, (blocks + GUARD) * 8)};
    watch(s, a.partial, blocks, 8);
    s->k->sum_squares(&s->team, &a);
}

static void adamw_case(storm *s)
{
    int64_t n = between(s, 1, 1 << 17);
    yk_adamw a = {.n = n, .scale = number(draw(s), -20, 3, 0), .lr = 1e-3f, .beta1 = 0.9f, .beta2 = 0.95f, .eps = 1e-8f,
                  .decay = once_in(s, 2) ? 0.0f : 0.1f, .bias1 = 0.1f, .bias2 = 0.05f};
    a.weight = in_out(s, n, ANY), a.gradient = in_out(s, n, ANY), a.m = in_out(s, n, ANY), a.v = in_out(s, n, ANY);
    for (int64_t i = 0; i < n; i++) a.v[i] = fabsf(a.v[i]);
    s->k->adamw(&s->team, &a);
}

static void map_case(storm *s)
{
    int64_t n = between(s, 1, 1 << 18);
    yk_map a = {.function = (yk_function)below(s, YK_FUNCTIONS), .n = n, .x = in(s, n, ANY)};
    a.y = out(s, n);
    s->k->map(&s->team, &a);
}

/* Kernels of precisions = 1 do not depend on the precision. A sum of squares counts for its terms. */
static const struct { const char *name; void (*run)(storm *s); int precisions, terms; } cases[] = {
    {"gemm", gemm_case, YK_PRECISIONS, 1},
    {"attention", attention_case, YK_PRECISIONS, 1},
    {"embed", embed_case, 1, 1}, {"rmsnorm", rmsnorm_case, 1, 1}, {"layernorm", layernorm_case, 1, 1},
    {"rope", rope_case, 1, 1}, {"swiglu", swiglu_case, 1, 1}, {"gelu", gelu_case, 1, 1},
    {"cross_entropy", cross_entropy_case, 1, 1}, {"bias", bias_case, 1, 1}, {"add", add_case, 1, 1},
    {"copy_rows", copy_rows_case, 1, 1}, {"sum_squares", sum_squares_case, 1, YK_SUM_BLOCK},
    {"adamw", adamw_case, 1, 1}, {"map", map_case, 1, 1},
};
enum { CASES = sizeof cases / sizeof *cases, MOST_TABLES = 8 };
static const char *const precision_name[] = {"fp32", "bf16", "fp16"};

static double value(const void *x, int size) { return size == 8 ? *(const double *)x : (double)*(const float *)x; }

/* Counts outputs that differ from the reference; tells of the first few. */
static int64_t compare(const storm *s, const char *reference, const char *name, uint64_t first)
{
    int64_t differ = 0;
    for (const output *o = s->out; o < s->out + s->outputs; reference += o->n * o->size, o++) {
        if (memcmp(o->data, reference, (size_t)(o->n * o->size)) == 0) continue;
        for (int64_t i = 0; i < o->n * o->size; i += o->size) {
            const char *got = (const char *)o->data + i, *wanted = reference + i;
            double x = value(got, o->size), y = value(wanted, o->size);
            if (memcmp(got, wanted, (size_t)o->size) == 0 || (isnan(x) && isnan(y)) || differ++ >= SHOWN) continue;
            fprintf(stderr, "%s %s %s, draw %" PRIx64 ", team of %d: output %d, element %d: %a, portable %a\n", name,
                    s->k->name, precision_name[s->k->precision], first, s->team.threads, (int)(o - s->out),
                    (int)(i / o->size), x, y);
        }
    }
    return differ;
}

/* What portable found becomes the reference; the number of results. */
static int64_t keep(const storm *s, char *reference)
{
    int64_t results = 0;
    for (const output *o = s->out; o < s->out + s->outputs; reference += o->n * o->size, o++) {
        memcpy(reference, o->data, (size_t)(o->n * o->size));
        results += o->n - GUARD * (int64_t)sizeof(float) / o->size;
    }
    return results;
}

/* One kernel in one precision until `results` are compared; the number of differences. */
static int64_t one_kernel(storm *s, char *reference, int c, yk_precision precision, int64_t results, uint64_t seed)
{
    int64_t compared = 0, differ[MOST_TABLES] = {0}, all = 0;
    double seconds[MOST_TABLES] = {0};
    storm chance = {.draw = seed ^ (uint64_t)(c * YK_PRECISIONS + (int)precision) << 48};
    while (compared < results) {
        uint64_t first = draw(&chance);
        for (int t = 0; t < MOST_TABLES && (s->k = yk_kernels_at(t, precision)); t++) {
            if (!yk_kernels_runs_here(s->k)) continue;
            double start = yk_now();
            s->draw = first, s->used = 0, s->outputs = 0;
            s->team.threads = once_in(&chance, 3) ? 1 + (int)below(&chance, 5) : 2;
            cases[c].run(s);
            seconds[t] += yk_now() - start;
            if (t == 0)
                compared += keep(s, reference) * cases[c].terms;
            else
                differ[t] += compare(s, reference, cases[c].name, first);
        }
    }
    const yk_kernels *k;
    for (int t = 0; t < MOST_TABLES && (k = yk_kernels_at(t, precision)); all += differ[t++])
        if (yk_kernels_runs_here(k))
            printf("%-14s %-5s %-11s %13" PRId64 " %12" PRId64 " %9.1f\n", cases[c].name,
                   cases[c].precisions > 1 ? precision_name[precision] : "", k->name, compared, differ[t], seconds[t]);
    fflush(stdout);
    return all;
}

int main(int argc, char **argv)
{
    int64_t results = argc > 1 ? (int64_t)atof(argv[1]) : 100000000, differ = 0;
    const char *only = argc > 2 ? argv[2] : "";
    uint64_t seed = argc > 3 ? strtoull(argv[3], NULL, 10) : 1;
    storm s = {.arena = yk_kernels_at(0, YK_FP32)->alloc(ARENA * 4)};
    char *reference = malloc((size_t)ARENA * 4);
    if (!s.arena || !reference) return 1;
    printf("%-14s %-5s %-11s %13s %12s %9s\n", "kernel", "", "set", "results", "differences", "seconds");
    for (int c = 0; c < CASES; c++)
        for (int p = 0; p < cases[c].precisions; p++)
            if (!*only || strcmp(only, cases[c].name) == 0)
                differ += one_kernel(&s, reference, c, (yk_precision)p, results, seed);
    yk_kernels_at(0, YK_FP32)->free(s.arena), free(reference);
    return differ > 0;
}
