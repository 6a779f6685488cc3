/* Attention block: y = x + W_o attention(rope(norm_q(W_q n)), rope(norm_k(W_k n)), W_v n), n = norm(x).
 * Grouped-query attention (Ainslie et al. 2023); QK-norm (Henry et al. 2020) is optional; no rope where positions are
 * learned. Each layer sees the keys of its pattern (pattern.c). */
#include "model/layer.h"

#include <math.h>

enum { QKV = YK_OWN_PARAM, OUT = QKV + 2, QNORM = OUT + 2, KNORM };           /* parameters */
enum { RAW = YK_OWN_SAVED, QUERY, KEY, QRSTD, KRSTD, MIXED, LSE, SELECTED };   /* saved      */
enum { DMIXED = YK_OWN_SCRATCH, DQKV };                                       /* scratch    */

typedef struct sizes {
    int64_t N, C, H, K, D, q, k, raw; /* q = H D, k = K D, raw = q + 2 k: a row of RAW is [q | k | v] */
} sizes;

static sizes sizes_of(const yk_model *m, int64_t rows)
{
    const yk_model_shape *s = &m->shape;
    int64_t q = s->heads * s->head_size, k = s->kv_heads * s->head_size;
    return (sizes){rows, s->width, s->heads, s->kv_heads, s->head_size, q, k, q + 2 * k};
}

/* Of a row: lists of selected blocks lie a YK_KEY_BLOCK of rows apart. */
static int64_t list_floats(const yk_model *m, int64_t layer)
{
    int64_t bytes = m->shape.kv_heads * yk_layer_pattern(&m->shape, layer).blocks * (int64_t)sizeof(yk_chosen);
    return (bytes / (int64_t)sizeof(float) + YK_KEY_BLOCK - 1) / YK_KEY_BLOCK;
}

static yk_status plan(yk_model *m, yk_node *n, yk_error *err)
{
    yk_status st = YK_OK;
    sizes z = sizes_of(m, 0);
    YK_TRY(yk_norm_plan(m, n, "input_layernorm", err));
    YK_TRY(yk_linear_plan(m, n, QKV, "self_attn.qkv_proj", z.raw, z.C, YK_INIT_NORMAL,
                          m->shape.bias || m->shape.qkv_bias, err));
    if (m->shape.qk_norm) {
        YK_TRY(yk_declare_param(m, n, QNORM, "self_attn.q_norm.weight", z.D, 0, YK_INIT_ONES, false, err));
        YK_TRY(yk_declare_param(m, n, KNORM, "self_attn.k_norm.weight", z.D, 0, YK_INIT_ONES, false, err));
        yk_declare_saved(m, n, QUERY, YK_STORED, z.q);
        yk_declare_saved(m, n, KEY, YK_STORED, z.k);
        yk_declare_saved(m, n, QRSTD, YK_FLOAT, z.H);
        yk_declare_saved(m, n, KRSTD, YK_FLOAT, z.K);
    }
    YK_TRY(yk_linear_plan(m, n, OUT, "self_attn.o_proj", z.C, z.q, YK_INIT_RESIDUAL, m->shape.bias, err));
    yk_declare_saved(m, n, YK_OUTPUT, YK_FLOAT, z.C);
    yk_declare_saved(m, n, RAW, YK_STORED, z.raw);
    yk_declare_saved(m, n, MIXED, YK_STORED, z.q);
    yk_declare_saved(m, n, LSE, YK_FLOAT, z.H);
    yk_declare_saved(m, n, SELECTED, YK_FLOAT, list_floats(m, n->layer));
    yk_declare_scratch(m, n, DMIXED, YK_STORED, z.q);
    yk_declare_scratch(m, n, DQKV, YK_FLOAT, z.raw);
done:
    return st;
}

/* What attention reads: queries, keys and values, each row by row. */
typedef struct heads {
    void *q, *k, *v;
    int64_t q_row, k_row, v_row;
} heads;

/* Queries and keys lie in RAW, unless they are normalised: the norm's backward pass needs what it was given. */
static heads heads_of(const yk_node *n, const yk_pass *p)
{
    sizes z = sizes_of(p->m, p->batch->rows);
    void *raw = yk_saved(p, n, RAW);
    heads h = {raw, yk_at(p, raw, z.q), yk_at(p, raw, z.q + z.k), z.raw, z.raw, z.raw};
    if (p->m->shape.qk_norm) h.q = yk_saved(p, n, QUERY), h.q_row = z.q, h.k = yk_saved(p, n, KEY), h.k_row = z.k;
    return h;
}

/* The norm of the queries' heads (slot QNORM) or the keys' (KNORM). */
static yk_rmsnorm head_norm(const yk_node *n, const yk_pass *p, int slot)
{
    sizes z = sizes_of(p->m, p->batch->rows);
    heads h = heads_of(n, p);
    bool q = slot == QNORM;
    return (yk_rmsnorm){.y = q ? h.q : h.k, .rstd = yk_saved(p, n, q ? QRSTD : KRSTD),
                        .x = yk_at(p, yk_saved(p, n, RAW), q ? 0 : z.q), .x_type = YK_STORED,
                        .weight = yk_weight(p, n, slot), .rows = z.N, .groups = q ? z.H : z.K, .width = z.D,
                        .x_row = z.raw, .y_row = q ? h.q_row : h.k_row, .eps = (float)p->m->shape.norm_eps};
}

static void turn(const yk_pass *p, void *x, yk_type type, int64_t count, int64_t row, bool inverse)
{
    if (p->m->shape.learned_positions) return;
    p->m->k->rope(&p->m->team, &(yk_rope){.x = x, .type = type, .position = p->batch->position,
                                          .cosine = p->m->cosine, .sine = p->m->sine, .rows = p->batch->rows,
                                          .heads = count, .head_size = p->m->shape.head_size, .x_row = row,
                                          .inverse = inverse});
}

/* Normalises and turns queries and keys. */
static heads make_heads(const yk_node *n, const yk_pass *p)
{
    heads h = heads_of(n, p);
    for (int slot = QNORM; p->m->shape.qk_norm && slot <= KNORM; slot++) {
        yk_rmsnorm norm = head_norm(n, p, slot);
        p->m->k->rmsnorm_forward(&p->m->team, &norm);
    }
    turn(p, h.q, YK_STORED, p->m->shape.heads, h.q_row, false);
    turn(p, h.k, YK_STORED, p->m->shape.kv_heads, h.k_row, false);
    return h;
}

/* Keys and values go to their rows of the cache and are read from there, with all that came before. */
static void through_cache(const yk_node *n, const yk_pass *p, heads *h)
{
    sizes z = sizes_of(p->m, p->batch->rows);
    int64_t size = yk_type_size(p->m->k, YK_STORED);
    void *keys = yk_at(p, p->cache->kv, n->layer * p->cache->rows * 2 * z.k), *values = yk_at(p, keys, z.k);
    yk_copy_rows copy = {.y = keys, .x = h->k, .to = p->cache_row, .rows = z.N, .width = z.k * size,
                         .y_row = 2 * z.k * size, .x_row = h->k_row * size};
    p->m->k->copy_rows(&p->m->team, &copy);
    copy.y = values, copy.x = h->v, copy.x_row = h->v_row * size;
    p->m->k->copy_rows(&p->m->team, &copy);
    h->k = keys, h->v = values;
    h->k_row = h->v_row = 2 * z.k;
}

static yk_sparsity pattern_of(const yk_node *n, const yk_pass *p)
{
    const yk_model_shape *s = &p->m->shape;
    yk_sparsity x = yk_layer_pattern(s, n->layer);
    if (x.blocks == 0) return x;
    x.selected = p->cache ? p->cache->selected + n->layer * yk_selected_lists(s, p->cache->rows) * x.blocks
                          : yk_saved(p, n, SELECTED);
    return x;
}

static yk_attention attention_of(const yk_node *n, const yk_pass *p, const heads *h)
{
    sizes z = sizes_of(p->m, p->batch->rows);
    return (yk_attention){.o = yk_saved(p, n, MIXED), .lse = yk_saved(p, n, LSE), .q = h->q, .k = h->k, .v = h->v,
                          .segment = p->batch->segment, .segments = p->batch->segments, .heads = z.H, .kv_heads = z.K,
                          .head_size = z.D, .q_row = h->q_row, .k_row = h->k_row, .v_row = h->v_row, .o_row = z.q,
                          .dq_row = z.raw, .dkv_row = z.raw, .pattern = pattern_of(n, p),
                          .scale = 1.0f / sqrtf((float)z.D), .scratch = p->m->kernel_scratch};
}

static void forward(const yk_node *n, yk_pass *p)
{
    yk_norm_forward(n, p);
    yk_linear_forward(n, p, QKV, yk_saved(p, n, RAW), YK_STORED, yk_scratch(p, n, YK_NORMED), NULL);
    heads h = make_heads(n, p);
    if (p->cache) through_cache(n, p, &h);
    yk_attention attention = attention_of(n, p, &h);
    if (attention.pattern.blocks > 0) p->m->k->attention_select(&p->m->team, &attention);
    p->m->k->attention_forward(&p->m->team, &attention);
    p->y = yk_saved(p, n, YK_OUTPUT);
    yk_linear_forward(n, p, OUT, p->y, YK_FLOAT, yk_saved(p, n, MIXED), p->x);
}

/* The gradient of queries and keys before they were turned and normalised, in place. */
static void heads_backward(const yk_node *n, const yk_pass *p, float *dqkv)
{
    sizes z = sizes_of(p->m, p->batch->rows);
    turn(p, dqkv, YK_FLOAT, z.H, z.raw, true);
    turn(p, dqkv + z.q, YK_FLOAT, z.K, z.raw, true);
    for (int slot = QNORM; p->m->shape.qk_norm && slot <= KNORM; slot++) {
        yk_rmsnorm norm = head_norm(n, p, slot);
        norm.y = NULL;
        norm.dx = dqkv + (slot == QNORM ? 0 : z.q);
        norm.dy = norm.dx;
        norm.dy_row = norm.dx_row = z.raw;
        norm.dweight = yk_gradient(p, n, slot);
        p->m->k->rmsnorm_backward(&p->m->team, &norm);
    }
}

static void backward(const yk_node *n, yk_pass *p)
{
    sizes z = sizes_of(p->m, p->batch->rows);
    void *dmixed = yk_scratch(p, n, DMIXED);
    float *dqkv = yk_scratch(p, n, DQKV);
    yk_linear_dx(n, p, OUT, dmixed, YK_STORED, p->d, YK_FLOAT);
    yk_linear_dw(n, p, OUT, p->d, YK_FLOAT, yk_saved(p, n, MIXED));
    heads h = heads_of(n, p);
    yk_attention attention = attention_of(n, p, &h);
    attention.d_o = dmixed;
    attention.dq = dqkv, attention.dk = dqkv + z.q, attention.dv = dqkv + z.q + z.k;
    p->m->k->attention_backward(&p->m->team, &attention);
    heads_backward(n, p, dqkv);
    yk_linear_dx(n, p, QKV, yk_scratch(p, n, YK_DNORMED), YK_FLOAT, dqkv, YK_FLOAT);
    yk_norm_backward(n, p, true, true);
    yk_linear_dw(n, p, QKV, dqkv, YK_FLOAT, yk_scratch(p, n, YK_NORMED));
}

const yk_layer_kind yk_attention_kind = {"attention", plan, forward, backward};
