#include "model/layer.h"

#include <stdio.h>

yk_product yk_product_of(const yk_pass *p, int param, int64_t rows)
{
    const yk_model *m = p->m;
    const yk_param *w = &m->param[param];
    yk_product s = {.w = m->weight + w->offset, .rows = rows, .in = w->shape[1], .out = w->shape[0] / w->parts};
    for (int i = 0; i < YK_WAYS; i++)
        if (m->packed[i].is_current) s.packed[i] = m->packed[i].data + m->packed[i].at[param];
    return s;
}

/* The weight as the second operand of a product. */
static yk_operand operand_of(const yk_product *s, int way)
{
    if (s->packed[way]) return (yk_operand){.data = s->packed[way], .type = YK_PACKED};
    return way == YK_FORWARD ? (yk_operand){s->w, YK_FLOAT, 1, s->in} : (yk_operand){s->w, YK_FLOAT, s->in, 1};
}

static yk_gemm forward_of(const yk_product *s, void *y, yk_type y_type, const void *x)
{
    return (yk_gemm){.c = y, .c_type = y_type, .c_row = s->out, .a = {x, YK_STORED, s->in, 1},
                     .b = operand_of(s, YK_FORWARD), .m = s->rows, .n = s->out, .k = s->in};
}

static yk_gemm dx_of(const yk_product *s, void *dx, yk_type dx_type, const void *dy, yk_type dy_type, int64_t dy_row)
{
    return (yk_gemm){.c = dx, .c_type = dx_type, .c_row = s->in, .a = {dy, dy_type, dy_row, 1},
                     .b = operand_of(s, YK_BACKWARD), .m = s->rows, .n = s->in, .k = s->out};
}

static yk_gemm dw_of(const yk_product *s, float *dw, const void *dy, yk_type dy_type, int64_t dy_row, const void *x)
{
    return (yk_gemm){.c = dw, .c_type = YK_FLOAT, .c_row = s->in, .a = {dy, dy_type, 1, dy_row},
                     .b = {x, YK_STORED, s->in, 1}, .m = s->out, .n = s->in, .k = s->rows, .init = dw,
                     .init_row = s->in};
}

static void multiply(const yk_pass *p, yk_gemm g)
{
    g.scratch = p->m->kernel_scratch;
    p->m->k->gemm(&p->m->team, &g);
}

void yk_product_forward(const yk_pass *p, const yk_product *s, void *y, yk_type y_type, const void *x,
                        const float *init, int64_t init_row)
{
    yk_gemm g = forward_of(s, y, y_type, x);
    g.init = init, g.init_row = init_row;
    multiply(p, g);
}

void yk_product_dx(const yk_pass *p, const yk_product *s, void *dx, yk_type dx_type, const void *dy, yk_type dy_type,
                   int64_t dy_row)
{
    multiply(p, dx_of(s, dx, dx_type, dy, dy_type, dy_row));
}

void yk_product_dw(const yk_pass *p, const yk_product *s, float *dw, const void *dy, yk_type dy_type, int64_t dy_row,
                   const void *x)
{
    multiply(p, dw_of(s, dw, dy, dy_type, dy_row, x));
}

/* Of part e with the rows first[e] to first[e + 1]. */
static yk_product part_of(const yk_node *n, const yk_pass *p, int slot, int64_t e, const int32_t *first)
{
    yk_product s = yk_product_of(p, n->param[slot], first[e + 1] - first[e]);
    const int64_t bytes[YK_WAYS] = {p->m->k->packed_bytes(s.out, s.in), p->m->k->packed_bytes(s.in, s.out)};
    s.w += e * s.out * s.in;
    for (int i = 0; i < YK_WAYS; i++)
        if (s.packed[i]) s.packed[i] = (const char *)s.packed[i] + e * bytes[i];
    return s;
}

static int64_t parts_of(const yk_node *n, const yk_pass *p, int slot)
{
    return p->m->param[n->param[slot]].parts;
}

static void multiply_all(const yk_pass *p, const yk_gemm *g, int64_t count)
{
    p->m->k->gemm_group(&p->m->team, &(yk_gemm_group){g, count, p->m->kernel_scratch});
}

/* y and x of all parts, or dx and dy. */
static void multiply_parts(const yk_node *n, const yk_pass *p, int slot, int way, const int32_t *first, void *out,
                           yk_type out_type, void *in)
{
    yk_gemm g[YK_MOST_EXPERTS];
    const int64_t parts = parts_of(n, p, slot), size = yk_type_size(p->m->k, out_type);
    for (int64_t e = 0; e < parts; e++) {
        const yk_product s = part_of(n, p, slot, e, first);
        const int64_t out_width = way == YK_FORWARD ? s.out : s.in, in_width = way == YK_FORWARD ? s.in : s.out;
        char *c = (char *)out + first[e] * out_width * size;
        const void *a = yk_at(p, in, first[e] * in_width);
        g[e] = way == YK_FORWARD ? forward_of(&s, c, out_type, a) : dx_of(&s, c, out_type, a, YK_STORED, s.out);
    }
    multiply_all(p, g, parts);
}

void yk_parts_forward(const yk_node *n, const yk_pass *p, int slot, const int32_t *first, void *y, yk_type y_type,
                      void *x)
{
    multiply_parts(n, p, slot, YK_FORWARD, first, y, y_type, x);
}

void yk_parts_dx(const yk_node *n, const yk_pass *p, int slot, const int32_t *first, void *dx, yk_type dx_type,
                 void *dy)
{
    multiply_parts(n, p, slot, YK_BACKWARD, first, dx, dx_type, dy);
}

void yk_parts_dw(const yk_node *n, const yk_pass *p, int slot, const int32_t *term, const int32_t *first_term,
                 const void *dy, const void *x)
{
    yk_gemm g[YK_MOST_EXPERTS];
    const int64_t parts = parts_of(n, p, slot);
    for (int64_t e = 0; e < parts; e++) {
        const yk_product s = part_of(n, p, slot, e, first_term);
        g[e] = dw_of(&s, yk_gradient(p, n, slot) + e * s.out * s.in, dy, YK_STORED, s.out, x);
        g[e].term = term + first_term[e];
    }
    multiply_all(p, g, parts);
}

yk_status yk_linear_plan(yk_model *m, yk_node *n, int slot, const char *name, int64_t out, int64_t in, yk_init init,
                         bool bias, yk_error *err)
{
    char full[64];
    snprintf(full, sizeof full, "%s.weight", name);
    yk_status st = yk_declare_param(m, n, slot, full, out, in, init, true, err);
    snprintf(full, sizeof full, "%s.bias", name);
    if (st == YK_OK && bias) st = yk_declare_param(m, n, slot + 1, full, out, 0, YK_INIT_ZEROS, false, err);
    return st;
}

/* Parameter 0 is the embedding. */
static bool has_bias(const yk_node *n, int slot)
{
    return n->param[slot + 1] != 0;
}

static yk_product product_of(const yk_node *n, const yk_pass *p, int slot)
{
    return yk_product_of(p, n->param[slot], p->batch->rows);
}

void yk_linear_forward(const yk_node *n, const yk_pass *p, int slot, void *y, yk_type y_type, const void *x,
                       const float *residual)
{
    const yk_product s = product_of(n, p, slot);
    const float *init = residual, *bias = has_bias(n, slot) ? yk_weight(p, n, slot + 1) : NULL;
    if (bias && residual) {
        p->m->k->bias_forward(&p->m->team, &(yk_bias){.y = y, .x = residual, .bias = bias, .rows = s.rows,
                                                      .width = s.out});
        init = y;
    } else if (bias) {
        init = bias;
    }
    yk_product_forward(p, &s, y, y_type, x, init, init == bias ? 0 : s.out);
}

void yk_linear_dx(const yk_node *n, const yk_pass *p, int slot, void *dx, yk_type dx_type, const void *dy,
                  yk_type dy_type)
{
    const yk_product s = product_of(n, p, slot);
    yk_product_dx(p, &s, dx, dx_type, dy, dy_type, s.out);
}

void yk_linear_dw(const yk_node *n, const yk_pass *p, int slot, const void *dy, yk_type dy_type, const void *x)
{
    const yk_product s = product_of(n, p, slot);
    yk_product_dw(p, &s, yk_gradient(p, n, slot), dy, dy_type, s.out, x);
    if (has_bias(n, slot))
        p->m->k->bias_backward(&p->m->team, &(yk_bias){.dy = dy, .type = dy_type, .dbias = yk_gradient(p, n, slot + 1),
                                                       .rows = s.rows, .width = s.out});
}
