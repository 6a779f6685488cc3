/* Models and batches that PyTorch computes too (tests/peers/reference.py), made of numbers from integer arithmetic. */
#ifndef TESTS_MODEL_REFERENCE_H
#define TESTS_MODEL_REFERENCE_H

#include "model/model.h"
#include "numbers.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ROWS = 32, VOCAB = 61, PROBES = 3, STEPS = 20 };
static const double TOLERANCE = 1e-4;

typedef struct reference {
    const char *name;
    yk_model_shape shape;
    double loss;
    const double (*gradients)[1 + PROBES];
    const double *training;
} reference;

#define SHAPE(C, L, H, K, D, F, norm, tie)                                                                            \
    {.vocab = VOCAB, .width = C, .layers = L, .heads = H, .kv_heads = K, .head_size = D, .ffn = F, .positions = ROWS, \
     .qk_norm = norm, .tied = tie, .rope_theta = 1e4, .norm_eps = 1e-5, .init_std = 0.02}

static const yk_segment segments[] = {{0, 0, 0, 14, 14, 1}, {14, 14, 0, 6, 6, 1}, {20, 20, 0, 12, 12, 0}};
static int32_t token[ROWS], target[ROWS], position[ROWS];
static float weight[ROWS];

static int set_up(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < ROWS; i++) {
        token[i] = (int32_t)((number(1, i) + 0.5) * VOCAB);
        target[i] = (int32_t)((number(2, i) + 0.5) * VOCAB);
        weight[i] = i % 5 == 4 ? 0.0f : 1.0f;
    }
    for (int s = 0; s < 3; s++)
        for (int i = 0; i < segments[s].count; i++) position[segments[s].query + i] = i;
    return 0;
}

static yk_model *make(const reference *x, const yk_kernels *k)
{
    yk_error err;
    yk_model *m = NULL;
    assert_int_equal(yk_model_new(&m, &x->shape, ROWS, true, k, &(yk_team){.threads = 2}, &err), YK_OK);
    int count;
    const yk_param *p = yk_model_params(m, &count);
    for (int i = 0; i < count; i++)
        for (int64_t j = 0; j < p[i].count; j++) {
            double u = number(100 + (uint32_t)i, (uint32_t)j);
            yk_model_weights(m)[p[i].offset + j] = (float)(p[i].rank == 1 ? u * 0.4 + 1.0 : u * 0.6);
        }
    return m;
}

static void check(const char *what, const char *where, double got, double wanted, double unit)
{
    if (!(fabs(got - wanted) <= TOLERANCE * unit))
        fail_msg("%s, %s: %.9g, PyTorch has %.9g", where, what, got, wanted);
}

static void check_gradients(const reference *x, const yk_model *m, const char *isa)
{
    int count;
    const yk_param *p = yk_model_params(m, &count);
    for (int i = 0; i < count; i++) {
        const float *g = yk_model_gradients((yk_model *)m) + p[i].offset;
        double square = 0, product[PROBES] = {0}, length[PROBES] = {0};
        for (int64_t j = 0; j < p[i].count; j++) {
            square += (double)g[j] * (double)g[j];
            for (int k = 0; k < PROBES; k++) {
                double u = number(1000 + 10 * (uint32_t)i + (uint32_t)k, (uint32_t)j);
                product[k] += (double)g[j] * u;
                length[k] += u * u;
            }
        }
        const double *wanted = x->gradients[i];
        char where[160];
        snprintf(where, sizeof where, "%s on %s", x->name, isa);
        check(p[i].name, where, sqrt(square), wanted[0], wanted[0]);
        for (int k = 0; k < PROBES; k++)
            check(p[i].name, where, product[k], wanted[1 + k], wanted[0] * sqrt(length[k] / (double)p[i].count));
    }
}

#endif
