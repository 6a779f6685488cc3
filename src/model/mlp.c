/* Feed-forward block: y = x + W_down SwiGLU(W_gate_up norm(x)). */
#include "model/layer.h"

enum { NORM, GATE_UP, DOWN };                /* parameters */
enum { OUTPUT = YK_OUTPUT, NORMED, RSTD, INNER, GATED }; /* saved      */
enum { DGATED, DNORMED };                    /* scratch    */

static yk_status plan(yk_model *m, yk_node *n, yk_error *err)
{
    yk_status st = YK_OK;
    int64_t C = m->shape.width, F = m->shape.ffn;
    YK_TRY(yk_declare_param(m, n, NORM, "post_attention_layernorm.weight", C, 0, YK_INIT_ONES, false, err));
    YK_TRY(yk_declare_param(m, n, GATE_UP, "mlp.gate_up_proj.weight", 2 * F, C, YK_INIT_NORMAL, true, err));
    YK_TRY(yk_declare_param(m, n, DOWN, "mlp.down_proj.weight", C, F, YK_INIT_RESIDUAL, true, err));
    yk_declare_saved(m, n, OUTPUT, C);
    yk_declare_saved(m, n, NORMED, C);
    yk_declare_saved(m, n, RSTD, 1);
    yk_declare_saved(m, n, INNER, 2 * F);
    yk_declare_saved(m, n, GATED, F);
    yk_declare_scratch(m, n, DGATED, F);
    yk_declare_scratch(m, n, DNORMED, C);
done:
    return st;
}

static yk_rmsnorm norm_of(const yk_node *n, const yk_pass *p)
{
    int64_t C = p->m->shape.width;
    return (yk_rmsnorm){.y = yk_saved(p, n, NORMED), .rstd = yk_saved(p, n, RSTD), .x = p->x,
                        .weight = yk_weight(p, n, NORM), .rows = p->batch->rows, .groups = 1, .width = C,
                        .x_row = C, .y_row = C, .dx_row = C, .eps = (float)p->m->shape.norm_eps};
}

static void forward(const yk_node *n, yk_pass *p)
{
    const yk_kernels *k = p->m->k;
    const yk_team *team = &p->m->team;
    int64_t N = p->batch->rows, C = p->m->shape.width, F = p->m->shape.ffn;
    yk_rmsnorm norm = norm_of(n, p);
    k->rmsnorm_forward(team, &norm);
    yk_linear(p, yk_saved(p, n, INNER), norm.y, yk_weight(p, n, GATE_UP), N, C, 2 * F, false);
    k->swiglu_forward(team, &(yk_swiglu){.y = yk_saved(p, n, GATED), .x = yk_saved(p, n, INNER), .rows = N,
                                         .width = F});
    p->y = yk_saved(p, n, OUTPUT);
    k->copy_rows(team, &(yk_copy_rows){.y = p->y, .x = p->x, .rows = N, .width = C, .y_row = C, .x_row = C});
    yk_linear(p, p->y, yk_saved(p, n, GATED), yk_weight(p, n, DOWN), N, F, C, true);
}

static void backward(const yk_node *n, yk_pass *p)
{
    const yk_kernels *k = p->m->k;
    const yk_team *team = &p->m->team;
    int64_t N = p->batch->rows, C = p->m->shape.width, F = p->m->shape.ffn;
    float *inner = yk_saved(p, n, INNER), *dgated = yk_scratch(p, n, DGATED);
    yk_linear_dw(p, yk_gradient(p, n, DOWN), p->d, yk_saved(p, n, GATED), N, F, C);
    yk_linear_dx(p, dgated, p->d, yk_weight(p, n, DOWN), N, F, C, false);
    k->swiglu_backward(team, &(yk_swiglu){.x = inner, .dy = dgated, .dx = inner, .rows = N, .width = F});
    yk_linear_dw(p, yk_gradient(p, n, GATE_UP), inner, yk_saved(p, n, NORMED), N, C, 2 * F);
    yk_linear_dx(p, yk_scratch(p, n, DNORMED), inner, yk_weight(p, n, GATE_UP), N, C, 2 * F, false);
    yk_rmsnorm norm = norm_of(n, p);
    norm.dy = yk_scratch(p, n, DNORMED);
    norm.dx = p->d;
    norm.dweight = yk_gradient(p, n, NORM);
    norm.accumulate_dx = true;
    k->rmsnorm_backward(team, &norm);
}

const yk_layer_kind yk_mlp_kind = {"mlp", plan, forward, backward};
