#include "model/layer.h"

void yk_linear(const yk_pass *p, float *y, const float *x, const float *w, int64_t rows, int64_t in, int64_t out,
               bool accumulate)
{
    p->m->k->gemm(&p->m->team, &(yk_gemm){.c = y, .c_row = out, .a = x, .a_row = in, .a_col = 1, .b = w,
                                          .b_row = 1, .b_col = in, .m = rows, .n = out, .k = in,
                                          .accumulate = accumulate, .scratch = p->m->kernel_scratch});
}

void yk_linear_dx(const yk_pass *p, float *dx, const float *dy, const float *w, int64_t rows, int64_t in,
                  int64_t out, bool accumulate)
{
    p->m->k->gemm(&p->m->team, &(yk_gemm){.c = dx, .c_row = in, .a = dy, .a_row = out, .a_col = 1, .b = w,
                                          .b_row = in, .b_col = 1, .m = rows, .n = in, .k = out,
                                          .accumulate = accumulate, .scratch = p->m->kernel_scratch});
}

void yk_linear_dw(const yk_pass *p, float *dw, const float *dy, const float *x, int64_t rows, int64_t in,
                  int64_t out)
{
    p->m->k->gemm(&p->m->team, &(yk_gemm){.c = dw, .c_row = in, .a = dy, .a_row = 1, .a_col = out, .b = x,
                                          .b_row = in, .b_col = 1, .m = out, .n = in, .k = rows,
                                          .accumulate = true, .scratch = p->m->kernel_scratch});
}
