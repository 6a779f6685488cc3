#include "model/layer.h"

#include <stdio.h>

void yk_product(const yk_pass *p, float *y, const float *x, const float *w, int64_t rows, int64_t in, int64_t out,
                const float *init, int64_t init_row)
{
    p->m->k->gemm(&p->m->team, &(yk_gemm){.c = y, .c_row = out, .a = x, .a_row = in, .a_col = 1, .b = w,
                                          .b_row = 1, .b_col = in, .m = rows, .n = out, .k = in, .init = init,
                                          .init_row = init_row, .scratch = p->m->kernel_scratch});
}

void yk_product_dx(const yk_pass *p, float *dx, const float *dy, const float *w, int64_t rows, int64_t in, int64_t out)
{
    p->m->k->gemm(&p->m->team, &(yk_gemm){.c = dx, .c_row = in, .a = dy, .a_row = out, .a_col = 1, .b = w,
                                          .b_row = in, .b_col = 1, .m = rows, .n = in, .k = out,
                                          .scratch = p->m->kernel_scratch});
}

void yk_product_dw(const yk_pass *p, float *dw, const float *dy, const float *x, int64_t rows, int64_t in, int64_t out)
{
    p->m->k->gemm(&p->m->team, &(yk_gemm){.c = dw, .c_row = in, .a = dy, .a_row = 1, .a_col = out, .b = x,
                                          .b_row = in, .b_col = 1, .m = out, .n = in, .k = rows, .init = dw,
                                          .init_row = in, .scratch = p->m->kernel_scratch});
}

yk_status yk_linear_plan(yk_model *m, yk_node *n, int slot, const char *name, int64_t out, int64_t in, yk_init init,
                         yk_error *err)
{
    char full[64];
    snprintf(full, sizeof full, "%s.weight", name);
    yk_status st = yk_declare_param(m, n, slot, full, out, in, init, true, err);
    snprintf(full, sizeof full, "%s.bias", name);
    if (st == YK_OK && m->shape.bias) st = yk_declare_param(m, n, slot + 1, full, out, 0, YK_INIT_ZEROS, false, err);
    return st;
}

void yk_linear_forward(const yk_node *n, const yk_pass *p, int slot, float *y, const float *x, const float *residual)
{
    const yk_param *w = &p->m->param[n->param[slot]];
    int64_t rows = p->batch->rows, out = w->shape[0];
    const float *init = residual, *bias = p->m->shape.bias ? yk_weight(p, n, slot + 1) : NULL;
    if (bias && residual) {
        p->m->k->bias_forward(&p->m->team, &(yk_bias){.y = y, .x = residual, .bias = bias, .rows = rows, .width = out});
        init = y;
    } else if (bias) {
        init = bias;
    }
    yk_product(p, y, x, yk_weight(p, n, slot), rows, w->shape[1], out, init, init == bias ? 0 : out);
}

void yk_linear_backward(const yk_node *n, const yk_pass *p, int slot, float *dx, const float *dy, const float *x)
{
    const yk_param *w = &p->m->param[n->param[slot]];
    int64_t rows = p->batch->rows, out = w->shape[0], in = w->shape[1];
    yk_product_dw(p, yk_gradient(p, n, slot), dy, x, rows, in, out);
    if (p->m->shape.bias)
        p->m->k->bias_backward(&p->m->team, &(yk_bias){.dy = dy, .dbias = yk_gradient(p, n, slot + 1), .rows = rows,
                                                       .width = out});
    yk_product_dx(p, dx, dy, yk_weight(p, n, slot), rows, in, out);
}
