/* A storm of kernels: every set against the portable one on random shapes, strides, alignments, teams, cache sizes and
 * adversarial numbers, until RESULTS outputs a kernel, precision and set are compared; they must be the same bits (a
 * NaN is a NaN).
 *   storm [RESULTS [KERNEL [SEED]]]
 * `make check` does a little of it; a campaign by hand: make kernel-storm [RESULTS=100000000] [KERNEL=gemm] [SEED=1].
 *
 * A case is one function. It draws shapes and inputs, calls the kernel of the table at hand, and names its outputs by
 * `out` or `watch`. It is called once a table with the same draws, so all it does is a function of them; the team alone
 * differs from table to table. */
#include "simd/kernels.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_OUTPUTS = 8, GUARD = 64, LINE = 64, SHOWN = 5, MOST_TABLES = 8 };
static const int64_t ARENA = (int64_t)128 << 20; /* bytes */

/* What the numbers of a tensor may be besides ordinary. */
typedef enum range { MILD, ANY } range; /* |x| in 2^-60 .. 2^12 or 0; everything but NaN */

/* `size`: bytes of an element; 8: double, 4: float, 2: stored, 1: anything else. */
typedef struct output { const char *data; int64_t bytes; int size; } output;

typedef struct storm {
    uint64_t draw; /* state of the generator */
    char *arena, *reference; /* what is drawn and computed; what portable computed */
    int64_t used;
    const yk_kernels *k;
    yk_team team;
    output out[MOST_OUTPUTS];
    int outputs;
    int64_t results; /* compared in this case */
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

static void *take(storm *s, int64_t bytes, int64_t unit)
{
    char *x = s->arena + s->used + unit * below(s, LINE / unit);
    s->used += (bytes + GUARD + 2 * LINE) / LINE * LINE;
    if (s->used > ARENA) abort(); /* a case asks for too much */
    return x;
}

/* x[i] of a tensor of `size` bytes an element. */
static void put(const storm *s, int64_t size, void *x, int64_t i, float number)
{
    uint32_t bits = ((union { float x; uint32_t bits; }){number}).bits;
    if (size == 4) ((float *)x)[i] = number;
    else if (s->k->precision == YK_FP16) ((_Float16 *)x)[i] = (_Float16)number;
    else ((uint16_t *)x)[i] = fabsf(number) < 0x1p-56f ? 0 : (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static double value(const storm *s, int size, const char *x)
{
    if (size == 8) return *(const double *)(const void *)x;
    if (size == 4) return (double)*(const float *)(const void *)x;
    if (size == 1) return (double)*(const unsigned char *)x;
    if (s->k->precision == YK_FP16) return (double)*(const _Float16 *)(const void *)x;
    return (double)from_bits((uint32_t)*(const uint16_t *)(const void *)x << 16);
}

/* A tensor of n numbers of one kind, or of all kinds. */
static void *in(storm *s, yk_type type, int64_t n, range within)
{
    int64_t size = yk_type_size(s->k, type);
    void *x = take(s, n * size, size);
    int kinds = within == MILD ? TINY : KINDS, kind = once_in(s, 4) ? NORMAL : (int)below(s, kinds + 1);
    float equal = one(s, SPREAD, within, 0.0f);
    for (int64_t i = 0; i < n; i++)
        put(s, size, x, i, one(s, kind == kinds ? (int)below(s, kinds) : kind, within, equal));
    return x;
}

static float *floats(storm *s, int64_t n, range within) { return in(s, YK_FLOAT, n, within); }

/* Names n elements from x on, and what lies behind them, as an output. Four bytes of anything else are a result. */
static void *watch(storm *s, void *x, int64_t n, int64_t size)
{
    memset((char *)x + n * size, 0x5a, GUARD);
    s->out[s->outputs++] = (output){x, n * size + GUARD, (int)size};
    s->results += size == 1 ? n / 4 : n;
    return x;
}

/* Outputs that the kernel also reads, and such as it writes alone: what it leaves out stays as it is in all sets. */
static void *in_out(storm *s, yk_type t, int64_t n, range r)
{
    return watch(s, in(s, t, n, r), n, yk_type_size(s->k, t));
}

static void *fresh(storm *s, int64_t n, int64_t size)
{
    return watch(s, memset(take(s, n * size, size), 0x5a, (size_t)(n * size)), n, size);
}

static void *out(storm *s, yk_type type, int64_t n) { return fresh(s, n, yk_type_size(s->k, type)); }

/* An output in place of a stored input, or elsewhere. */
static void *over_or_out(storm *s, void *input, int64_t n)
{
    return once_in(s, 2) ? watch(s, input, n, yk_type_size(s->k, YK_STORED)) : out(s, YK_STORED, n);
}

static int32_t *ids(storm *s, int64_t n, int64_t many)
{
    int32_t *id = take(s, n * 4, 4);
    for (int64_t i = 0; i < n; i++) id[i] = (int32_t)below(s, many);
    return id;
}

static int64_t width(storm *s, int64_t most) { return 16 * between(s, 1, most / 16); }
static int64_t stride(storm *s, int64_t row) { return row + (once_in(s, 2) ? 0 : below(s, 40)); }
static yk_type any_type(storm *s) { return once_in(s, 2) ? YK_STORED : YK_FLOAT; }

/* One side of a product: `rows` by `columns`, either of them contiguous. */
static yk_operand operand(storm *s, int64_t rows, int64_t columns)
{
    bool turned = once_in(s, 2);
    int64_t row = stride(s, turned ? rows : columns);
    yk_operand o = {.type = any_type(s), .row = turned ? 1 : row, .col = turned ? row : 1};
    o.data = in(s, o.type, row * (turned ? columns : rows), ANY);
    return o;
}

static void gemm_case(storm *s)
{
    int64_t m = between(s, 1, 400), n = between(s, 1, 400), k = between(s, 1, once_in(s, 20) ? 5000 : 100);
    yk_gemm g = {.m = m, .n = n, .k = k, .c_type = any_type(s), .c_row = stride(s, n)};
    g.a = operand(s, m, k), g.b = operand(s, k, n);
    g.c = in_out(s, g.c_type, g.c_row * m, ANY);
    int64_t begins = below(s, 4);
    if (begins == 1) g.init = floats(s, n, ANY);
    if (begins == 2) g.init_row = stride(s, n), g.init = floats(s, m * g.init_row, ANY);
    if (begins == 3 && g.c_type == YK_FLOAT) g.init_row = g.c_row, g.init = g.c;
    g.scratch = take(s, s->k->gemm_scratch(&s->team), LINE);
    if (once_in(s, 3)) {
        yk_pack pack = {.packed = take(s, s->k->packed_bytes(n, k), LINE), .b = g.b, .n = n, .k = k};
        s->k->pack(&s->team, &pack);
        g.b = (yk_operand){.data = pack.packed, .type = YK_PACKED};
    }
    s->k->gemm(&s->team, &g);
}

/* Where each query has its own key; selection where lists are made of all queries. */
static void any_pattern(storm *s, yk_attention *a, int64_t keys)
{
    bool own = true, begins = true;
    for (int64_t i = 0; i < a->segments; i++) {
        const yk_segment *g = &a->segment[i];
        own = own && g->first + g->count <= g->keys;
        begins = begins && g->first == 0;
    }
    if (!own || once_in(s, 4)) return;
    a->pattern = (yk_sparsity){.window = between(s, 1, 200), .global = once_in(s, 2) ? below(s, 150) : 0,
                               .stride = once_in(s, 2) ? between(s, 2, 4) : 0};
    if (!begins || once_in(s, 2)) return;
    a->pattern = (yk_sparsity){.blocks = 3};
    int64_t lists = keys / YK_KEY_BLOCK * a->kv_heads * a->pattern.blocks;
    a->pattern.selected = fresh(s, lists * (int64_t)sizeof(yk_chosen), 1);
    s->k->attention_select(&s->team, a);
}

static void attention_case(storm *s)
{
    int64_t size = width(s, 128), kv_heads = between(s, 1, 3), heads = kv_heads * between(s, 1, 3), rows = 0, keys = 0;
    yk_segment segment[4];
    yk_attention a = {.segment = segment, .segments = between(s, 1, 4), .heads = heads, .kv_heads = kv_heads,
                      .head_size = size, .scale = fabsf(number(draw(s), -4, 0, (uint32_t)draw(s)))};
    for (int i = 0; i < a.segments; i++) {
        int32_t many = (int32_t)between(s, 1, 300), first = once_in(s, 2) ? (int32_t)below(s, many) : 0;
        int32_t causal = !once_in(s, 3), count = causal || once_in(s, 2) ? many - first : (int32_t)between(s, 1, 300);
        segment[i] = (yk_segment){(int32_t)rows, (int32_t)keys, first, count, many, causal};
        rows += count, keys += many;
    }
    a.q_row = stride(s, heads * size), a.k_row = stride(s, kv_heads * size), a.v_row = stride(s, kv_heads * size);
    a.o_row = stride(s, heads * size), a.dq_row = stride(s, heads * size), a.dkv_row = stride(s, kv_heads * size);
    a.q = in(s, YK_STORED, rows * a.q_row, MILD), a.d_o = in(s, YK_STORED, rows * a.o_row, MILD);
    a.k = in(s, YK_STORED, keys * a.k_row, MILD), a.v = in(s, YK_STORED, keys * a.v_row, MILD);
    a.o = out(s, YK_STORED, rows * a.o_row), a.lse = once_in(s, 8) ? NULL : out(s, YK_FLOAT, rows * heads);
    a.scratch = take(s, s->k->attention_scratch(&s->team, size), LINE);
    any_pattern(s, &a, keys);
    s->k->attention_forward(&s->team, &a);
    if (!a.lse) return;
    a.dq = out(s, YK_FLOAT, rows * a.dq_row);
    a.dk = out(s, YK_FLOAT, keys * a.dkv_row), a.dv = out(s, YK_FLOAT, keys * a.dkv_row);
    s->k->attention_backward(&s->team, &a);
}

static void embed_case(storm *s)
{
    int64_t rows = between(s, 1, 300), w = width(s, 256), vocab = between(s, 1, 300);
    yk_embed a = {.rows = rows, .width = w, .accumulate = once_in(s, 2), .id = ids(s, rows, vocab)};
    a.table = floats(s, vocab * w, ANY), a.dy = floats(s, rows * w, ANY);
    a.y = in_out(s, YK_FLOAT, rows * w, ANY), a.dtable = in_out(s, YK_FLOAT, vocab * w, ANY);
    s->k->embed_forward(&s->team, &a);
    s->k->embed_backward(&s->team, &a);
}

static void rmsnorm_case(storm *s)
{
    int64_t rows = between(s, 1, 60), groups = between(s, 1, 6), w = width(s, 512), row = groups * w;
    yk_rmsnorm a = {.rows = rows, .groups = groups, .width = w, .eps = 1e-5f, .accumulate_dx = once_in(s, 2),
                    .x_type = any_type(s), .x_row = stride(s, row), .y_row = stride(s, row), .dy_row = stride(s, row)};
    a.x = in(s, a.x_type, rows * a.x_row, ANY), a.weight = floats(s, w, ANY);
    a.y = out(s, YK_STORED, rows * a.y_row), a.rstd = out(s, YK_FLOAT, rows * groups);
    s->k->rmsnorm_forward(&s->team, &a);
    bool over = once_in(s, 2); /* dx where dy is */
    a.dx_row = over ? a.dy_row : stride(s, row);
    a.dx = in_out(s, YK_FLOAT, rows * a.dx_row, ANY), a.dweight = in_out(s, YK_FLOAT, w, ANY);
    a.dy = over ? a.dx : floats(s, rows * a.dy_row, ANY);
    a.y = once_in(s, 3) ? NULL : out(s, YK_STORED, rows * a.y_row);
    s->k->rmsnorm_backward(&s->team, &a);
}

static void layernorm_case(storm *s)
{
    int64_t rows = between(s, 1, 200), w = width(s, 512);
    yk_layernorm a = {.rows = rows, .width = w, .eps = 1e-5f, .accumulate_dx = once_in(s, 2)};
    a.x = floats(s, rows * w, ANY), a.weight = floats(s, w, ANY), a.bias = floats(s, w, ANY);
    a.y = out(s, YK_STORED, rows * w), a.mean = out(s, YK_FLOAT, rows), a.rstd = out(s, YK_FLOAT, rows);
    s->k->layernorm_forward(&s->team, &a);
    a.dy = floats(s, rows * w, ANY), a.dx = in_out(s, YK_FLOAT, rows * w, ANY);
    a.dweight = in_out(s, YK_FLOAT, w, ANY), a.dbias = in_out(s, YK_FLOAT, w, ANY);
    a.y = once_in(s, 3) ? NULL : out(s, YK_STORED, rows * w);
    s->k->layernorm_backward(&s->team, &a);
}

static void rope_case(storm *s)
{
    int64_t rows = between(s, 1, 200), heads = between(s, 1, 8), size = width(s, 128), positions = between(s, 1, 200);
    yk_rope a = {.rows = rows, .heads = heads, .head_size = size, .x_row = stride(s, heads * size),
                 .type = any_type(s), .inverse = once_in(s, 2), .position = ids(s, rows, positions)};
    a.cosine = floats(s, positions * size / 2, ANY), a.sine = floats(s, positions * size / 2, ANY);
    a.x = in_out(s, a.type, rows * a.x_row, ANY);
    s->k->rope(&s->team, &a);
}

static void swiglu_case(storm *s)
{
    int64_t rows = between(s, 1, 100), w = width(s, 512);
    yk_swiglu a = {.rows = rows, .width = w, .y = out(s, YK_STORED, rows * w)};
    void *x = in(s, YK_STORED, 2 * rows * w, ANY), *dy = in(s, YK_STORED, rows * w, ANY);
    a.x = x, a.dy = dy;
    s->k->swiglu_forward(&s->team, &a);
    a.dx = over_or_out(s, x, 2 * rows * w), a.y = over_or_out(s, dy, rows * w);
    s->k->swiglu_backward(&s->team, &a);
}

static void gelu_case(storm *s)
{
    int64_t n = width(s, 1 << 17);
    yk_gelu a = {.n = n, .y = out(s, YK_STORED, n)};
    void *x = in(s, YK_STORED, n, ANY), *dy = in(s, YK_STORED, n, ANY);
    a.x = x, a.dy = dy;
    s->k->gelu_forward(&s->team, &a);
    a.dx = over_or_out(s, x, n), a.y = over_or_out(s, dy, n);
    s->k->gelu_backward(&s->team, &a);
}

static void cross_entropy_case(storm *s)
{
    int64_t rows = between(s, 1, 40), vocab = between(s, 1, 5000), forbid = once_in(s, 3) ? 2 : INT64_MAX;
    yk_cross_entropy a = {.rows = rows, .vocab = vocab, .z = once_in(s, 2) ? 0.0f : 1e-3f};
    float *weight = take(s, rows * 4, 4);
    for (int64_t r = 0; r < rows; r++) weight[r] = once_in(s, 4) ? 0.0f : number(draw(s), -3, 1, 0);
    a.target = ids(s, rows, vocab), a.weight = weight;
    a.logits = in_out(s, YK_FLOAT, rows * vocab, MILD);
    for (int64_t i = 0; i < rows * vocab; i++)
        if (i % vocab > 0 && once_in(s, forbid)) a.logits[i] = -INFINITY;
    a.loss = out(s, YK_FLOAT, rows);
    a.best = once_in(s, 3) ? NULL : watch(s, ids(s, rows, 1), rows * 4, 1);
    bool over = once_in(s, 3);
    a.d_row = over ? vocab * 4 / yk_type_size(s->k, YK_STORED) : stride(s, vocab);
    if (!once_in(s, 4)) a.dlogits = over ? (void *)a.logits : out(s, YK_STORED, rows * a.d_row);
    s->k->cross_entropy(&s->team, &a);
}

static void distillation_case(storm *s)
{
    int64_t rows = between(s, 1, 40), vocab = between(s, 1, 5000);
    yk_distillation a = {.rows = rows, .vocab = vocab, .mix = (float)below(s, 5) / 4,
                         .tau = fabsf(number(draw(s), -3, 3, (uint32_t)draw(s)))};
    float *weight = take(s, rows * 4, 4), *logits = in_out(s, YK_FLOAT, rows * vocab, MILD);
    for (int64_t r = 0; r < rows; r++) weight[r] = once_in(s, 4) ? 0.0f : number(draw(s), -3, 1, 0);
    a.target = ids(s, rows, vocab), a.weight = weight, a.logits = logits;
    a.teacher = once_in(s, 8) ? logits : floats(s, rows * vocab, MILD), a.loss = out(s, YK_FLOAT, rows);
    bool over = a.teacher != logits && once_in(s, 3);
    a.d_row = over ? vocab * 4 / yk_type_size(s->k, YK_STORED) : stride(s, vocab);
    if (!once_in(s, 4)) a.dlogits = over ? (void *)logits : out(s, YK_STORED, rows * a.d_row);
    s->k->distillation(&s->team, &a);
}

static void bias_case(storm *s)
{
    int64_t rows = between(s, 1, 200), w = width(s, 512);
    yk_bias a = {.rows = rows, .width = w, .type = any_type(s), .y = in_out(s, YK_FLOAT, rows * w, ANY),
                 .bias = floats(s, w, ANY), .dbias = in_out(s, YK_FLOAT, w, ANY)};
    a.x = once_in(s, 2) ? a.y : floats(s, rows * w, ANY), a.dy = in(s, a.type, rows * w, ANY);
    s->k->bias_forward(&s->team, &a);
    s->k->bias_backward(&s->team, &a);
}

static void add_case(storm *s)
{
    int64_t n = between(s, 1, 1 << 18);
    yk_add a = {.n = n, .y = in_out(s, YK_FLOAT, n, ANY)};
    a.a = once_in(s, 3) ? a.y : floats(s, n, ANY), a.b = once_in(s, 3) ? a.y : floats(s, n, ANY);
    (once_in(s, 2) ? s->k->add : s->k->subtract)(&s->team, &a);
}

static void copy_rows_case(storm *s)
{
    int64_t rows = between(s, 1, 400), w = between(s, 1, 3000), shift = below(s, rows);
    yk_copy_rows a = {.rows = rows, .width = w, .x_row = stride(s, w), .y_row = stride(s, w)};
    int32_t *to = ids(s, rows, 1);
    for (int64_t r = 0; r < rows; r++) to[r] = (int32_t)(rows - 1 - (r + shift) % rows);
    a.to = once_in(s, 2) ? NULL : to;
    a.x = (char *)in(s, YK_FLOAT, rows * a.x_row / 4 + 1, ANY) + below(s, 4);
    a.y = fresh(s, rows * a.y_row, 1);
    s->k->copy_rows(&s->team, &a);
}

static void sum_squares_case(storm *s)
{
    int64_t n = between(s, 1, 1 << 20);
    yk_sum_squares a = {.n = n, .x = floats(s, n, ANY), .partial = fresh(s, (n + YK_SUM_BLOCK - 1) / YK_SUM_BLOCK, 8)};
    s->results += n; /* a sum counts for its terms */
    s->k->sum_squares(&s->team, &a);
}

static void adamw_case(storm *s)
{
    int64_t n = between(s, 1, 1 << 17);
    yk_adamw a = {.n = n, .scale = number(draw(s), -20, 3, 0), .lr = 1e-3f, .beta1 = 0.9f, .beta2 = 0.95f, .eps = 1e-8f,
                  .decay = once_in(s, 2) ? 0.0f : 0.1f, .bias1 = 0.1f, .bias2 = 0.05f};
    a.weight = in_out(s, YK_FLOAT, n, ANY), a.gradient = in_out(s, YK_FLOAT, n, ANY);
    a.m = in_out(s, YK_FLOAT, n, ANY), a.v = in_out(s, YK_FLOAT, n, ANY);
    for (int64_t i = 0; i < n; i++) a.v[i] = fabsf(a.v[i]);
    s->k->adamw(&s->team, &a);
}

static void nesterov_case(storm *s)
{
    int64_t n = between(s, 1, 1 << 17);
    yk_nesterov a = {.n = n, .scale = 1.0f / (float)between(s, 1, 64), .lr = 0.7f,
                     .momentum = once_in(s, 3) ? 0.0f : 0.9f};
    a.weight = in_out(s, YK_FLOAT, n, ANY), a.velocity = in_out(s, YK_FLOAT, n, ANY), a.gradient = floats(s, n, ANY);
    s->k->nesterov(&s->team, &a);
}

static void map_case(storm *s)
{
    int64_t n = between(s, 1, 1 << 18);
    yk_map a = {.function = (yk_function)below(s, YK_FUNCTIONS), .n = n, .y = in_out(s, YK_FLOAT, n, ANY)};
    a.x = once_in(s, 2) ? a.y : floats(s, n, ANY);
    s->k->map(&s->team, &a);
}

static void count_below_case(storm *s)
{
    int64_t n = between(s, 1, 1 << 20), *count = take(s, 8, 8);
    *count = below(s, 1000);
    yk_count_below a = {.n = n, .bound = number(draw(s) >> 1, -126, 2, 0), .x = floats(s, n, ANY)};
    a.count = watch(s, count, 8, 1);
    s->results += n;
    s->k->count_below(&s->team, &a);
}

/* Kernels of precisions = 1 are the same functions in all of them. */
static const struct { const char *name; void (*run)(storm *s); int precisions; } cases[] = {
    {"gemm", gemm_case, YK_PRECISIONS}, {"attention", attention_case, YK_PRECISIONS}, {"embed", embed_case, 1},
    {"rmsnorm", rmsnorm_case, YK_PRECISIONS}, {"layernorm", layernorm_case, YK_PRECISIONS},
    {"rope", rope_case, YK_PRECISIONS}, {"swiglu", swiglu_case, YK_PRECISIONS}, {"gelu", gelu_case, YK_PRECISIONS},
    {"cross_entropy", cross_entropy_case, YK_PRECISIONS},
    {"distillation", distillation_case, YK_PRECISIONS}, {"bias", bias_case, YK_PRECISIONS}, {"add", add_case, 1},
    {"copy_rows", copy_rows_case, 1}, {"sum_squares", sum_squares_case, 1}, {"adamw", adamw_case, 1},
    {"nesterov", nesterov_case, 1},
    {"map", map_case, 1}, {"count_below", count_below_case, 1},
};
enum { CASES = sizeof cases / sizeof *cases };
static const char *const precision_name[] = {"fp32", "bf16", "fp16"};

/* Counts outputs that differ from the reference; tells of the first few. */
static int64_t compare(const storm *s, const char *name, uint64_t first)
{
    int64_t differ = 0;
    const char *reference = s->reference;
    for (const output *o = s->out; o < s->out + s->outputs; reference += o->bytes, o++) {
        if (memcmp(o->data, reference, (size_t)o->bytes) == 0) continue;
        for (int64_t i = 0; i < o->bytes; i += o->size) {
            const char *got = o->data + i, *wanted = reference + i;
            double x = value(s, o->size, got), y = value(s, o->size, wanted);
            if (memcmp(got, wanted, (size_t)o->size) == 0 || (isnan(x) && isnan(y)) || differ++ >= SHOWN) continue;
            fprintf(stderr, "%s %s %s, draw %" PRIx64 ", team %d %" PRId64 " %" PRId64 ": output %d, %" PRId64
                    ": %a, portable %a\n", name, s->k->name, precision_name[s->k->precision], first, s->team.threads,
                    s->team.cache[1], s->team.cache[2], (int)(o - s->out), i / o->size, x, y);
        }
    }
    return differ;
}

static yk_team any_team(storm *chance)
{
    yk_team team = {.threads = once_in(chance, 3) ? 1 + (int)below(chance, 5) : 2};
    for (int i = 0; i < 3; i++) team.cache[i] = once_in(chance, 3) ? 0 : between(chance, 1 << 10, 1 << (17 + 4 * i));
    return team;
}

/* One kernel in one precision until `results` are compared; how many sets do not differ, and how many do. */
static void one_kernel(storm *s, int c, yk_precision precision, int64_t results, uint64_t seed, int verdict[2])
{
    int64_t compared = 0, differ[MOST_TABLES] = {0};
    storm chance = {.draw = seed ^ (uint64_t)(c * YK_PRECISIONS + (int)precision) << 48};
    while (compared < results) {
        uint64_t first = draw(&chance);
        for (int t = 0; t < MOST_TABLES && (s->k = yk_kernels_at(t, precision)); t++) {
            if (!yk_kernels_runs_here(s->k)) continue;
            s->draw = first, s->used = 0, s->outputs = 0, s->results = 0, s->team = any_team(&chance);
            cases[c].run(s);
            if (t > 0) differ[t] += compare(s, cases[c].name, first);
            char *to = s->reference;
            for (const output *o = s->out; t == 0 && o < s->out + s->outputs; to += o->bytes, o++)
                memcpy(to, o->data, (size_t)o->bytes);
        }
        compared += s->results;
    }
    for (int t = 1; t < MOST_TABLES && (s->k = yk_kernels_at(t, precision)); t++) {
        if (!yk_kernels_runs_here(s->k)) continue;
        verdict[differ[t] > 0]++;
        printf("%-14s %-5s %-11s %13" PRId64 " %12" PRId64 "\n", cases[c].name,
               cases[c].precisions > 1 ? precision_name[precision] : "all", s->k->name, compared, differ[t]);
    }
    fflush(stdout);
}

int main(int argc, char **argv)
{
    int64_t results = argc > 1 ? (int64_t)atof(argv[1]) : 50000;
    const char *only = argc > 2 ? argv[2] : "";
    uint64_t seed = argc > 3 ? strtoull(argv[3], NULL, 10) : 1;
    int verdict[2] = {0};
    const yk_kernels *portable = yk_kernels_at(0, YK_FP32);
    storm s = {.arena = portable->alloc(ARENA), .reference = portable->alloc(ARENA)};
    if (!s.arena || !s.reference) return 1;
    printf("%-14s %-5s %-11s %13s %12s\n", "kernel", "", "set", "results", "differences");
    for (int c = 0; c < CASES; c++)
        for (int p = 0; p < cases[c].precisions; p++)
            if (!*only || strcmp(only, cases[c].name) == 0)
                one_kernel(&s, c, (yk_precision)p, results, seed, verdict);
    portable->free(s.arena), portable->free(s.reference);
    printf("%d passed, %d failed\n", verdict[0], verdict[1]);
    return verdict[1] > 0;
}
