#include "model/layer.h"

#include <stdio.h>

yk_status yk_norm_plan(yk_model *m, yk_node *n, const char *name, yk_error *err)
{
    yk_status st = YK_OK;
    char full[64];
    snprintf(full, sizeof full, "%s.weight", name);
    YK_TRY(yk_declare_param(m, n, YK_NORM, full, m->shape.width, 0, YK_INIT_ONES, false, err));
    snprintf(full, sizeof full, "%s.bias", name);
    if (m->shape.layernorm)
        YK_TRY(yk_declare_param(m, n, YK_NORM_BIAS, full, m->shape.width, 0, YK_INIT_ZEROS, false, err));
    yk_declare_saved(m, n, YK_STATISTICS, YK_FLOAT, m->shape.layernorm ? 2 : 1);
    yk_declare_scratch(m, n, YK_NORMED, YK_STORED, m->shape.width);
    yk_declare_scratch(m, n, YK_DNORMED, YK_FLOAT, m->shape.width);
done:
    return st;
}

static yk_rmsnorm rmsnorm_of(const yk_node *n, const yk_pass *p)
{
    int64_t C = p->m->shape.width;
    return (yk_rmsnorm){.y = yk_scratch(p, n, YK_NORMED), .rstd = yk_saved(p, n, YK_STATISTICS), .x = p->x,
                        .x_type = YK_FLOAT, .weight = yk_weight(p, n, YK_NORM), .rows = p->batch->rows, .groups = 1,
                        .width = C, .x_row = C, .y_row = C, .dx_row = C, .dy_row = C,
                        .eps = (float)p->m->shape.norm_eps};
}

static yk_layernorm layernorm_of(const yk_node *n, const yk_pass *p)
{
    float *statistics = yk_saved(p, n, YK_STATISTICS);
    return (yk_layernorm){.y = yk_scratch(p, n, YK_NORMED), .rstd = statistics, .mean = statistics + p->batch->rows,
                          .x = p->x, .weight = yk_weight(p, n, YK_NORM), .bias = yk_weight(p, n, YK_NORM_BIAS),
                          .rows = p->batch->rows, .width = p->m->shape.width, .eps = (float)p->m->shape.norm_eps};
}

void yk_norm_forward(const yk_node *n, yk_pass *p)
{
    if (p->m->shape.layernorm) {
        yk_layernorm a = layernorm_of(n, p);
        p->m->k->layernorm_forward(&p->m->team, &a);
    } else {
        yk_rmsnorm a = rmsnorm_of(n, p);
        p->m->k->rmsnorm_forward(&p->m->team, &a);
    }
}

void yk_norm_backward(const yk_node *n, yk_pass *p, bool accumulate, bool again)
{
    if (p->m->shape.layernorm) {
        yk_layernorm a = layernorm_of(n, p);
        if (!again) a.y = NULL;
        a.dy = yk_scratch(p, n, YK_DNORMED), a.dx = p->d, a.accumulate_dx = accumulate;
        a.dweight = yk_gradient(p, n, YK_NORM), a.dbias = yk_gradient(p, n, YK_NORM_BIAS);
        p->m->k->layernorm_backward(&p->m->team, &a);
    } else {
        yk_rmsnorm a = rmsnorm_of(n, p);
        if (!again) a.y = NULL;
        a.dy = yk_scratch(p, n, YK_DNORMED), a.dx = p->d, a.accumulate_dx = accumulate;
        a.dweight = yk_gradient(p, n, YK_NORM);
        p->m->k->rmsnorm_backward(&p->m->team, &a);
    }
}
