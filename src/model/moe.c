/* Mixture of experts (DeepSeekMoE, arXiv 2401.06066; DeepSeek-V3, arXiv 2412.19437, 2.1.2), with n = norm(x):
 *   y = x + shared(n) + sum over the chosen experts, ascending, of g_e expert_e(n);
 * each expert, and all shared ones together, is W_down (silu(gate) up) of [gate | up] = W_up n. Affinities
 * s = sigmoid(n w_e), in fp32; the k experts with the highest s + bias are chosen, and g is s divided by the sum over
 * them, times a factor. The bias counts how often experts are chosen and is corrected after each step
 * (yk_optimiser_step); nothing is dropped. g multiplies what W_down is given: its gradient is then a sum over that.
 * An expert's rows lie together, in their order (yk_sort_rows); sums of its gradient run over them as those of other
 * weights do over all rows, so that neither the micro-batch nor the other rows change a bit. */
#include "model/layer.h"

#include <string.h>

/* Parameters; what is saved; scratch. */
enum { SHARED_UP = YK_OWN_PARAM, SHARED_DOWN = SHARED_UP + 2, ROUTER = SHARED_DOWN + 2, BIAS, UP, DOWN };
enum { SHARED_INNER = YK_OWN_SAVED, INNER, AFFINITY, EXPERT };
enum { ACTIVE = YK_OWN_SCRATCH, GATHERED, MIXED, PLACE, ROW, GATE, DGATE, TERM, SLOPE };

typedef struct sizes {
    int64_t N, C, E, k, F, shared; /* F of an expert, and of the shared ones together */
} sizes;

static sizes sizes_of(const yk_model *m, int64_t rows)
{
    const yk_model_shape *s = &m->shape;
    return (sizes){rows, s->width, s->experts, s->experts_chosen, s->expert_ffn, s->shared_experts * s->expert_ffn};
}

static yk_status plan_experts(yk_model *m, yk_node *n, int slot, const char *name, int64_t out, int64_t in,
                              yk_init init, yk_error *err)
{
    yk_status st = yk_declare_param(m, n, slot, name, m->shape.experts * out, in, init, true, err);
    if (st != YK_OK) return st;
    m->param[n->param[slot]].parts = m->shape.experts;
    m->param[n->param[slot]].used = m->shape.experts_chosen;
    return YK_OK;
}

static void plan_memory(yk_model *m, yk_node *n)
{
    const sizes z = sizes_of(m, 0);
    yk_declare_saved(m, n, YK_OUTPUT, YK_FLOAT, z.C);
    if (z.shared) yk_declare_saved(m, n, SHARED_INNER, YK_STORED, 2 * z.shared);
    yk_declare_saved(m, n, INNER, YK_STORED, 2 * z.F * z.k);
    yk_declare_saved(m, n, AFFINITY, YK_FLOAT, z.E);
    yk_declare_saved(m, n, EXPERT, YK_FLOAT, z.k);
    yk_declare_scratch(m, n, ACTIVE, YK_STORED, z.F * z.k > z.shared ? z.F * z.k : z.shared);
    yk_declare_scratch(m, n, GATHERED, YK_STORED, z.C * z.k);
    yk_declare_scratch(m, n, MIXED, YK_FLOAT, z.C * z.k);
    for (int slot = PLACE; slot <= DGATE; slot++) yk_declare_scratch(m, n, slot, YK_FLOAT, z.k);
    yk_declare_scratch(m, n, TERM, YK_FLOAT, 2 * z.k);
    yk_declare_scratch(m, n, SLOPE, YK_FLOAT, z.E);
}

static yk_status plan(yk_model *m, yk_node *n, yk_error *err)
{
    yk_status st = YK_OK;
    const sizes z = sizes_of(m, 0);
    YK_TRY(yk_norm_plan(m, n, "post_attention_layernorm", err));
    YK_TRY(yk_declare_param(m, n, ROUTER, "mlp.gate.weight", z.E, z.C, YK_INIT_NORMAL, true, err));
    YK_TRY(yk_declare_param(m, n, BIAS, "mlp.gate.e_score_correction_bias", z.E, 0, YK_INIT_ZEROS, false, err));
    m->param[n->param[BIAS]].counts = true;
    YK_TRY(plan_experts(m, n, UP, "mlp.experts.gate_up_proj.weight", 2 * z.F, z.C, YK_INIT_NORMAL, err));
    YK_TRY(plan_experts(m, n, DOWN, "mlp.experts.down_proj.weight", z.C, z.F, YK_INIT_RESIDUAL, err));
    if (z.shared) {
        YK_TRY(yk_linear_plan(m, n, SHARED_UP, "mlp.shared_experts.gate_up_proj", 2 * z.shared, z.C, YK_INIT_NORMAL,
                              false, err));
        YK_TRY(yk_linear_plan(m, n, SHARED_DOWN, "mlp.shared_experts.down_proj", z.C, z.shared, YK_INIT_RESIDUAL,
                              false, err));
    }
    plan_memory(m, n);
done:
    return st;
}

/* Normed rows in fp32, where the gradient of theirs lies in backward. */
static float *wide(const yk_node *n, const yk_pass *p)
{
    float *to = yk_scratch(p, n, YK_DNORMED);
    p->m->k->gather(&p->m->team, &(yk_gather){.y = to, .y_type = YK_FLOAT, .x = yk_scratch(p, n, YK_NORMED),
                                              .x_type = YK_STORED, .rows = p->batch->rows, .width = p->m->shape.width});
    return to;
}

static void route(const yk_node *n, const yk_pass *p)
{
    const sizes z = sizes_of(p->m, p->batch->rows);
    float *affinity = yk_saved(p, n, AFFINITY);
    p->m->k->gemm_float(&p->m->team,
                        &(yk_gemm){.c = affinity, .c_type = YK_FLOAT, .c_row = z.E, .a = {wide(n, p), YK_FLOAT, z.C, 1},
                                   .b = {yk_weight(p, n, ROUTER), YK_FLOAT, 1, z.C}, .m = z.N, .n = z.E, .k = z.C,
                                   .scratch = p->m->kernel_scratch});
    p->m->k->route(&p->m->team, &(yk_route){.affinity = affinity, .bias = yk_weight(p, n, BIAS),
                                              .expert = yk_saved(p, n, EXPERT), .rows = z.N, .experts = z.E,
                                              .chosen = z.k});
}

/* Where each expert's rows begin, and, on the way back, its terms. */
typedef struct sorted {
    int32_t first[YK_MOST_EXPERTS + 1], term[YK_MOST_EXPERTS + 1];
} sorted;

static void sort_rows(const yk_node *n, const yk_pass *p, sorted *d, bool back)
{
    const sizes z = sizes_of(p->m, p->batch->rows);
    p->m->k->sort_rows(&p->m->team,
                  &(yk_sort_rows){.place = yk_scratch(p, n, PLACE), .row = yk_scratch(p, n, ROW), .first = d->first,
                             .gate = yk_scratch(p, n, GATE), .term = back ? yk_scratch(p, n, TERM) : NULL,
                             .first_term = d->term, .load = back ? yk_gradient(p, n, BIAS) : NULL,
                             .expert = yk_saved(p, n, EXPERT), .affinity = yk_saved(p, n, AFFINITY),
                             .segment = p->batch->segment, .segments = p->batch->segments, .rows = z.N,
                             .experts = z.E, .chosen = z.k, .scale = (float)p->m->shape.routed_scaling});
}

/* Rows of x as places of experts. */
static void *gathered(const yk_node *n, const yk_pass *p, const void *x, yk_type type)
{
    const sizes z = sizes_of(p->m, p->batch->rows);
    void *to = yk_scratch(p, n, GATHERED);
    p->m->k->gather(&p->m->team, &(yk_gather){.y = to, .y_type = YK_STORED, .x = x, .x_type = type,
                                              .row = yk_scratch(p, n, ROW), .rows = z.N * z.k, .width = z.C});
    return to;
}

static void combine(const yk_node *n, const yk_pass *p, float *y, const float *init)
{
    const sizes z = sizes_of(p->m, p->batch->rows);
    p->m->k->combine(&p->m->team, &(yk_combine){.y = y, .init = init, .x = yk_scratch(p, n, MIXED),
                                                .place = yk_scratch(p, n, PLACE), .rows = z.N, .width = z.C,
                                                .chosen = z.k});
}

static yk_swiglu shared_swiglu(const yk_node *n, const yk_pass *p)
{
    const sizes z = sizes_of(p->m, p->batch->rows);
    return (yk_swiglu){.y = yk_scratch(p, n, ACTIVE), .x = yk_saved(p, n, SHARED_INNER), .rows = z.N,
                       .width = z.shared};
}

static yk_swiglu experts_swiglu(const yk_node *n, const yk_pass *p)
{
    const sizes z = sizes_of(p->m, p->batch->rows);
    return (yk_swiglu){.y = yk_scratch(p, n, ACTIVE), .x = yk_saved(p, n, INNER), .rows = z.N * z.k, .width = z.F,
                       .factor = yk_scratch(p, n, GATE), .dfactor = yk_scratch(p, n, DGATE)};
}

/* The gradient of the inner takes its place, and what is active the place of its own gradient. */
static void swiglu_backward(const yk_pass *p, yk_swiglu s)
{
    s.dx = (void *)(uintptr_t)s.x;
    s.dy = s.y;
    p->m->k->swiglu_backward(&p->m->team, &s);
}

static void count_loads(const yk_node *n, const yk_pass *p, const sorted *d)
{
    int64_t *load = p->m->loads + n->layer * p->m->shape.experts;
    for (int64_t e = 0; e < p->m->shape.experts; e++) load[e] += d->first[e + 1] - d->first[e];
}

static void forward(const yk_node *n, yk_pass *p)
{
    sorted d;
    const float *init = p->x;
    yk_norm_forward(n, p);
    route(n, p);
    sort_rows(n, p, &d, false);
    if (!p->training) count_loads(n, p, &d);
    p->y = yk_saved(p, n, YK_OUTPUT);
    if (p->m->shape.shared_experts) {
        const yk_swiglu s = shared_swiglu(n, p);
        yk_linear_forward(n, p, SHARED_UP, yk_saved(p, n, SHARED_INNER), YK_STORED, yk_scratch(p, n, YK_NORMED), NULL);
        p->m->k->swiglu_forward(&p->m->team, &s);
        yk_linear_forward(n, p, SHARED_DOWN, p->y, YK_FLOAT, s.y, p->x);
        init = p->y;
    }
    const yk_swiglu s = experts_swiglu(n, p);
    yk_parts_forward(n, p, UP, d.first, yk_saved(p, n, INNER), YK_STORED,
                     gathered(n, p, yk_scratch(p, n, YK_NORMED), YK_STORED));
    p->m->k->swiglu_forward(&p->m->team, &s);
    yk_parts_forward(n, p, DOWN, d.first, yk_scratch(p, n, MIXED), YK_FLOAT, s.y);
    combine(n, p, p->y, init);
}

/* Of affinities, into SLOPE and what normed rows get by it. */
static void route_backward(const yk_node *n, const yk_pass *p)
{
    const sizes z = sizes_of(p->m, p->batch->rows);
    float *slope = yk_scratch(p, n, SLOPE), *dnormed = yk_scratch(p, n, YK_DNORMED);
    p->m->k->route_backward(
        &p->m->team, &(yk_route_slope){.slope = slope, .affinity = yk_saved(p, n, AFFINITY),
                                        .expert = yk_saved(p, n, EXPERT), .place = yk_scratch(p, n, PLACE),
                                        .gate = yk_scratch(p, n, GATE), .dgate = yk_scratch(p, n, DGATE),
                                        .weight = p->batch->weight, .segment = p->batch->segment,
                                        .segments = p->batch->segments, .rows = z.N, .experts = z.E, .chosen = z.k,
                                        .scale = (float)p->m->shape.routed_scaling,
                                        .balance = p->objective ? 0.0f : (float)p->m->shape.expert_balance});
    p->m->k->gemm_float(&p->m->team,
                        &(yk_gemm){.c = dnormed, .c_type = YK_FLOAT, .c_row = z.C, .a = {slope, YK_FLOAT, z.E, 1},
                                   .b = {yk_weight(p, n, ROUTER), YK_FLOAT, z.C, 1}, .init = dnormed, .init_row = z.C,
                                   .m = z.N, .n = z.C, .k = z.E, .scratch = p->m->kernel_scratch});
}

static void router_dw(const yk_node *n, const yk_pass *p)
{
    const sizes z = sizes_of(p->m, p->batch->rows);
    float *dw = yk_gradient(p, n, ROUTER);
    p->m->k->gemm_float(&p->m->team,
                        &(yk_gemm){.c = dw, .c_type = YK_FLOAT, .c_row = z.C,
                                   .a = {yk_scratch(p, n, SLOPE), YK_FLOAT, 1, z.E},
                                   .b = {wide(n, p), YK_FLOAT, z.C, 1}, .init = dw, .init_row = z.C, .m = z.E,
                                   .n = z.C, .k = z.N, .scratch = p->m->kernel_scratch});
}

/* Normed rows' gradient by the shared experts. */
static void shared_backward(const yk_node *n, const yk_pass *p)
{
    const yk_swiglu s = shared_swiglu(n, p);
    yk_linear_dx(n, p, SHARED_DOWN, s.y, YK_STORED, p->d, YK_FLOAT);
    swiglu_backward(p, s);
    yk_linear_dw(n, p, SHARED_DOWN, p->d, YK_FLOAT, s.y);
    yk_linear_dx(n, p, SHARED_UP, yk_scratch(p, n, YK_DNORMED), YK_FLOAT, s.x, YK_STORED);
}

static void backward(const yk_node *n, yk_pass *p)
{
    const sizes z = sizes_of(p->m, p->batch->rows);
    float *dnormed = yk_scratch(p, n, YK_DNORMED);
    void *normed = yk_scratch(p, n, YK_NORMED), *inner = yk_saved(p, n, INNER);
    int32_t *term = yk_scratch(p, n, TERM);
    sorted d;
    sort_rows(n, p, &d, true);
    if (z.shared)
        shared_backward(n, p);
    else
        p->m->k->zero(&p->m->team, dnormed, z.N * z.C * (int64_t)sizeof *dnormed);
    const yk_swiglu s = experts_swiglu(n, p);
    void *dy = gathered(n, p, p->d, YK_FLOAT);
    yk_parts_dx(n, p, DOWN, d.first, s.y, YK_STORED, dy);
    swiglu_backward(p, s);
    yk_parts_dw(n, p, DOWN, term, d.term, dy, s.y);
    yk_parts_dx(n, p, UP, d.first, yk_scratch(p, n, MIXED), YK_FLOAT, inner);
    combine(n, p, dnormed, dnormed);
    route_backward(n, p);
    yk_norm_backward(n, p, true, true);
    yk_parts_dw(n, p, UP, term, d.term, inner, gathered(n, p, normed, YK_STORED));
    if (z.shared) yk_linear_dw(n, p, SHARED_UP, yk_saved(p, n, SHARED_INNER), YK_STORED, normed);
    router_dw(n, p);
}

const yk_layer_kind yk_moe_kind = {"moe", plan, forward, backward};
