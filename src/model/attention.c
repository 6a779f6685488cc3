/* Attention block: y = x + W_o attention(rope(norm_q(W_q n)), rope(norm_k(W_k n)), W_v n), n = norm(x).
 * Grouped-query attention (Ainslie et al. 2023); QK-norm (Henry et al. 2020) is optional. */
#include "model/layer.h"

#include <math.h>

enum { NORM, QKV, QNORM, KNORM, OUT };                                 /* parameters */
enum { OUTPUT = YK_OUTPUT, NORMED, RSTD, RAW, QUERY, KV, QRSTD, KRSTD, MIXED, LSE }; /* saved    */
enum { DMIXED, DQKV, DNORMED };                                        /* scratch    */

typedef struct sizes {
    int64_t N, C, H, K, D, q, kv, raw; /* q = H D, kv = 2 K D, raw = q + kv */
} sizes;

static sizes sizes_of(const yk_model *m, int64_t rows)
{
    const yk_model_shape *s = &m->shape;
    int64_t q = s->heads * s->head_size, kv = 2 * s->kv_heads * s->head_size;
    return (sizes){rows, s->width, s->heads, s->kv_heads, s->head_size, q, kv, q + kv};
}

static yk_status plan(yk_model *m, yk_node *n, yk_error *err)
{
    yk_status st = YK_OK;
    sizes z = sizes_of(m, 0);
    YK_TRY(yk_declare_param(m, n, NORM, "input_layernorm.weight", z.C, 0, YK_INIT_ONES, false, err));
    YK_TRY(yk_declare_param(m, n, QKV, "self_attn.qkv_proj.weight", z.raw, z.C, YK_INIT_NORMAL, true, err));
    if (m->shape.qk_norm) {
        YK_TRY(yk_declare_param(m, n, QNORM, "self_attn.q_norm.weight", z.D, 0, YK_INIT_ONES, false, err));
        YK_TRY(yk_declare_param(m, n, KNORM, "self_attn.k_norm.weight", z.D, 0, YK_INIT_ONES, false, err));
    }
    YK_TRY(yk_declare_param(m, n, OUT, "self_attn.o_proj.weight", z.C, z.q, YK_INIT_RESIDUAL, true, err));
    yk_declare_saved(m, n, OUTPUT, z.C);
    yk_declare_saved(m, n, NORMED, z.C);
    yk_declare_saved(m, n, RSTD, 1);
    yk_declare_saved(m, n, RAW, z.raw);
    yk_declare_saved(m, n, QUERY, z.q);
    yk_declare_saved(m, n, KV, z.kv);
    yk_declare_saved(m, n, QRSTD, z.H);
    yk_declare_saved(m, n, KRSTD, z.K);
    yk_declare_saved(m, n, MIXED, z.q);
    yk_declare_saved(m, n, LSE, z.H);
    yk_declare_scratch(m, n, DMIXED, z.q);
    yk_declare_scratch(m, n, DQKV, z.raw);
    yk_declare_scratch(m, n, DNORMED, z.C);
done:
    return st;
}

static yk_rmsnorm input_norm(const yk_node *n, const yk_pass *p)
{
    int64_t C = p->m->shape.width;
    return (yk_rmsnorm){.y = yk_saved(p, n, NORMED), .rstd = yk_saved(p, n, RSTD), .x = p->x,
                        .weight = yk_weight(p, n, NORM), .rows = p->batch->rows, .groups = 1, .width = C,
                        .x_row = C, .y_row = C, .dx_row = C, .eps = (float)p->m->shape.norm_eps};
}

/* The norm of the queries' heads (slot QNORM) or the keys' (KNORM). */
static yk_rmsnorm head_norm(const yk_node *n, const yk_pass *p, int slot)
{
    sizes z = sizes_of(p->m, p->batch->rows);
    bool q = slot == QNORM;
    return (yk_rmsnorm){.y = q ? yk_saved(p, n, QUERY) : yk_saved(p, n, KV),
                        .rstd = yk_saved(p, n, q ? QRSTD : KRSTD), .x = yk_saved(p, n, RAW) + (q ? 0 : z.q),
                        .weight = yk_weight(p, n, slot), .rows = z.N, .groups = q ? z.H : z.K, .width = z.D,
                        .x_row = z.raw, .y_row = q ? z.q : z.kv, .eps = (float)p->m->shape.norm_eps};
}

static void turn(const yk_pass *p, float *x, int64_t heads, int64_t row, bool inverse)
{
    p->m->k->rope(&p->m->team, &(yk_rope){.x = x, .position = p->batch->position, .cosine = p->m->cosine,
                                          .sine = p->m->sine, .rows = p->batch->rows, .heads = heads,
                                          .head_size = p->m->shape.head_size, .x_row = row,
                                          .inverse = inverse});
}

/* RAW [q | k | v] -> QUERY [q'] and KV [k' | v], normalised and turned. */
static void make_heads(const yk_node *n, const yk_pass *p)
{
    const yk_kernels *k = p->m->k;
    const yk_team *team = &p->m->team;
    sizes z = sizes_of(p->m, p->batch->rows);
    float *raw = yk_saved(p, n, RAW), *query = yk_saved(p, n, QUERY), *kv = yk_saved(p, n, KV);
    yk_copy_rows copy = {.rows = z.N, .x_row = z.raw};
    if (p->m->shape.qk_norm) {
        yk_rmsnorm q = head_norm(n, p, QNORM), key = head_norm(n, p, KNORM);
        k->rmsnorm_forward(team, &q);
        k->rmsnorm_forward(team, &key);
        copy.y = kv + z.kv / 2, copy.y_row = z.kv, copy.x = raw + z.q + z.kv / 2, copy.width = z.kv / 2;
    } else {
        copy.y = query, copy.y_row = z.q, copy.x = raw, copy.width = z.q;
        k->copy_rows(team, &copy);
        copy.y = kv, copy.y_row = z.kv, copy.x = raw + z.q, copy.width = z.kv;
    }
    k->copy_rows(team, &copy);
    turn(p, query, z.H, z.q, false);
    turn(p, kv, z.K, z.kv, false);
}

static yk_attention attention_of(const yk_node *n, const yk_pass *p, const float *kv)
{
    sizes z = sizes_of(p->m, p->batch->rows);
    return (yk_attention){.o = yk_saved(p, n, MIXED), .lse = yk_saved(p, n, LSE), .q = yk_saved(p, n, QUERY),
                          .k = kv, .v = kv + z.kv / 2, .segment = p->batch->segment,
                          .segments = p->batch->segments, .heads = z.H, .kv_heads = z.K, .head_size = z.D,
                          .q_row = z.q, .kv_row = z.kv, .o_row = z.q, .dq_row = z.raw, .dkv_row = z.raw,
                          .scale = 1.0f / sqrtf((float)z.D), .scratch = p->m->kernel_scratch};
}

static void forward(const yk_node *n, yk_pass *p)
{
    const yk_kernels *k = p->m->k;
    const yk_team *team = &p->m->team;
    sizes z = sizes_of(p->m, p->batch->rows);
    yk_rmsnorm norm = input_norm(n, p);
    k->rmsnorm_forward(team, &norm);
    yk_linear(p, yk_saved(p, n, RAW), norm.y, yk_weight(p, n, QKV), z.N, z.C, z.raw, false);
    make_heads(n, p);
    float *kv = yk_saved(p, n, KV);
    if (p->cache) {
        float *cached = p->cache->kv + n->layer * p->cache->rows * z.kv;
        k->copy_rows(team, &(yk_copy_rows){.y = cached, .x = kv, .to = p->cache_row, .rows = z.N, .width = z.kv,
                                           .y_row = z.kv, .x_row = z.kv});
        kv = cached;
    }
    yk_attention attention = attention_of(n, p, kv);
    k->attention_forward(team, &attention);
    p->y = yk_saved(p, n, OUTPUT);
    k->copy_rows(team, &(yk_copy_rows){.y = p->y, .x = p->x, .rows = z.N, .width = z.C, .y_row = z.C,
                                       .x_row = z.C});
    yk_linear(p, p->y, yk_saved(p, n, MIXED), yk_weight(p, n, OUT), z.N, z.q, z.C, true);
}

static void backward(const yk_node *n, yk_pass *p)
{
    const yk_kernels *k = p->m->k;
    const yk_team *team = &p->m->team;
    sizes z = sizes_of(p->m, p->batch->rows);
    float *dmixed = yk_scratch(p, n, DMIXED), *dqkv = yk_scratch(p, n, DQKV);
    yk_linear_dw(p, yk_gradient(p, n, OUT), p->d, yk_saved(p, n, MIXED), z.N, z.q, z.C);
    yk_linear_dx(p, dmixed, p->d, yk_weight(p, n, OUT), z.N, z.q, z.C, false);
    yk_attention attention = attention_of(n, p, yk_saved(p, n, KV));
    attention.d_o = dmixed;
    attention.dq = dqkv, attention.dk = dqkv + z.q, attention.dv = dqkv + z.q + z.kv / 2;
    k->attention_backward(team, &attention);
    turn(p, dqkv, z.H, z.raw, true);
    turn(p, dqkv + z.q, z.K, z.raw, true);
    if (p->m->shape.qk_norm)
        for (int slot = QNORM; slot <= KNORM; slot++) {
            yk_rmsnorm norm = head_norm(n, p, slot);
            norm.dx = dqkv + (slot == QNORM ? 0 : z.q);
            norm.dy = norm.dx;
            norm.y_row = norm.dx_row = z.raw;
            norm.dweight = yk_gradient(p, n, slot);
            k->rmsnorm_backward(team, &norm);
        }
    yk_linear_dw(p, yk_gradient(p, n, QKV), dqkv, yk_saved(p, n, NORMED), z.N, z.C, z.raw);
    yk_linear_dx(p, yk_scratch(p, n, DNORMED), dqkv, yk_weight(p, n, QKV), z.N, z.C, z.raw, false);
    yk_rmsnorm norm = input_norm(n, p);
    norm.dy = yk_scratch(p, n, DNORMED);
    norm.dx = p->d;
    norm.dweight = yk_gradient(p, n, NORM);
    norm.accumulate_dx = true;
    k->rmsnorm_backward(team, &norm);
}

const yk_layer_kind yk_attention_kind = {"attention", plan, forward, backward};
