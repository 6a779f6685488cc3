/* Feed-forward block: y = x + W_down act(W_up norm(x)); act is SwiGLU of [gate | up], or GELU. */
#include "model/layer.h"

enum { UP = YK_OWN_PARAM, DOWN = UP + 2 };     /* parameters */
enum { INNER = YK_OWN_SAVED };                 /* saved      */
enum { ACTIVE = YK_OWN_SCRATCH };              /* scratch    */

static yk_status plan(yk_model *m, yk_node *n, yk_error *err)
{
    yk_status st = YK_OK;
    int64_t C = m->shape.width, F = m->shape.ffn, inner = m->shape.gelu ? F : 2 * F;
    YK_TRY(yk_norm_plan(m, n, "post_attention_layernorm", err));
    YK_TRY(yk_linear_plan(m, n, UP, m->shape.gelu ? "mlp.up_proj" : "mlp.gate_up_proj", inner, C, YK_INIT_NORMAL,
                          m->shape.bias, err));
    YK_TRY(yk_linear_plan(m, n, DOWN, "mlp.down_proj", C, F, YK_INIT_RESIDUAL, m->shape.bias, err));
    yk_declare_saved(m, n, YK_OUTPUT, YK_FLOAT, C);
    yk_declare_saved(m, n, INNER, YK_STORED, inner);
    yk_declare_scratch(m, n, ACTIVE, YK_STORED, F);
done:
    return st;
}

static void activate(const yk_node *n, const yk_pass *p)
{
    int64_t N = p->batch->rows, F = p->m->shape.ffn;
    void *inner = yk_saved(p, n, INNER), *active = yk_scratch(p, n, ACTIVE);
    if (p->m->shape.gelu)
        p->m->k->gelu_forward(&p->m->team, &(yk_gelu){.y = active, .x = inner, .n = N * F});
    else
        p->m->k->swiglu_forward(&p->m->team, &(yk_swiglu){.y = active, .x = inner, .rows = N, .width = F});
}

/* The gradient of INNER takes its place, and ACTIVE the place of its own gradient. */
static void activate_backward(const yk_node *n, const yk_pass *p)
{
    int64_t N = p->batch->rows, F = p->m->shape.ffn;
    void *inner = yk_saved(p, n, INNER), *active = yk_scratch(p, n, ACTIVE);
    if (p->m->shape.gelu)
        p->m->k->gelu_backward(&p->m->team, &(yk_gelu){.y = active, .x = inner, .dy = active, .dx = inner, .n = N * F});
    else
        p->m->k->swiglu_backward(&p->m->team, &(yk_swiglu){.y = active, .x = inner, .dy = active, .dx = inner,
                                                           .rows = N, .width = F});
}

static void forward(const yk_node *n, yk_pass *p)
{
    yk_norm_forward(n, p);
    yk_linear_forward(n, p, UP, yk_saved(p, n, INNER), YK_STORED, yk_scratch(p, n, YK_NORMED), NULL);
    activate(n, p);
    p->y = yk_saved(p, n, YK_OUTPUT);
    yk_linear_forward(n, p, DOWN, p->y, YK_FLOAT, yk_scratch(p, n, ACTIVE), p->x);
}

static void backward(const yk_node *n, yk_pass *p)
{
    void *active = yk_scratch(p, n, ACTIVE), *dinner = yk_saved(p, n, INNER);
    yk_linear_dx(n, p, DOWN, active, YK_STORED, p->d, YK_FLOAT);
    activate_backward(n, p);
    yk_linear_dw(n, p, DOWN, p->d, YK_FLOAT, active);
    yk_linear_dx(n, p, UP, yk_scratch(p, n, YK_DNORMED), YK_FLOAT, dinner, YK_STORED);
    yk_norm_backward(n, p, true, true);
    yk_linear_dw(n, p, UP, dinner, YK_STORED, yk_scratch(p, n, YK_NORMED));
}

const yk_layer_kind yk_mlp_kind = {"mlp", plan, forward, backward};
