/* Feed-forward block: y = x + W_down act(W_up norm(x)); act is SwiGLU of [gate | up], or GELU. */
#include "model/layer.h"

enum { UP = YK_OWN_PARAM, DOWN = UP + 2 };     /* parameters */
enum { INNER = YK_OWN_SAVED, ACTIVE };         /* saved      */
enum { DACTIVE, DNORMED };                     /* scratch    */

static yk_status plan(yk_model *m, yk_node *n, yk_error *err)
{
    yk_status st = YK_OK;
    int64_t C = m->shape.width, F = m->shape.ffn, inner = m->shape.gelu ? F : 2 * F;
    YK_TRY(yk_norm_plan(m, n, "post_attention_layernorm", err));
    YK_TRY(yk_linear_plan(m, n, UP, m->shape.gelu ? "mlp.up_proj" : "mlp.gate_up_proj", inner, C, YK_INIT_NORMAL, err));
    YK_TRY(yk_linear_plan(m, n, DOWN, "mlp.down_proj", C, F, YK_INIT_RESIDUAL, err));
    yk_declare_saved(m, n, YK_OUTPUT, C);
    yk_declare_saved(m, n, INNER, inner);
    yk_declare_saved(m, n, ACTIVE, F);
    yk_declare_scratch(m, n, DACTIVE, F);
    yk_declare_scratch(m, n, DNORMED, C);
done:
    return st;
}

static void activate(const yk_node *n, const yk_pass *p)
{
    int64_t N = p->batch->rows, F = p->m->shape.ffn;
    float *inner = yk_saved(p, n, INNER), *active = yk_saved(p, n, ACTIVE);
    if (p->m->shape.gelu)
        p->m->k->gelu_forward(&p->m->team, &(yk_gelu){.y = active, .x = inner, .n = N * F});
    else
        p->m->k->swiglu_forward(&p->m->team, &(yk_swiglu){.y = active, .x = inner, .rows = N, .width = F});
}

/* The gradient of INNER takes its place. */
static void activate_backward(const yk_node *n, const yk_pass *p, const float *dy)
{
    int64_t N = p->batch->rows, F = p->m->shape.ffn;
    float *inner = yk_saved(p, n, INNER);
    if (p->m->shape.gelu)
        p->m->k->gelu_backward(&p->m->team, &(yk_gelu){.x = inner, .dy = dy, .dx = inner, .n = N * F});
    else
        p->m->k->swiglu_backward(&p->m->team, &(yk_swiglu){.x = inner, .dy = dy, .dx = inner, .rows = N, .width = F});
}

static void forward(const yk_node *n, yk_pass *p)
{
    yk_norm_forward(n, p);
    yk_linear_forward(n, p, UP, yk_saved(p, n, INNER), yk_saved(p, n, YK_NORMED), NULL);
    activate(n, p);
    p->y = yk_saved(p, n, YK_OUTPUT);
    yk_linear_forward(n, p, DOWN, p->y, yk_saved(p, n, ACTIVE), p->x);
}

static void backward(const yk_node *n, yk_pass *p)
{
    float *dactive = yk_scratch(p, n, DACTIVE), *dnormed = yk_scratch(p, n, DNORMED);
    yk_linear_backward(n, p, DOWN, dactive, p->d, yk_saved(p, n, ACTIVE));
    activate_backward(n, p, dactive);
    yk_linear_backward(n, p, UP, dnormed, yk_saved(p, n, INNER), yk_saved(p, n, YK_NORMED));
    yk_norm_backward(n, p, dnormed, true);
}

const yk_layer_kind yk_mlp_kind = {"mlp", plan, forward, backward};
